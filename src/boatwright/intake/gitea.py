"""Deliveries of Gitea and Forgejo read into what happened.

They look like GitHub's and are not: labels arrive as ``label_updated`` with the resulting set and no word about which is
new; a push to a pull request is ``synchronized``; reviews come without an id; nobody is marked as a bot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from boatwright.intake import github
from boatwright.intake.pick import NAME_CAP, Part
from boatwright.rules import machines, remarks
from boatwright.values.incoming import (
    Checked,
    Commented,
    Happening,
    IssueAction,
    Origin,
    PullAction,
    Pushed,
    Reviewed,
)
from boatwright.values.skipping import Skip, SkipReason

ISSUE_ACTIONS = {
    **{name: action for name, action in github.ISSUE_ACTIONS.items() if not name.endswith("labeled")},
    "label_updated": IssueAction.LABELLED,
    "label_cleared": IssueAction.UNLABELLED,
}
PULL_ACTIONS = {
    **github.PULL_ACTIONS,
    "synchronized": PullAction.SYNCHRONIZED,
}
VERDICTS = {
    "pull_request_approved": "approved",
    "pull_request_rejected": "changes_requested",
    "pull_request_comment": "commented",
}
_DRAFT = ("wip:", "[wip]", "draft:")


def read(forge: str, event: str, data: Part) -> Happening | Skip:
    """One delivery, by the word of ``X-Gitea-Event`` or ``X-Forgejo-Event``. ``pick.Shape`` where something is missing."""
    reader = READERS.get(event)
    if reader is None:
        return Skip(SkipReason.UNKNOWN_EVENT, f"nothing here uses {event or 'a delivery without a name'}")
    return reader(_origin(forge, data), event, data)


def _origin(forge: str, data: Part) -> Origin:
    sender = data.part("sender")
    login = sender.text("login", cap=NAME_CAP) or sender.text("username", cap=NAME_CAP)
    return Origin(
        forge, data.part("repository").name("full_name"), login, machines.is_of_the_forge(forge, login)
    )


def _issue(at: Origin, event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    known = ISSUE_ACTIONS.get(action)
    if known is None:
        return github.unused(event, action)
    return github.issue_as_it_stands(at, known, data.part("issue"), added=None)


def _comment(at: Origin, event: str, data: Part) -> Happening | Skip:
    action = data.text("action", cap=NAME_CAP)
    if action != "created":
        return github.unused(event, action)
    found, about = data.part("comment"), data.part("issue")
    return Commented(
        at=at,
        number=about.number("number"),
        on_pull=data.flag("is_pull") or bool(about.part("pull_request")),
        comment=remarks.name(at.forge, found.number("id"), on_line=False),
        author=found.part("user").text("login", cap=NAME_CAP),
        text=found.text("body"),
        created=found.time("created_at"),
        issue=github.issue_text(about),
    )


def _pull(at: Origin, event: str, data: Part) -> Happening | Skip:
    action, found = data.text("action", cap=NAME_CAP), data.part("pull_request")
    if action == "edited" and _was_draft(data) and not _is_draft(found.text("title", cap=NAME_CAP)):
        return github.pull_as_it_stands(at, PullAction.READY, found)
    known = PULL_ACTIONS.get(action)
    return github.unused(event, action) if known is None else github.pull_as_it_stands(at, known, found)


def _was_draft(data: Part) -> bool:
    return _is_draft(data.part("changes").part("title").text("from", cap=NAME_CAP))


def _is_draft(title: str) -> bool:
    return title.lower().startswith(_DRAFT)


def _review(at: Origin, event: str, data: Part) -> Happening | Skip:
    """There is no id: the same person saying the same of the same commit is the same review."""
    found, pull = data.part("review"), data.part("pull_request")
    text, commit = found.text("content"), pull.part("head").text("sha", cap=NAME_CAP)
    said = hashlib.sha256(f"{event}\0{at.sender}\0{commit}\0{text}".encode()).hexdigest()[:16]
    return Reviewed(
        at=at,
        number=pull.number("number"),
        review=said,
        verdict=VERDICTS[event],
        author=at.sender,
        text=text,
        commit=commit,
    )


def _status(at: Origin, event: str, data: Part) -> Happening | Skip:
    state = data.text("state", cap=NAME_CAP)
    if state == "pending":
        return github.unused(event, state)
    commit = data.text("sha", cap=NAME_CAP) or data.part("commit").name("id")
    return Checked(
        at=at,
        kind=event,
        check=data.id("id"),
        name=data.text("context", cap=NAME_CAP),
        commit=commit,
        branch="",
        conclusion=state,
        url=data.text("target_url", cap=2_000),
    )


def _run(at: Origin, event: str, data: Part) -> Happening | Skip:
    action, found = data.text("action", cap=NAME_CAP), data.part("workflow_run")
    if action != "completed":
        return github.unused(event, action)
    return Checked(
        at=at,
        kind=event,
        check=found.id("id"),
        name=found.text("name", cap=NAME_CAP) or found.text("display_title", cap=NAME_CAP),
        commit=found.name("head_sha"),
        branch=found.text("head_branch", cap=NAME_CAP),
        conclusion=found.text("conclusion", cap=NAME_CAP),
        url=found.text("html_url", cap=2_000),
    )


def _push(at: Origin, event: str, data: Part) -> Happening | Skip:
    return Pushed(at, data.name("ref"), data.text("before", cap=NAME_CAP), data.text("after", cap=NAME_CAP))


READERS: dict[str, Callable[[Origin, str, Part], Happening | Skip]] = {
    "issues": _issue,
    "issue_comment": _comment,
    "pull_request": _pull,
    "pull_request_approved": _review,
    "pull_request_rejected": _review,
    "pull_request_comment": _review,
    "status": _status,
    "workflow_run": _run,
    "push": _push,
}
