"""What GitHub says, as our values: the few fields we need, whatever else comes along."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from boatwright.forge import marks
from boatwright.forge.protocol import Comment, Issue, Labelled, PullRequest, ReviewComment
from boatwright.values.people import Permission

Said = Mapping[str, Any]
_CLOSES = re.compile(r"^Closes #(\d{1,12})$", re.MULTILINE)


def moment(text: Any) -> datetime:
    """A time as the forges write it, in UTC."""
    found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def login(said: Any) -> str:
    """Who it was; ``ghost`` for an account that is gone."""
    return str(said["login"]) if isinstance(said, dict) and said.get("login") else "ghost"


def _changed(said: Said) -> datetime | None:
    return moment(said["updated_at"]) if said.get("updated_at") else None


def issue(repository: str, said: Said, me: str) -> Issue:
    author = login(said.get("user"))
    labels = (label["name"] if isinstance(label, dict) else label for label in said.get("labels") or ())
    return Issue(
        repository=repository,
        number=int(said["number"]),
        title=str(said["title"]),
        body=marks.read(said.get("body") or "", ours=author == me).text,
        author=author,
        state=str(said["state"]),
        labels=tuple(map(str, labels)),
        created=moment(said["created_at"]),
        assignees=tuple(login(each) for each in said.get("assignees") or ()),
        updated=_changed(said),
    )


def labelled_by(events: Iterable[Any], labels: Collection[str]) -> Labelled | None:
    """Of an issue's events, the oldest first: who put one of the labels on last."""
    named = [each for each in events if each.get("event") == "labeled"]
    put = [each for each in named if (each.get("label") or {}).get("name") in labels]
    return Labelled(login(put[-1].get("actor")), moment(put[-1].get("created_at"))) if put else None


def pull(repository: str, said: Said, me: str) -> PullRequest:
    author = login(said.get("user"))
    marked = marks.read(said.get("body") or "", ours=author == me)
    merged = bool(said.get("merged_at") or said.get("merged"))
    head, base = said["head"], said["base"]
    return PullRequest(
        repository=repository,
        number=int(said["number"]),
        title=str(said["title"]),
        body=marked.text,
        author=author,
        state="merged" if merged else str(said["state"]),
        draft=bool(said.get("draft")) and not merged,
        branch=str(head["ref"]),
        base_ref=str(base["ref"]),
        head=str(head["sha"]),
        issue=marked.issue if marked.issue is not None else _closes(marked.text),
        created=moment(said["created_at"]),
        merged_commit=str(said["merge_commit_sha"]) if merged and said.get("merge_commit_sha") else None,
        fork=_name(head) != _name(base),
        updated=_changed(said),
    )


def _name(side: Said) -> str:
    """The repository of a side; "" where it is gone."""
    repo = side.get("repo")
    return str(repo.get("full_name", "")).lower() if isinstance(repo, dict) else ""


def _closes(text: str) -> int | None:
    found = _CLOSES.search(text)
    return int(found[1]) if found else None


def comment(repository: str, number: int, said: Said, me: str) -> Comment:
    author = login(said.get("user"))
    marked = marks.read(said.get("body") or "", ours=author == me)
    return Comment(
        id=int(said["id"]),
        repository=repository,
        number=number,
        author=author,
        body=marked.text,
        marker=marked.marker,
        created=moment(said["created_at"]),
    )


def number_of(said: Said) -> int:
    """The number a comment belongs to: the last part of its issue's address, or of its page's."""
    where = str(said.get("issue_url") or said.get("html_url") or "")
    found = re.search(r"/(\d+)(?:#.*)?$", where)
    return int(found[1]) if found else 0


def review_comment(repository: str, number: int, said: Said) -> ReviewComment:
    line = said.get("line") if said.get("side", "RIGHT") == "RIGHT" else None
    return ReviewComment(
        id=int(said["id"]),
        repository=repository,
        number=number,
        author=login(said.get("user")),
        body=str(said.get("body") or ""),
        path=str(said.get("path") or ""),
        line=int(line) if line else None,
        commit=str(said.get("commit_id") or ""),
        created=moment(said["created_at"]),
    )


def permission(said: Said) -> Permission:
    """The role where it is one we know; else, for one an organisation made up, the coarse word beside it."""
    for word in (said.get("role_name"), said.get("permission")):
        if word in set(Permission):
            return Permission(word)
    return Permission.NONE
