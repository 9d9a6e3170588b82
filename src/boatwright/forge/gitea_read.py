"""What a Gitea or Forgejo answers, as values. Everything in it is untrusted; what is missing reads as empty."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from boatwright.forge import drafts, marks, shapes
from boatwright.forge.protocol import Check, Comment, Issue, Labelled, PullRequest, ReviewComment
from boatwright.values.people import Permission

STATES = {
    "success": "success", "failure": "failure", "pending": "pending", "neutral": "warning", "action_required": "error",
}  # fmt: skip
"""Our conclusions as states of a commit status: ``warning`` is not green."""
_CONCLUSIONS = {
    "success": "success", "failure": "failure", "error": "failure", "pending": "pending", "warning": "neutral",
    "skipped": "neutral",
}  # fmt: skip
_LEVELS = {
    "none": Permission.NONE, "read": Permission.READ, "write": Permission.WRITE, "admin": Permission.ADMIN,
    "owner": Permission.ADMIN,
}  # fmt: skip
_STYLES = (
    ("allow_merge_commits", "merge"), ("allow_rebase_explicit", "rebase-merge"), ("allow_squash_merge", "squash"),
    ("allow_rebase", "rebase"), ("allow_fast_forward_only_merge", "fast-forward-only"),
)  # fmt: skip
_LAST_NUMBER = re.compile(r"/(?:issues|pulls)/(\d{1,12})(?:[?#].*)?\Z")

Json = Mapping[str, Any]


def login(of: Any) -> str:
    """Who it was; empty for an account that is gone."""
    return str((of or {}).get("login") or "")


@shapes.known("Gitea")
def issue(repository: str, said: Json, *, me: str) -> Issue:
    author = login(said.get("user"))
    return Issue(
        repository=repository, number=int(said["number"]), title=str(said.get("title") or ""),
        body=marks.read(str(said.get("body") or ""), ours=author == me).text, author=author,
        state="closed" if said.get("state") == "closed" else "open",
        labels=tuple(str(label.get("name") or "") for label in said.get("labels") or ()),
        created=shapes.when(said.get("created_at")),
        assignees=tuple(login(each) for each in said.get("assignees") or ()),
        updated=shapes.changed(said),
    )  # fmt: skip


@shapes.known("Gitea")
def labelled_by(timeline: Iterable[Json], labels: Collection[str]) -> Labelled | None:
    """Of an issue's timeline, the oldest first: who put one of the labels on last. Taking one off is told without a 1."""
    put = [
        Labelled(login(each.get("user")), shapes.when(each.get("created_at"))) for each in timeline
        if each.get("type") == "label" and each.get("body") == "1" and (each.get("label") or {}).get("name") in labels
    ]  # fmt: skip
    return put[-1] if put else None


@shapes.known("Gitea")
def pull(repository: str, said: Json, *, me: str) -> PullRequest:
    author, base, head = login(said.get("user")), said.get("base") or {}, said.get("head") or {}
    title, draft = drafts.GITEA.read(str(said.get("title") or ""))
    text = marks.read(str(said.get("body") or ""), ours=author == me)
    merged = bool(said.get("merged"))
    state = "merged" if merged else "closed" if said.get("state") == "closed" else "open"
    return PullRequest(
        repository=repository, number=int(said["number"]), title=title, body=text.text, author=author, state=state,
        draft=state == "open" and (draft or bool(said.get("draft"))), branch=str(head.get("ref") or ""),
        base_ref=str(base.get("ref") or ""), head=str(head.get("sha") or ""), issue=text.issue,
        created=shapes.when(said.get("created_at")),
        merged_commit=str(said.get("merge_commit_sha") or "") or None if merged else None,
        fork=head.get("repo_id") != base.get("repo_id"), updated=shapes.changed(said),
    )  # fmt: skip


@shapes.known("Gitea")
def comment(repository: str, said: Json, *, me: str, number: int | None = None) -> Comment:
    author = login(said.get("user"))
    text = marks.read(str(said.get("body") or ""), ours=author == me)
    return Comment(
        id=int(said["id"]), repository=repository, number=number if number is not None else _number(said),
        author=author, body=text.text, marker=text.marker, created=shapes.when(said.get("created_at")),
    )  # fmt: skip


def _number(said: Json) -> int:
    """The issue or pull request a comment belongs to: only addresses of pages name it."""
    for key in ("pull_request_url", "issue_url"):
        found = _LAST_NUMBER.search(str(said.get(key) or ""))
        if found:
            return int(found[1])
    return 0


@shapes.known("Gitea")
def review_comment(repository: str, number: int, said: Json) -> ReviewComment:
    """``position`` is the line in the new file; a remark on a removed line has ``original_position`` alone."""
    return ReviewComment(
        id=int(said["id"]), repository=repository, number=number, author=login(said.get("user")),
        body=marks.read(str(said.get("body") or ""), ours=False).text, path=str(said.get("path") or ""),
        line=int(said.get("position") or 0) or None, commit=str(said.get("commit_id") or ""),
        created=shapes.when(said.get("created_at")),
    )  # fmt: skip


@shapes.known("Gitea")
def check(repository: str, commit: str, said: Json, *, me: str) -> Check:
    """A commit status; its marks are believed when we set it. The answer calls ``status`` what the request calls
    ``state``.
    """
    mine = login(said.get("creator")) == me
    ours = marks.status_marks(str(said.get("target_url") or "")) if mine else None
    state = str(said.get("status") or said.get("state") or "")
    external_id, conclusion = ours or (str(said.get("id") or ""), _CONCLUSIONS.get(state, "neutral"))
    return Check(
        repository=repository, commit=commit, name=str(said.get("context") or ""),
        conclusion=conclusion if conclusion in STATES else "neutral",
        summary=str(said.get("description") or ""), external_id=external_id,
    )  # fmt: skip


def merge_style(repository: Json) -> str:
    """The first style a repository allows: a merge commit keeps the judged commit in the history."""
    return next((style for flag, style in _STYLES if repository.get(flag, flag == _STYLES[0][0])), "merge")


def permission(said: Json) -> Permission:
    """``permission`` of a collaborator; a level nobody has heard of reads as none."""
    return _LEVELS.get(str(said.get("permission") or ""), Permission.NONE)
