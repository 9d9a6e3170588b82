"""The local forge: issues, pull requests, comments and checks in the ledger's database, branches in bare
repositories.

The embedded default: no server, no account. Its rows are truth themselves. Who may write the state
directory may do everything here; the names of authors are for the record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection

from boatwright import errors
from boatwright.forge import local_rows as rows
from boatwright.forge.local_git import Bare, MergeOrder
from boatwright.forge.local_people import LocalPeople
from boatwright.forge.local_rows import Repository
from boatwright.forge.protocol import Check, Comment, Issue, PullRequest
from boatwright.git import names
from boatwright.git.run import redact
from boatwright.ledger import tables
from boatwright.rules import naming

CONCLUSIONS = frozenset({"success", "failure", "neutral", "action_required", "pending"})

T = TypeVar("T")


class LocalForge(LocalPeople):
    """``forge.protocol.Forge`` on this host. Tasks, threads and processes may all use it at once."""

    @property
    def name(self) -> str:
        return "local"

    # --- repositories --------------------------------------------------------------------------------------

    async def add_repository(self, repository: str, *, source: str, default_branch: str) -> None:
        """Make a repository known, with an empty bare repository behind it; the same name again changes
        nothing.
        """
        await asyncio.to_thread(self._add_repository, repository, source, default_branch)

    def _add_repository(self, repository: str, source: str, default_branch: str) -> None:
        if not naming.valid_repository_id(repository):
            raise errors.BadInput(f"{repository[:80]!r} is not a repository id", subject=repository[:80])
        Bare.make(self.path(repository), default_branch)
        created = tables.to_text(self._clock.now())
        with self._database.write() as connection:
            rows.insert_new(
                connection, rows.REPOSITORIES, name=repository, source=redact(source),
                default_branch=default_branch, created=created,
            )  # fmt: skip
            rows.insert_new(connection, rows.NUMBERS, repository=repository, last=0)

    async def repository(self, repository: str) -> Repository:
        """``errors.NotFound`` when nobody has added it."""
        return await self._read(lambda connection: rows.repository(connection, repository))

    def path(self, repository: str) -> Path:
        """The bare repository's directory."""
        if not naming.valid_repository_id(repository):
            raise rows.unknown_repository(repository[:80])
        return self._state.forge / f"{repository}.git"

    def push_url(self, repository: str) -> str:
        return str(self.path(repository))

    # --- issues --------------------------------------------------------------------------------------------

    async def issue(self, repository: str, number: int) -> Issue:
        return await self._read(lambda connection: rows.issue(connection, repository, number))

    async def create_issue(
        self, repository: str, *, title: str, body: str, author: str, labels: Sequence[str] = ()
    ) -> Issue:
        made = Issue(
            repository=repository, number=0, title=_title(title), body=rows.storable(body), author=author,
            state="open", labels=tuple(dict.fromkeys(map(rows.storable, labels))), created=self._clock.now(),
        )  # fmt: skip

        def create(connection: Connection) -> Issue:
            numbered = replace(made, number=rows.next_number(connection, repository))
            rows.add_issue(connection, numbered)
            return numbered

        return await self._write(create)

    async def issues(self, repository: str, *, state: str | None = "open") -> Sequence[Issue]:
        return await self._read(lambda connection: rows.issues(connection, repository, state))

    async def close_issue(self, repository: str, number: int) -> Issue:
        def close(connection: Connection) -> Issue:
            rows.hold(connection, repository)
            found = rows.issue(connection, repository, number)
            rows.set_issue_state(connection, repository, number, "closed")
            return replace(found, state="closed")

        return await self._write(close)

    async def describe_issue(self, repository: str, number: int, *, body: str) -> Issue:
        def describe(connection: Connection) -> Issue:
            rows.hold(connection, repository)
            rows.issue(connection, repository, number)
            rows.set_issue_body(connection, repository, number, rows.storable(body))
            return rows.issue(connection, repository, number)

        return await self._write(describe)

    # --- pull requests -------------------------------------------------------------------------------------

    async def pull_request(self, repository: str, number: int) -> PullRequest:
        found = await self._read(lambda connection: rows.pull(connection, repository, number))
        return (await self._as_they_stand(repository, [found]))[0]

    async def pull_requests(self, repository: str, *, state: str | None = "open") -> Sequence[PullRequest]:
        found = await self._read(lambda connection: rows.pulls(connection, repository, state))
        return await self._as_they_stand(repository, found)

    async def find_pull_request(self, repository: str, *, branch: str) -> PullRequest | None:
        found = await self._read(lambda connection: rows.pulls_of_branch(connection, repository, branch))
        return (await self._as_they_stand(repository, found[:1]))[0] if found else None

    async def open_pull_request(
        self, repository: str, *, title: str, body: str, branch: str, base_ref: str, draft: bool, author: str,
        issue: int | None,
    ) -> PullRequest:  # fmt: skip
        """One open pull request per branch: a second call finds the first one. The branch must have been
        pushed.
        """
        head = await self._required_head(repository, branch)
        made = PullRequest(
            repository=repository, number=0, title=_title(title), body=rows.storable(body), author=author,
            state="open", draft=draft, branch=branch, base_ref=base_ref, head=head, issue=issue,
            created=self._clock.now(),
        )  # fmt: skip

        def find_or_open(connection: Connection) -> PullRequest:
            rows.hold(connection, repository)
            for found in rows.pulls_of_branch(connection, repository, branch):
                if found.state == "open":
                    return found
            numbered = replace(made, number=rows.next_number(connection, repository))
            rows.add_pull(connection, numbered)
            return numbered

        return await self._write(find_or_open)

    async def update_pull_request(
        self, repository: str, number: int, *, title: str | None = None, body: str | None = None,
        draft: bool | None = None, head: str | None = None,
    ) -> PullRequest:  # fmt: skip
        """Change an open pull request. ``head`` is the commit the caller speaks of: ``errors.Conflict``
        when the branch is elsewhere, so that nobody calls a commit ready that was not judged.
        """
        now = await self.pull_request(repository, number)
        if head is not None and now.head != names.oid(head):
            raise _moved(now, head)
        said = {
            "title": None if title is None else _title(title),
            "body": None if body is None else rows.storable(body),
            "draft": draft,
            "head": head,
        }
        values = {name: value for name, value in said.items() if value is not None}

        def change(connection: Connection) -> PullRequest:
            rows.hold(connection, repository)
            found = rows.pull(connection, repository, number)
            if found.state != "open":
                raise _settled(f"pull request {number} is {found.state}", number)
            rows.change_pull(connection, repository, number, **values)
            return rows.pull(connection, repository, number)

        return replace(await self._write(change), head=now.head)

    async def close_pull_request(self, repository: str, number: int) -> PullRequest:
        """Close without merging. Closed already is fine; ``errors.Conflict`` when it is merged."""
        return await asyncio.to_thread(self._close, repository, number)

    def _close(self, repository: str, number: int) -> PullRequest:
        bare = self._bare(repository)
        with bare.lock(), self._database.write() as connection:
            rows.hold(connection, repository)
            found = rows.pull(connection, repository, number)
            if found.state == "merged":
                raise _settled(f"pull request {number} is merged already", number)
            head = bare.head(found.branch) or found.head
            rows.change_pull(connection, repository, number, state="closed", head=head)
            return rows.pull(connection, repository, number)

    async def merge_pull_request(self, repository: str, number: int, *, head: str) -> PullRequest:
        """Merge exactly ``head`` with a merge commit, in the bare repository only; the issue it is for is
        closed.

        A redo after a crash finds the merge and records it. ``errors.Conflict`` when the head moved, when
        the two do not merge, or when it was closed.
        """
        return await asyncio.to_thread(self._merge, repository, number, names.oid(head))

    def _merge(self, repository: str, number: int, head: str) -> PullRequest:
        bare = self._bare(repository)
        with self._database.read() as connection:
            place = rows.repository(connection, repository)
        with bare.lock():  # from looking at the row to changing it nobody closes or merges
            with self._database.read() as connection:
                pull = rows.pull(connection, repository, number)
            if pull.state == "merged" and pull.head == head:
                return pull
            if pull.state != "open":
                raise _settled(f"pull request {number} is {pull.state} already", number)
            bare.refresh(pull.base_ref, place.source)
            merged = bare.merge_in(self._order(pull, head))
            return self._record_merge(pull, head, merged)

    def _order(self, pull: PullRequest, head: str) -> MergeOrder:
        return MergeOrder(
            branch=pull.branch, head=head, base=pull.base_ref, when=self._clock.now(),
            message=f"Merge pull request {pull.number} from {pull.branch}\n\n{pull.title}",
        )  # fmt: skip

    def _record_merge(self, pull: PullRequest, head: str, merged: str) -> PullRequest:
        with self._database.write() as connection:
            rows.hold(connection, pull.repository)
            rows.change_pull(
                connection,
                pull.repository,
                pull.number,
                state="merged",
                draft=False,
                head=head,
                merged_commit=merged,
            )
            if pull.issue is not None:
                rows.set_issue_state(connection, pull.repository, pull.issue, "closed")
            return rows.pull(connection, pull.repository, pull.number)

    async def diff(self, repository: str, number: int) -> str:
        """The pull request's patch for reading: what its head changes since it left the base."""
        return await self._diff(repository, number, Bare.diff, "")

    async def patch(self, repository: str, number: int) -> bytes:
        """The same patch byte for byte, for ``git apply``. Untrusted: never for a terminal."""
        return await self._diff(repository, number, Bare.diff_bytes, b"")

    async def _diff(self, repository: str, number: int, of: Callable[[Bare, str, str], T], empty: T) -> T:
        pull = await self.pull_request(repository, number)

        def difference() -> T:
            bare = self._bare(repository)
            base = bare.head(pull.base_ref) if naming.valid_branch(pull.base_ref) else None
            start = bare.fork_point(pull.head, base, pull.merged_commit)
            return empty if start is None else of(bare, start, pull.head)

        return await asyncio.to_thread(difference)

    async def _required_head(self, repository: str, branch: str) -> str:
        await self.repository(repository)
        head = await asyncio.to_thread(self._bare(repository).head, branch)
        if head is None:
            raise errors.BadInput(
                f"there is no branch {branch} in the local forge's {repository}", subject=branch,
                next_moves=(f"git push {self.path(repository)} HEAD:refs/heads/{branch}",),
            )  # fmt: skip
        return head

    async def _as_they_stand(self, repository: str, pulls: Sequence[PullRequest]) -> list[PullRequest]:
        """An open pull request's head is where its branch is now, whoever pushed; ready belongs to one commit."""
        if all(pull.state != "open" for pull in pulls):
            return list(pulls)
        heads = await asyncio.to_thread(self._bare(repository).heads)
        return [
            _at(pull, heads.get(pull.branch, pull.head)) if pull.state == "open" else pull for pull in pulls
        ]

    # --- comments and checks -------------------------------------------------------------------------------

    async def comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[Comment]:
        def read(connection: Connection) -> Sequence[Comment]:
            rows.require_number(connection, repository, number)
            found = rows.comments(connection, repository, number)
            return [each for each in found if since is None or each.created >= since]

        return await self._read(read)

    async def post_comment(
        self, repository: str, number: int, *, author: str, body: str, marker: str = ""
    ) -> Comment:
        created = self._clock.now()

        def post(connection: Connection) -> Comment:
            rows.hold(connection, repository)
            rows.require_number(connection, repository, number)
            return rows.add_comment(
                connection, repository, number, author=author, body=rows.storable(body), marker=marker,
                created=created,
            )  # fmt: skip

        return await self._write(post)

    async def edit_comment(self, repository: str, comment: int, *, body: str) -> Comment:
        edited, text = self._clock.now(), rows.storable(body)
        return await self._write(
            lambda connection: rows.edit_comment(connection, repository, comment, body=text, edited=edited)
        )

    async def delete_comment(self, repository: str, comment: int) -> None:
        """Gone already is fine."""
        await self._write(lambda connection: rows.delete_comment(connection, repository, comment))

    async def set_check(self, check: Check) -> Check:
        if check.conclusion not in CONCLUSIONS:
            raise errors.BadInput(
                f"{check.conclusion!r} is not a conclusion: {', '.join(sorted(CONCLUSIONS))}",
                subject=check.name,
            )
        stored = replace(check, commit=names.oid(check.commit), summary=rows.storable(check.summary))
        now = self._clock.now()

        def put(connection: Connection) -> Check:
            rows.repository(connection, check.repository)
            rows.put_check(connection, stored, now)
            return stored

        return await self._write(put)

    async def checks(self, repository: str, commit: str) -> Sequence[Check]:
        return await self._read(lambda connection: rows.checks(connection, repository, commit))

    def _bare(self, repository: str) -> Bare:
        path = self.path(repository)
        if not path.is_dir():
            raise rows.unknown_repository(repository)
        return Bare(path)


def _at(pull: PullRequest, head: str) -> PullRequest:
    """The pull request with its branch at ``head``: a draft again when that is not the commit it was ready at."""
    return replace(pull, head=head, draft=pull.draft or head != pull.head)


def _title(text: str) -> str:
    """One line, not empty."""
    title = " ".join(rows.storable(text).split())
    if not title:
        raise errors.BadInput("the title is empty", next_moves=('--title "…"',))
    return title


def _moved(pull: PullRequest, head: str) -> errors.Conflict:
    return errors.Conflict(
        f"pull request {pull.number} is at {pull.head[:12]}, not at {head[:12]}",
        subject=str(pull.number),
        next_moves=(f"look again: boatwright pr diff {pull.number}",),
    )


def _settled(sentence: str, number: int) -> errors.Conflict:
    return errors.Conflict(sentence, subject=str(number), next_moves=(f"boatwright pr show {number}",))
