"""Issues of a fake Gitea, and the talk about them; pull requests are issues here, too."""

from __future__ import annotations

from typing import Any

from boatwright.testing.fake_gitea_room import REPO, GiteaRoom
from boatwright.testing.fake_gitea_words import draft, when
from boatwright.testing.fake_http import Problem, Reply, Request, route
from boatwright.testing.fake_state import Depot, Remark, Topic

REACTIONS = frozenset({"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"})


class GiteaIssues(GiteaRoom):
    """The routes of issues, labels, comments and reactions."""

    @route("GET", REPO + "/issues")
    def issues(self, request: Request, owner: str, name: str) -> Reply:
        """``type`` tells issues from pull requests; without it both come."""
        depot, query = self.may(request, f"{owner}/{name}"), request.query
        found = [each for each in depot.topics.values() if query.get("state", "open") in {each.state, "all"}]
        if query.get("type") in {"issues", "pulls"}:
            found = [each for each in found if (each.pull is not None) == (query["type"] == "pulls")]
        if query.get("created_by"):
            found = [each for each in found if each.author == query["created_by"]]
        if query.get("labels"):
            wanted = set(query["labels"].split(","))
            found = [each for each in found if wanted <= set(each.labels)]
        if query.get("since"):
            found = [each for each in found if (when(each.updated) or "") >= query["since"]]
        found.sort(key=lambda each: each.number, reverse=True)
        return self.page(request, [self.words.issue(depot, each) for each in found])

    @route("POST", REPO + "/issues")
    def open_issue(self, request: Request, owner: str, name: str) -> Reply:
        """Labels come as ids. The event of a new issue shows them; none tells of them besides."""
        depot, said = self.may(request, f"{owner}/{name}"), request.json
        labels = self._label_names(depot, said.get("labels") or ())
        topic = self.act.open_issue(
            depot.path, by=request.login, title=str(said.get("title", "")), body=text_of(said.get("body")), labels=labels
        )  # fmt: skip
        self.act.happened = [each for each in self.act.happened if each.kind != "issue.labeled"]
        return Reply(201, self.words.issue(depot, topic))

    def _label_names(self, depot: Depot, ids: Any) -> list[str]:
        by_id = {number: label for label, number in depot.labels.items()}
        if any(not isinstance(each, int) or each not in by_id for each in ids):
            raise Problem(422, "labels: ids of labels of this repository are expected")
        return [by_id[each] for each in ids]

    @route("GET", REPO + "/issues/{number}")
    def issue(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return Reply(200, self.words.issue(depot, self.topic(depot, number)))

    @route("PATCH", REPO + "/issues/{number}")
    def change_issue(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic = self.topic(depot, number)
        self.own(request, depot, topic.author)
        return Reply(201, self.words.issue(depot, self.changed(request, depot, topic)))

    def topic(self, depot: Depot, number: str) -> Topic:
        try:
            return self.act.topic(depot, integer(number))
        except Problem:
            raise Problem(
                404, f"issue does not exist [id: 0, repo_id: {depot.id}, index: {number}]"
            ) from None

    def own(self, request: Request, depot: Depot, author: str) -> None:
        """What somebody else wrote is changed by who may write."""
        if request.login != author:
            self.may(request, depot.path, "write")

    def changed(self, request: Request, depot: Depot, topic: Topic) -> Topic:
        said, by = request.json, request.login
        if "title" in said or "body" in said:
            title = str(said["title"]) if said.get("title") else None
            body = text_of(said["body"]) if "body" in said else None
            self.act.edit(depot.path, topic.number, by=by, title=title, body=body)
            self._redraft(request, depot, topic)
        if said.get("state") not in {None, topic.state}:
            if topic.pull is not None and topic.pull.merged:
                raise Problem(412, "cannot change state of this pull request, it was already merged")
            act = self.act.close if said["state"] == "closed" else self.act.reopen
            act(depot.path, topic.number, by=by)
        return topic

    def _redraft(self, request: Request, depot: Depot, topic: Topic) -> None:
        """One event tells of a title that made it a draft, or ready."""
        if topic.pull is not None and topic.pull.draft != draft(topic.title):
            self.act.happened = [each for each in self.act.happened if each.kind != "pull.edited"]
            self.act.set_draft(depot.path, topic.number, by=request.login, draft=draft(topic.title))

    # --- labels of an issue ---

    @route("GET", REPO + "/issues/{number}/labels")
    def issue_labels(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic = self.topic(depot, number)
        return Reply(200, [self.words.label(depot, label) for label in topic.labels])

    @route("GET", REPO + "/issues/{number}/timeline")
    def timeline(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """Of all that happened to it what is about labels."""
        depot = self.may(request, f"{owner}/{name}")
        shown = [
            {"id": at + 1, "type": "label", "user": self.words.user(by), "label": self.words.label(depot, label),
             "body": "1" if on else "", "created_at": when(moment)}
            for at, (label, by, on, moment) in enumerate(self.topic(depot, number).labellings)
        ]  # fmt: skip
        return self.page(request, shown)

    @route("POST", REPO + "/issues/{number}/labels")
    def label(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "write")
        topic = self.topic(depot, number)
        for label in self._label_names(depot, request.json.get("labels") or ()):
            self.act.label(depot.path, topic.number, label, by=request.login)
        return Reply(200, [self.words.label(depot, label) for label in topic.labels])

    @route("DELETE", REPO + "/issues/{number}/labels/{label}")
    def unlabel(self, request: Request, owner: str, name: str, number: str, label: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "write")
        names = self._label_names(depot, [integer(label)])
        if names[0] in self.topic(depot, number).labels:
            self.act.unlabel(depot.path, integer(number), names[0], by=request.login)
        return Reply(204)

    # --- comments ---

    @route("GET", REPO + "/issues/{number}/comments")
    def comments(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """All of them: no pages."""
        depot = self.may(request, f"{owner}/{name}")
        topic = self.topic(depot, number)
        found = [each for each in depot.remarks if each.number == topic.number and not each.path]
        if request.query.get("since"):
            found = [each for each in found if (when(each.updated) or "") >= request.query["since"]]
        return Reply(200, [self.words.comment(depot, each) for each in found])

    @route("POST", REPO + "/issues/{number}/comments")
    def post_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        topic = self.topic(depot, number)
        body = text_of(request.json.get("body"))
        made = self.act.comment(depot.path, topic.number, by=request.login, body=body)
        return Reply(201, self.words.comment(depot, made))

    @route("GET", REPO + "/issues/comments/{number}")
    def comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        found = self._comment(depot, number)
        return Reply(204) if found.path else Reply(200, self.words.comment(depot, found))

    def _comment(self, depot: Depot, number: str) -> Remark:
        try:
            return self.act.find_remark(depot, integer(number))
        except Problem:
            raise Problem(404, f"comment does not exist [id: {number}, issue_id: 0]") from None

    @route("PATCH", REPO + "/issues/comments/{number}")
    def edit_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        found = self._comment(depot, number)
        self.own(request, depot, found.author)
        body = text_of(request.json.get("body"))
        self.act.edit_comment(depot.path, found.id, by=request.login, body=body)
        return Reply(200, self.words.comment(depot, found))

    @route("DELETE", REPO + "/issues/comments/{number}")
    def delete_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        found = self._comment(depot, number)
        self.own(request, depot, found.author)
        self.act.delete_comment(depot.path, found.id, by=request.login)
        return Reply(204)

    # --- reactions ---

    @route("POST", REPO + "/issues/{number}/reactions")
    def react(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return self._react(request, self.topic(depot, number))

    @route("POST", REPO + "/issues/comments/{number}/reactions")
    def react_to_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}")
        return self._react(request, self._comment(depot, number))

    def _react(self, request: Request, thing: Topic | Remark) -> Reply:
        content = str(request.json.get("content", ""))
        if content not in REACTIONS:
            raise Problem(403, f"'{content}' is not an allowed reaction")
        new = self.act.react(thing, content, by=request.login)
        shown = {"user": self.words.user(request.login), "content": content}
        return Reply(201 if new else 200, shown)


def integer(text: str) -> int:
    if not text.isdecimal():
        raise Problem(404, "The target couldn't be found.")
    return int(text)


def text_of(value: Any) -> str:
    """What is no text is nothing."""
    return value if isinstance(value, str) else ""
