"""Issues of a fake GitLab, and the talk about them and about merge requests: notes, emoji, quick actions.

Quick actions are carried out (``/close`` and ``/reopen``) or swallowed (the others it knows), as a GitLab does: what quotes
a stranger must not let the stranger order.
"""

from __future__ import annotations

import re
from typing import Any

from boatwright.testing.fake_gitlab_room import PROJECT, GitLabRoom
from boatwright.testing.fake_gitlab_words import when
from boatwright.testing.fake_http import Problem, Reply, Request, route
from boatwright.testing.fake_state import Depot, Remark, Topic

_ORDER = re.compile(
    r"^/(close|reopen|merge|label|unlabel|assign|approve|draft|ready|title|lock)\b[^\n]*\n?", re.MULTILINE
)


class GitLabIssues(GitLabRoom):
    """The routes of issues, notes and emoji."""

    # --- issues ---

    @route("GET", PROJECT + "/issues")
    def issues(self, request: Request, project: str) -> Reply:
        depot, query = self.may(request, project), request.query
        found = [
            each
            for each in depot.topics.values()
            if each.pull is None and _state_fits(each, query.get("state"))
        ]
        if query.get("author_username"):
            found = [each for each in found if each.author == query["author_username"]]
        if query.get("labels"):
            wanted = set(query["labels"].split(","))
            found = [each for each in found if wanted <= set(each.labels)]
        if query.get("updated_after"):
            found = [each for each in found if (when(each.updated) or "") >= query["updated_after"]]
        found.sort(key=lambda each: each.number, reverse=query.get("sort", "desc") == "desc")
        return self.page(request, [self.words.issue(depot, each) for each in found])

    @route("POST", PROJECT + "/issues")
    def open_issue(self, request: Request, project: str) -> Reply:
        """The event of a new issue shows its labels; none tells of them besides."""
        depot, said = self.may(request, project), request.json
        if not str(said.get("title", "")).strip():
            raise Problem(400, "title is missing")
        topic = self.act.open_issue(
            depot.path, by=request.login, title=str(said["title"]), labels=_names(said.get("labels"))
        )
        self.act.happened = [each for each in self.act.happened if each.kind != "issue.labeled"]
        topic.body = self.ordered(request, depot, topic, text_of(said.get("description")))
        return Reply(201, self.words.issue(depot, topic))

    @route("GET", PROJECT + "/issues/{iid}")
    def issue(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        return Reply(200, self.words.issue(depot, self.topic(request, depot, iid)))

    @route("PUT", PROJECT + "/issues/{iid}")
    def change_issue(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        topic = self.topic(request, depot, iid)
        self.own(request, depot, topic.author)
        if not request.json:
            raise Problem(400, "title, description, … are missing, at least one parameter must be provided")
        self.changed(request, depot, topic)
        return Reply(200, self.words.issue(depot, topic))

    def topic(self, request: Request, depot: Depot, iid: str) -> Topic:
        """The issue or merge request that the address names."""
        return self.words.find(depot, integer(iid), pull="/merge_requests/" in request.path)

    def own(self, request: Request, depot: Depot, author: str) -> None:
        """What somebody else wrote is changed by reporters and above."""
        if request.login != author:
            self.may(request, depot.path, "triage")

    def changed(self, request: Request, depot: Depot, topic: Topic) -> None:
        said, by = request.json, request.login
        title = text_of(said["title"]) if said.get("title") else None
        body = text_of(said["description"]) if "description" in said else None
        if title is not None or body is not None:
            self.act.edit(depot.path, topic.number, by=by, title=title)
        if body is not None:
            topic.body = self.ordered(request, depot, topic, body)
        for label in _names(said.get("add_labels")):
            self.act.label(depot.path, topic.number, label, by=by)
        for label in set(_names(said.get("remove_labels"))) & set(topic.labels):
            self.act.unlabel(depot.path, topic.number, label, by=by)
        if said.get("state_event") == "close" and not (topic.pull and topic.pull.merged):
            self.act.close(depot.path, topic.number, by=by)
        if said.get("state_event") == "reopen":
            self.act.reopen(depot.path, topic.number, by=by)

    def ordered(self, request: Request, depot: Depot, topic: Topic, text: str) -> str:
        """The text without the orders in it, which are carried out."""
        for order in _ORDER.findall(text):
            if order == "close":
                self.act.close(depot.path, topic.number, by=request.login)
            elif order == "reopen":
                self.act.reopen(depot.path, topic.number, by=request.login)
        return _ORDER.sub("", text)

    @route("GET", PROJECT + "/issues/{iid}/resource_label_events")
    def label_events(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        shown = [
            {"id": at + 1, "user": self.words.user(by), "created_at": when(moment), "resource_type": "Issue",
             "label": {"id": depot.labels.get(label, 0), "name": label}, "action": "add" if on else "remove"}
            for at, (label, by, on, moment) in enumerate(self.topic(request, depot, iid).labellings)
        ]  # fmt: skip
        return self.page(request, shown)

    # --- notes ---

    @route("GET", PROJECT + "/issues/{iid}/notes")
    @route("GET", PROJECT + "/merge_requests/{iid}/notes")
    def notes(self, request: Request, project: str, iid: str) -> Reply:
        """What people wrote, about lines as well, and what GitLab itself noted down."""
        depot = self.may(request, project)
        topic = self.topic(request, depot, iid)
        found = [self.words.record(topic)]
        found += [self.words.note(depot, each) for each in depot.remarks if each.number == topic.number]
        if request.query.get("sort", "desc") == "desc":
            found.reverse()
        return self.page(request, found)

    @route("POST", PROJECT + "/issues/{iid}/notes")
    @route("POST", PROJECT + "/merge_requests/{iid}/notes")
    def add_note(self, request: Request, project: str, iid: str) -> Reply:
        depot = self.may(request, project)
        topic = self.topic(request, depot, iid)
        text = self.ordered(request, depot, topic, self._body(request))
        if not text.strip():
            return Reply(202, {"commands_changes": {}, "summary": ["Commands applied"]})
        made = self.act.comment(depot.path, topic.number, by=request.login, body=text)
        return Reply(201, self.words.note(depot, made))

    def _body(self, request: Request) -> str:
        body = text_of(request.json.get("body"))
        if not body:
            raise Problem(400, "body is missing")
        return body

    @route("GET", PROJECT + "/issues/{iid}/notes/{note}")
    @route("GET", PROJECT + "/merge_requests/{iid}/notes/{note}")
    def note(self, request: Request, project: str, iid: str, note: str) -> Reply:
        depot = self.may(request, project)
        return Reply(200, self.words.note(depot, self._note(request, depot, iid, note)))

    def _note(self, request: Request, depot: Depot, iid: str, note: str) -> Remark:
        """A note is found under its own issue or merge request only."""
        topic = self.topic(request, depot, iid)
        for each in depot.remarks:
            if (each.id, each.number) == (integer(note), topic.number):
                return each
        raise Problem(404, "404 Note Not Found")

    @route("PUT", PROJECT + "/issues/{iid}/notes/{note}")
    @route("PUT", PROJECT + "/merge_requests/{iid}/notes/{note}")
    def edit_note(self, request: Request, project: str, iid: str, note: str) -> Reply:
        depot = self.may(request, project)
        found = self._note(request, depot, iid, note)
        if found.author != request.login:
            self.may(request, project, "maintain")
        text = self.ordered(request, depot, self.act.topic(depot, found.number), self._body(request))
        self.act.edit_comment(depot.path, found.id, by=request.login, body=text)
        return Reply(200, self.words.note(depot, found))

    @route("DELETE", PROJECT + "/issues/{iid}/notes/{note}")
    @route("DELETE", PROJECT + "/merge_requests/{iid}/notes/{note}")
    def delete_note(self, request: Request, project: str, iid: str, note: str) -> Reply:
        depot = self.may(request, project)
        found = self._note(request, depot, iid, note)
        if found.author != request.login:
            self.may(request, project, "maintain")
        self.act.delete_comment(depot.path, found.id, by=request.login)
        return Reply(204)

    # --- emoji ---

    @route("GET", PROJECT + "/issues/{iid}/award_emoji")
    @route("GET", PROJECT + "/merge_requests/{iid}/award_emoji")
    @route("GET", PROJECT + "/issues/{iid}/notes/{note}/award_emoji")
    @route("GET", PROJECT + "/merge_requests/{iid}/notes/{note}/award_emoji")
    def awards(self, request: Request, project: str, iid: str, note: str = "") -> Reply:
        depot = self.may(request, project)
        thing = self._thing(request, depot, iid, note)
        found = [self.words.award(login, name, n) for n, (login, name) in enumerate(thing.reactions, 1)]
        return self.page(request, found)

    @route("POST", PROJECT + "/issues/{iid}/award_emoji")
    @route("POST", PROJECT + "/merge_requests/{iid}/award_emoji")
    @route("POST", PROJECT + "/issues/{iid}/notes/{note}/award_emoji")
    @route("POST", PROJECT + "/merge_requests/{iid}/notes/{note}/award_emoji")
    def award(self, request: Request, project: str, iid: str, note: str = "") -> Reply:
        """The second of the same kind by the same person is refused, with 404 of all things."""
        depot = self.may(request, project)
        name = str(request.json.get("name", ""))
        if not self.act.react(self._thing(request, depot, iid, note), name, by=request.login):
            raise Problem(404, "404 Award Emoji Name has already been taken Not Found")
        return Reply(201, self.words.award(request.login, name, 1))

    def _thing(self, request: Request, depot: Depot, iid: str, note: str) -> Topic | Remark:
        return self._note(request, depot, iid, note) if note else self.topic(request, depot, iid)


def _state_fits(topic: Topic, wanted: str | None) -> bool:
    return wanted in {None, "", "all"} or (topic.state == "open") == (wanted == "opened")


def _names(value: Any) -> list[str]:
    """Labels in one field, a comma between them, or a list."""
    names = value if isinstance(value, list) else str(value or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


def integer(text: str) -> int:
    if not text.isdecimal():
        raise Problem(404, "404 Not found")
    return int(text)


def text_of(value: Any) -> str:
    """What is no text is nothing; what is too long is refused."""
    text = value if isinstance(value, str) else ""
    if len(text) > 1_000_000:
        raise Problem(400, "description is too long (maximum is 1000000 characters)")
    return text
