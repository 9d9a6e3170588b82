"""Issues of a fake GitHub, and the talk about them; pull requests are issues here, too."""

from __future__ import annotations

from typing import Any

from boatwright.testing.fake_github_room import REPO, GitHubRoom, integer, text_of
from boatwright.testing.fake_github_words import when
from boatwright.testing.fake_http import Problem, Reply, Request, paged, route
from boatwright.testing.fake_state import Depot, Topic


class GitHubIssues(GitHubRoom):
    """The routes of issues, labels, comments and reactions."""

    @route("GET", REPO + "/issues")
    def issues(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues")
        query = request.query
        found = [each for each in depot.topics.values() if query.get("state", "open") in {each.state, "all"}]
        if "creator" in query:
            found = [each for each in found if each.author == query["creator"]]
        if query.get("labels"):
            wanted = set(query["labels"].split(","))
            found = [each for each in found if wanted <= set(each.labels)]
        if query.get("since"):
            found = [each for each in found if (when(each.updated) or "") >= query["since"]]
        found.sort(key=lambda each: each.number, reverse=query.get("direction", "desc") != "asc")
        return paged(request, [self.words.issue(depot, each) for each in found], base=self.url)

    @route("POST", REPO + "/issues")
    def open_issue(self, request: Request, owner: str, name: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "read")
        said = request.json
        topic = self.act.open_issue(
            depot.path, by=request.login, title=str(said.get("title", "")), body=text_of(said.get("body")),
            labels=[str(label) for label in said.get("labels", ())],
        )  # fmt: skip
        return Reply(201, self.words.issue(depot, topic))

    @route("GET", REPO + "/issues/{number}")
    def issue(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues")
        return Reply(200, self.words.issue(depot, self.act.topic(depot, integer(number))))

    @route("PATCH", REPO + "/issues/{number}")
    def change_issue(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        return Reply(200, self.words.issue(depot, self._changed(request, depot, integer(number))))

    def _changed(self, request: Request, depot: Depot, number: int) -> Topic:
        said, by = request.json, request.login
        topic = self.act.topic(depot, number)
        if "title" in said or "body" in said:
            title, body = said.get("title"), said.get("body")
            topic = self.act.edit(
                depot.path, number, by=by, title=None if title is None else text_of(title),
                body=None if body is None else text_of(body),
            )  # fmt: skip
        if said.get("state") == "closed":
            self.act.close(depot.path, number, by=by)
        if said.get("state") == "open":
            self.act.reopen(depot.path, number, by=by)
        return topic

    @route("POST", REPO + "/issues/{number}/labels")
    def label(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        for label in request.json.get("labels", ()):
            self.act.label(depot.path, integer(number), str(label), by=request.login)
        return Reply(200, self.words.labels(depot, self.act.topic(depot, integer(number))))

    @route("DELETE", REPO + "/issues/{number}/labels/{label*}")
    def unlabel(self, request: Request, owner: str, name: str, number: str, label: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        self.act.unlabel(depot.path, integer(number), label, by=request.login)
        return Reply(200, self.words.labels(depot, self.act.topic(depot, integer(number))))

    @route("GET", REPO + "/issues/{number}/events")
    def issue_events(self, request: Request, owner: str, name: str, number: str) -> Reply:
        """Of all its events those about labels."""
        depot = self.may(request, f"{owner}/{name}", "issues")
        shown = [
            {"id": at + 1, "event": "labeled" if on else "unlabeled", "actor": self.words.user(by),
             "label": {"name": label, "color": "ededed"}, "created_at": when(moment)}
            for at, (label, by, on, moment) in enumerate(self.act.topic(depot, integer(number)).labellings)
        ]  # fmt: skip
        return paged(request, shown, base=self.url)

    @route("POST", REPO + "/issues/{number}/assignees")
    def assign(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        for login in request.json.get("assignees", ()):
            self.act.assign(depot.path, integer(number), str(login), by=request.login)
        return Reply(201, self.words.issue(depot, self.act.topic(depot, integer(number))))

    @route("GET", REPO + "/issues/{number}/comments")
    def comments(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues")
        topic = self.act.topic(depot, integer(number))
        found = [each for each in depot.remarks if each.number == topic.number and not each.path]
        if request.query.get("since"):
            found = [each for each in found if (when(each.updated) or "") >= request.query["since"]]
        return paged(request, [self.words.comment(depot, each) for each in found], base=self.url)

    @route("POST", REPO + "/issues/{number}/comments")
    def post_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "read")
        body = text_of(request.json.get("body"))
        made = self.act.comment(depot.path, integer(number), by=request.login, body=body)
        return Reply(201, self.words.comment(depot, made))

    @route("GET", REPO + "/issues/comments/{number}")
    def comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues")
        return Reply(200, self.words.comment(depot, self.act.find_remark(depot, integer(number))))

    @route("PATCH", REPO + "/issues/comments/{number}")
    def edit_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        body = text_of(request.json.get("body"))
        return Reply(
            200,
            self.words.comment(
                depot, self.act.edit_comment(depot.path, integer(number), by=request.login, body=body)
            ),
        )

    @route("DELETE", REPO + "/issues/comments/{number}")
    def delete_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "triage")
        self.act.delete_comment(depot.path, integer(number), by=request.login)
        return Reply(204)

    @route("POST", REPO + "/issues/{number}/reactions")
    def react(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "read")
        return self._react(request, self.act.topic(depot, integer(number)))

    @route("POST", REPO + "/issues/comments/{number}/reactions")
    def react_to_comment(self, request: Request, owner: str, name: str, number: str) -> Reply:
        depot = self.may(request, f"{owner}/{name}", "issues", "read")
        return self._react(request, self.act.find_remark(depot, integer(number)))

    def _react(self, request: Request, thing: Any) -> Reply:
        content = str(request.json.get("content", ""))
        if content not in {"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}:
            raise Problem(422, "Validation Failed")
        new = self.act.react(thing, content, by=request.login)
        return Reply(
            201 if new else 200, {"id": 1, "content": content, "user": self.words.user(request.login)}
        )
