"""The local forge's people: there is one kind, whoever may write the state directory, and everybody of it may do everything.

Reactions and remarks on lines are for pages that people look at; this forge has none, so it takes the first and has no
second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection

from boatwright.config.paths import StateDir
from boatwright.forge import local_rows as rows
from boatwright.forge.protocol import Check, Issue, Labelled, MissingRight, ReviewComment
from boatwright.ledger.database import Database
from boatwright.rules import their_checks
from boatwright.values.checks import FailedCheck, Standing, TheirCheck
from boatwright.values.clock import Clock, Ids
from boatwright.values.people import Permission

T = TypeVar("T")
ME = "boatwright"


class LocalPeople:
    """What ``forge.protocol.Forge`` asks about people, and the doors to the database."""

    def __init__(self, database: Database, state: StateDir, *, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._state = state
        self._clock = clock
        self._ids = ids

    async def credential(self, repository: str) -> bytes:
        """A path of our own asks for none."""
        return b""

    async def me(self) -> str:
        return ME

    async def permission(self, repository: str, login: str) -> Permission:
        """Everything: who could write the request could write the rows as well."""
        await self._read(lambda connection: rows.repository(connection, repository))
        return Permission.ADMIN if login else Permission.NONE

    async def is_member(self, organisation: str, login: str) -> bool:
        return bool(login)

    async def rights(self, repository: str) -> Sequence[MissingRight]:
        await self._read(lambda connection: rows.repository(connection, repository))
        return ()

    async def react(
        self, repository: str, number: int, *, comment: int | None = None, reaction: str = "eyes"
    ) -> None:
        """Nobody would see it; the number must exist all the same."""
        await self._read(lambda connection: rows.require_number(connection, repository, number))

    async def review_comments(
        self, repository: str, number: int, *, since: datetime | None = None
    ) -> Sequence[ReviewComment]:
        await self._read(lambda connection: rows.pull(connection, repository, number))
        return ()

    async def relabel(
        self, repository: str, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> Issue:
        gone = {rows.storable(label) for label in remove}

        def change(connection: Connection) -> Issue:
            rows.hold(connection, repository)
            found = rows.issue(connection, repository, number)
            wanted = dict.fromkeys((*found.labels, *map(rows.storable, add)))
            labels = tuple(label for label in wanted if label not in gone)
            rows.set_labels(connection, repository, number, labels)
            return replace(found, labels=labels)

        return await self._write(change)

    async def labelled_by(self, repository: str, number: int, labels: Collection[str]) -> Labelled | None:
        """There is no record of it here."""
        await self._read(lambda connection: rows.issue(connection, repository, number))
        return None

    async def required_checks(self, repository: str, branch: str) -> Sequence[str]:
        await self._read(lambda connection: rows.repository(connection, repository))
        return ()

    async def missing_for(self, repository: str, paths: Collection[str]) -> Sequence[MissingRight]:
        """Nothing: whoever writes the state may do everything here."""
        return ()

    async def their_checks(self, repository: str, commit: str) -> Sequence[TheirCheck]:
        """What somebody else put into the ledger under a name that is not ours."""
        checks = await self._of_others(repository, commit)
        return [TheirCheck(c.name, their_checks.standing(c.conclusion), c.conclusion) for c in checks]

    async def failed_checks(self, repository: str, commit: str) -> Sequence[FailedCheck]:
        checks = await self._of_others(repository, commit)
        failed = [c for c in checks if their_checks.standing(c.conclusion) is Standing.FAILED]
        return [FailedCheck(c.name, c.conclusion, "", c.summary) for c in failed]

    async def _of_others(self, repository: str, commit: str) -> Sequence[Check]:
        checks = await self._read(lambda connection: rows.checks(connection, repository, commit))
        return [check for check in checks if not their_checks.is_ours(check.name)]

    # --- doors to the database -----------------------------------------------------------------------------

    async def _read(self, body: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._database.read() as connection:
                return body(connection)

        return await asyncio.to_thread(run)

    async def _write(self, body: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._database.write() as connection:
                return body(connection)

        return await asyncio.to_thread(run)
