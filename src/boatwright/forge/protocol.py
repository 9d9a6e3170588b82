"""Forge: where people talk. One contract; ``local`` is the embedded one, the others speak HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


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
class Check:
    repository: str
    commit: str
    name: str
    conclusion: str
    """``success``, ``failure``, ``neutral``, ``action_required`` or ``pending``."""
    summary: str
    external_id: str


class Forge(Protocol):
    @property
    def name(self) -> str: ...

    def push_url(self, repository: str) -> str:
        """Where the mirror pushes; for the local forge the path of a bare repository the host owns."""
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

    async def comments(self, repository: str, number: int) -> Sequence[Comment]: ...

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment: ...

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment: ...

    async def delete_comment(self, repository: str, comment: int) -> None: ...

    async def set_check(self, check: Check) -> Check:
        """Create or replace by ``external_id``."""
        ...

    async def checks(self, repository: str, commit: str) -> Sequence[Check]: ...
