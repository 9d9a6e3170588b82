"""What a GitLab answers, as values. Everything in it is untrusted; what is missing reads as empty."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from boatwright.forge import drafts, gitlab_words, marks, shapes
from boatwright.forge.marks import Marked
from boatwright.forge.protocol import Check, Comment, Issue, Labelled, PullRequest, ReviewComment
from boatwright.rules import gitlab_numbers
from boatwright.values.people import Permission

STATES = {
    "success": "success", "failure": "failed", "pending": "running", "neutral": "canceled", "action_required": "failed",
}  # fmt: skip
"""Our conclusions as states of a commit status: ``canceled`` is not green."""
_CONCLUSIONS = {
    "success": "success", "failed": "failure", "pending": "pending", "running": "pending", "created": "pending",
    "preparing": "pending", "waiting_for_resource": "pending", "scheduled": "pending", "manual": "action_required",
}  # fmt: skip
_LEVELS = (
    (50, Permission.ADMIN), (40, Permission.MAINTAIN), (30, Permission.WRITE), (15, Permission.TRIAGE),
    (10, Permission.READ),
)  # fmt: skip
"""Owner, maintainer, developer, reporter and planner, guest. Anything between reads as the next lower."""

Json = Mapping[str, Any]


def username(of: Any) -> str:
    """Who it was; empty for an account that is gone."""
    return str((of or {}).get("username") or "")


def _text(said: Any, *, ours: bool) -> Marked:
    text = str(said or "")
    return marks.read(gitlab_words.as_written(text) if ours else text, ours=ours)


def once(said: Any) -> str:
    """The mark of the attempt that made it."""
    return _text(said, ours=True).once


@shapes.known("GitLab")
def issue(repository: str, said: Json, *, me: str) -> Issue:
    author = username(said.get("author"))
    return Issue(
        repository=repository, number=int(said["iid"]), title=str(said.get("title") or ""),
        body=_text(said.get("description"), ours=author == me).text, author=author,
        state="closed" if said.get("state") == "closed" else "open",
        labels=tuple(_label(label) for label in said.get("labels") or ()), created=shapes.when(said.get("created_at")),
        assignees=tuple(username(each) for each in said.get("assignees") or ()),
        updated=shapes.changed(said),
    )  # fmt: skip


def _label(said: Any) -> str:
    """A name, or an object of one where details were asked for."""
    return str(said.get("name") or "") if isinstance(said, Mapping) else str(said)


@shapes.known("GitLab")
def labelled_by(events: Iterable[Json], labels: Collection[str]) -> Labelled | None:
    """Of an issue's label events: who put one of the labels on last."""
    put = [
        each for each in events if each.get("action") == "add" and _label(each.get("label") or "") in labels
    ]
    if not put:
        return None
    newest = max(put, key=lambda each: (shapes.when(each.get("created_at")), int(each.get("id") or 0)))
    return Labelled(username(newest.get("user")), shapes.when(newest.get("created_at")))


@shapes.known("GitLab")
def pull(repository: str, said: Json, *, me: str) -> PullRequest:
    """A merge request. ``locked`` is one that is being merged."""
    author = username(said.get("author"))
    title, draft = drafts.GITLAB.read(str(said.get("title") or ""))
    text = _text(said.get("description"), ours=author == me)
    state = {"merged": "merged", "closed": "closed"}.get(str(said.get("state")), "open")
    commits = (said.get("merge_commit_sha"), said.get("squash_commit_sha"), said.get("sha"))
    return PullRequest(
        repository=repository, number=gitlab_numbers.pull_number(int(said["iid"])), title=title, body=text.text,
        author=author, state=state, draft=state == "open" and (draft or bool(said.get("draft"))),
        branch=str(said.get("source_branch") or ""), base_ref=str(said.get("target_branch") or ""),
        head=str(said.get("sha") or ""), issue=text.issue, created=shapes.when(said.get("created_at")),
        merged_commit=next((str(each) for each in commits if each), None) if state == "merged" else None,
        fork=said.get("source_project_id") != said.get("target_project_id"), updated=shapes.changed(said),
    )  # fmt: skip


@shapes.known("GitLab")
def comment(repository: str, number: int, said: Json, *, me: str) -> Comment:
    author = username(said.get("author"))
    text = _text(said.get("body"), ours=author == me)
    return Comment(
        id=gitlab_numbers.comment_id(int(said["id"]), number), repository=repository, number=number, author=author,
        body=text.text, marker=text.marker, created=shapes.when(said.get("created_at")),
    )  # fmt: skip


def is_comment(note: Json) -> bool:
    """Said to everybody; not GitLab's own record of a change, and not about a line."""
    return not note.get("system") and note.get("type") != "DiffNote"


@shapes.known("GitLab")
def review_comment(repository: str, number: int, note: Json) -> ReviewComment:
    place = note.get("position") or {}
    return ReviewComment(
        id=gitlab_numbers.comment_id(int(note["id"]), number), repository=repository, number=number,
        author=username(note.get("author")), body=_text(note.get("body"), ours=False).text,
        path=str(place.get("new_path") or place.get("old_path") or ""), line=int(place.get("new_line") or 0) or None,
        commit=str(place.get("head_sha") or note.get("commit_id") or ""), created=shapes.when(note.get("created_at")),
    )  # fmt: skip


@shapes.known("GitLab")
def check(repository: str, commit: str, said: Json, *, me: str) -> Check:
    """A commit status; its marks are believed when we set it."""
    mine = username(said.get("author")) == me
    ours = marks.status_marks(str(said.get("target_url") or "")) if mine else None
    external_id, conclusion = ours or (
        str(said.get("id") or ""), _CONCLUSIONS.get(str(said.get("status")), "neutral"),
    )  # fmt: skip
    return Check(
        repository=repository, commit=commit, name=str(said.get("name") or ""),
        conclusion=conclusion if conclusion in STATES else "neutral", summary=str(said.get("description") or ""),
        external_id=external_id,
    )  # fmt: skip


def permission(access_level: Any) -> Permission:
    level = access_level if isinstance(access_level, int) else 0
    return next((permission for least, permission in _LEVELS if level >= least), Permission.NONE)
