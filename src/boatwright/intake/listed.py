"""What was found by looking at a forge's lists, as deliveries: they are kept, tried again and heard like any other.

The bytes are ours and the same for every forge. Whoever can sign a delivery could send them, and could as well send the
forge's own words for the same: nothing is believed here that is not believed there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from boatwright.forge.protocol import Comment, Issue, PullRequest, ReviewComment
from boatwright.intake.pick import NAME_CAP, Part
from boatwright.rules import machines, remarks
from boatwright.values.delivery import Arrival
from boatwright.values.incoming import (
    Checked,
    Commented,
    Happening,
    IssueAction,
    IssueChanged,
    IssueText,
    Origin,
    PullAction,
    PullChanged,
)
from boatwright.values.register import Repository
from boatwright.values.skipping import Skip, SkipReason

PREFIX = "listed "
HOOK = "listing"


# --- writing ---


def issue(where: Repository, found: Issue, *, by: str) -> Arrival:
    """An issue as it stands; ``by`` put its trigger on."""
    return _arrival(where, "issue", {"sender": by, "issue": _issue(found)})


def doubted(where: Repository, number: int, *, by: str, at: datetime, comment: bool = False) -> Arrival:
    """An issue whose words may be newer than the label, or the comment, that asks for work: they are not handed on."""
    said = {"sender": by, "number": number, "at": at.isoformat(), "comment": comment}
    return _arrival(where, "doubted", said)


def overlong(where: Repository, number: int, *, at: datetime | None, since: datetime, why: str) -> Arrival:
    """A thread the forge has too much of; ``at`` is its own time then, ``since`` from when on it was to be read."""
    said = {
        "sender": "",
        "number": number,
        "at": at.isoformat() if at else "",
        "since": since.isoformat(),
        "why": why,
    }
    return _arrival(where, "overlong", said)


def comment(where: Repository, said: Comment, about: Issue | None) -> Arrival:
    """A comment on an issue, or, without one, on a pull request."""
    return _arrival(where, "comment", {
        "sender": said.author, "number": said.number, "on_pull": about is None,
        "comment": {
            "id": remarks.name(where.forge, said.id, on_line=False), "text": said.body,
            "created": said.created.isoformat(),
        },
        "issue": _issue(about) if about is not None else None,
    }, beside=("issue",))  # fmt: skip


def review_comment(where: Repository, said: ReviewComment) -> Arrival:
    """A comment on a line of a pull request."""
    return _arrival(where, "comment", {
        "sender": said.author, "number": said.number, "on_pull": True, "issue": None,
        "comment": {
            "id": remarks.name(where.forge, said.id, on_line=True), "text": said.body,
            "created": said.created.isoformat(), "path": said.path, "line": str(said.line or ""),
        },
    })  # fmt: skip


def pull(where: Repository, found: PullRequest) -> Arrival:
    """A pull request that is closed or merged. Who did it makes no difference."""
    return _arrival(where, "pull", {
        "sender": "", "number": found.number, "merged": found.state == "merged", "branch": found.branch,
        "base": found.base_ref, "head": found.head, "fork": found.fork, "merged_commit": found.merged_commit or "",
    })  # fmt: skip


def checks(where: Repository, at: PullRequest, *, what: str, key: str) -> Arrival:
    """Checks that others set on the head of a pull request of ours, and what they ask for: known by the row they ask for."""
    return _arrival(where, "checks", {
        "sender": "", "number": at.number, "head": at.head, "branch": at.branch, "what": what, "key": key,
    })  # fmt: skip


def _issue(found: Issue) -> dict[str, Any]:
    return {
        "number": found.number, "title": found.title, "body": found.body, "author": found.author,
        "labels": [{"name": label} for label in found.labels], "open": found.state == "open",
        "assignees": [{"login": login} for login in found.assignees],
        "updated": found.updated.isoformat() if found.updated else "",
    }  # fmt: skip


def _arrival(where: Repository, what: str, said: dict[str, Any], *, beside: tuple[str, ...] = ()) -> Arrival:
    """Known by its bytes: what is found again as it was is the same delivery, whatever became of what is ``beside``."""
    body = json.dumps({"path": where.path, **said}, sort_keys=True).encode()
    known = {"path": where.path, **{name: part for name, part in said.items() if name not in beside}}
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()
    return Arrival(
        forge=where.forge,
        hook=HOOK,
        delivery=f"listed:{digest[:40]}",
        event=f"{PREFIX}{what}",
        signer="",
        content_type="application/json",
        body=body,
    )


# --- reading ---


def read(forge: str, event: str, data: Part) -> Happening | Skip:
    """What was found, as the forge's own delivery of it would have been read. ``pick.Shape`` where something is missing."""
    reader = READERS.get(event.removeprefix(PREFIX))
    if reader is None:
        return Skip(SkipReason.UNKNOWN_EVENT, f"nothing here uses {event}")
    sender = data.text("sender", cap=NAME_CAP)
    at = Origin(forge, data.name("path"), sender, machines.is_of_the_forge(forge, sender))
    return reader(at, data)


