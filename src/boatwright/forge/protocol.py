"""Forge: where people talk. One contract; ``local`` is the embedded one, the others speak HTTP."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from boatwright.values.checks import FailedCheck, TheirCheck
from boatwright.values.people import Permission


@dataclass(frozen=True, slots=True)
class Issue:
    repository: str
    number: int
    title: str
    body: str
    author: str
    state: str
    """``open`` or ``closed``."""
    labels: tuple[str, ...]
    created: datetime
    assignees: tuple[str, ...] = ()
    updated: datetime | None = None
    """When it, or what is said about it, changed last, by the forge's clock; None where it does not say."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label that was put on. ``by`` is empty where the account is gone; ``at`` is by the forge's clock."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PullRequest:
    repository: str
    number: int
    title: str
    body: str
    author: str
    state: str
    """``open``, ``closed`` or ``merged``."""
    draft: bool
    branch: str
    base_ref: str
    head: str
    issue: int | None
    created: datetime
    merged_commit: str | None = None
    fork: bool = False
    """Its branch is in somebody else's repository: nothing of ours is pushed there, and it gets no secret."""
    updated: datetime | None = None
    """As of an issue."""


@dataclass(frozen=True, slots=True)
class Comment:
    id: int
    repository: str
    number: int
    author: str
    body: str
    marker: str
    """Hidden name of a comment of ours (``living:<execution>``); empty for people's comments."""
    created: datetime


@dataclass(frozen=True, slots=True)
class ReviewComment:
    """What a person said about a line of a pull request. ``line`` counts in the file as the pull request has it;
    None: about the whole file, about a removed line, or about a line that is gone meanwhile.
    """

    id: int
    repository: str
    number: int
    author: str
    body: str
    path: str
    line: int | None
    commit: str
    created: datetime


@dataclass(frozen=True, slots=True)
class Annotation:
    """A remark of a check on a line. ``level`` is ``notice``, ``warning`` or ``failure``."""

    path: str
    line: int
    message: str
    level: str = "warning"


@dataclass(frozen=True, slots=True)
class MissingRight:
    """Something the forge does not let us do, why it is needed, and where a person grants it."""

    right: str
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Check:
    repository: str
    commit: str
    name: str
    conclusion: str
    """``success``, ``failure``, ``neutral``, ``action_required`` or ``pending``."""
    summary: str
    external_id: str
    annotations: tuple[Annotation, ...] = ()
    """Written only: a forge does not give them back with its list of checks."""


class Forge(Protocol):
    @property
    def name(self) -> str: ...

    def push_url(self, repository: str) -> str:
        """Where the mirror pushes; for the local forge the path of a bare repository the host owns."""
        ...

    async def credential(self, repository: str) -> bytes:
        """What git is to say where it pushes: lines of ``git credential`` (username, password); empty: nothing."""
        ...

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        """Make the repository known, once; the same name again changes nothing. Where a server keeps them:
        it is there.
        """
        ...

    async def issue(self, repository: str, number: int) -> Issue: ...

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue: ...

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]: ...

    async def close_issue(self, repository: str, number: int) -> Issue: ...

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        """Put another description in the place of the one there is."""
        ...

    async def pull_request(self, repository: str, number: int) -> PullRequest: ...

    async def pull_requests(
        self, repository: str, *, state: str | None = "open"
    ) -> Sequence[PullRequest]: ...

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        """By head branch, newest first, whatever its state: look before opening one."""
        ...

    async def open_pull_request(
        self,
        repository: str,
        *,
        title: str,
        body: str,
        branch: str,
        base_ref: str,
        draft: bool,
        author: str,
        issue: int | None,
    ) -> PullRequest: ...

    async def update_pull_request(
        self,
        repository: str,
        number: int,
        *,
        title: str | None = None,
        body: str | None = None,
        draft: bool | None = None,
        head: str | None = None,
    ) -> PullRequest: ...

    async def close_pull_request(self, repository: str, number: int) -> PullRequest: ...

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        """Merge exactly ``head`` into its base; ``errors.Conflict`` when the head moved or it does not
        merge.
        """
        ...

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        """In the order they were written. With ``since``: all that were written then or later, at the price of those
        alone where the forge lets us; some that are older may come along.
        """
        ...

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment: ...

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment: ...

    async def delete_comment(self, repository: str, comment: int) -> None: ...

    async def set_check(self, check: Check) -> Check:
        """Create or replace by ``external_id``."""
        ...

    async def checks(self, repository: str, commit: str) -> Sequence[Check]: ...

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        """How the checks stand that others set on a commit; none of ours, the newest of each, by name."""
        ...

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        """Those of them that failed, with what they said: the end of the log where one can be read."""
        ...

    # --- people, and what they may do ---

    async def me(self) -> str:
        """Who we are there: what this login wrote is ours, and never a reason to act (the loop guard)."""
        ...

    async def permission(self, repository: str, login: str) -> Permission:
        """What a person may do in the repository; ``NONE`` for nobody the forge knows."""
        ...

    async def is_member(self, organisation: str, login: str) -> bool: ...

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        """What we lack there, asked before anything is spent; empty: nothing is missing."""
        ...

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        """What we lack to push a change of these paths beside the right to push; nothing where that cannot be known."""
        ...

    # --- conversation ---

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        """Show that an issue, a pull request or one of its comments was seen. Twice is once."""
        ...

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        """What was said about lines of a pull request, in the order it was said. ``since``: as of :meth:`comments`."""
        ...

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        """Add and remove labels of an issue; what is there already, or gone already, is fine."""
        ...

    async def labelled_by(self, repository: str, number: int, labels: Collection[str]) -> Labelled | None:
        """Who put one of these labels on an issue, the newest time; None where the forge has no record of it."""
        ...

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        """The names of the checks without which nothing is merged into that branch."""
        ...