def _read_issue(at: Origin, data: Part) -> Happening:
    found = data.part("issue")
    return IssueChanged(
        at=at,
        action=IssueAction.LISTED,
        number=found.number("number"),
        title=found.text("title"),
        body=found.text("body"),
        author=found.text("author", cap=NAME_CAP),
        is_open=found.flag("open"),
        labels=found.names("labels", "name"),
        assignees=found.names("assignees", "login"),
        changed=found.time("updated"),
    )


def _read_doubted(at: Origin, data: Part) -> Skip:
    asked, again = "its label was put on", "take the label off, read the issue, and put it on again"
    if data.flag("comment"):
        asked, again = "/boatwright plan was said", "read the issue, and say it again"
    what = f"issue {data.number('number')} changed after {asked}, and what it said then is not known"
    return Skip(SkipReason.WORDS_CHANGED, f"{what}: {again}")


def _read_overlong(at: Origin, data: Part) -> Skip:
    what = f"what was said at number {data.number('number')} since {data.text('since', cap=NAME_CAP)} was not read"
    return Skip(
        SkipReason.OVERLONG, f"{what} ({data.text('why', cap=NAME_CAP)}): say again there what was for us"
    )


def _read_comment(at: Origin, data: Part) -> Happening:
    said, about = data.part("comment"), data.part("issue")
    line = said.text("line", cap=NAME_CAP)
    text = IssueText(about.text("title"), about.text("body"), about.names("labels", "name"))
    return Commented(
        at=at,
        number=data.number("number"),
        on_pull=data.flag("on_pull"),
        comment=said.name("id"),
        author=at.sender,
        text=said.text("text"),
        path=said.text("path", cap=4_096),
        line=int(line) if line.isdecimal() else None,
        created=said.time("created"),
        issue=text if about else None,
    )


def _read_pull(at: Origin, data: Part) -> Happening:
    merged = data.flag("merged")
    return PullChanged(
        at=at,
        action=PullAction.MERGED if merged else PullAction.CLOSED,
        number=data.number("number"),
        branch=data.text("branch", cap=NAME_CAP),
        base_ref=data.text("base", cap=NAME_CAP),
        head=data.text("head", cap=NAME_CAP),
        from_fork=data.flag("fork"),
        merged_commit=data.text("merged_commit", cap=NAME_CAP) if merged else "",
    )


def _read_checks(at: Origin, data: Part) -> Happening:
    return Checked(
        at=at,
        kind="checks",
        check="",
        name="",
        commit=data.name("head"),
        branch=data.text("branch", cap=NAME_CAP),
        conclusion=data.text("what", cap=NAME_CAP),
    )


READERS: dict[str, Callable[[Origin, Part], Happening | Skip]] = {
    "issue": _read_issue,
    "doubted": _read_doubted,
    "overlong": _read_overlong,
    "comment": _read_comment,
    "pull": _read_pull,
    "checks": _read_checks,
}
