"""The inbox: what people and machines tell an execution, one row each, taken by exactly one turn."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, from_text, inbox, live_turns, to_text
from boatwright.values.clock import Clock

STOPPING = ("cancel", "stop", "cut", "close", "merge")
"""Kinds a live turn obeys at once: told to stop, or its pull request is decided."""
QUIET = ("raise", "approved")
"""Kinds that wake nobody: they are facts for the next turn, not work."""


@dataclass(frozen=True, slots=True)
class Command:
    """One row. ``sender_key`` is unique in the execution: the same message delivered again is the same row."""

    id: int
    execution: str
    kind: str
    sender_key: str
    author: str
    payload: Mapping[str, Any]
    created: datetime


class Inbox:
    """Every method may be handed the caller's write transaction; else it uses one of its own."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def put(
        self,
        execution: str,
        *,
        kind: str,
        sender_key: str,
        author: str = "",
        payload: Mapping[str, Any] | None = None,
        connection: Connection | None = None,
    ) -> bool:
        """Store one row; False when this sender key is there already (taken or not)."""
        dialect = postgresql if self._database.dialect == "postgresql" else sqlite
        row = {
            "execution": execution,
            "kind": kind,
            "sender_key": sender_key,
            "author": author,
            "payload": canonical(dict(payload or {})),
            "created": to_text(self._clock.now()),
        }
        stored = dialect.insert(inbox).values(**row).on_conflict_do_nothing().returning(inbox.c.id)
        with self._writing(connection) as writer:
            return writer.execute(stored).first() is not None

    def has(self, execution: str, sender_key: str) -> bool:
        """Whether this message was stored before, taken or not."""
        return bool(self._rows(execution, inbox.c.sender_key == sender_key, None))

    def waiting(self, execution: str, *, connection: Connection | None = None) -> list[Command]:
        """Rows no turn has taken, oldest first."""
        return self._rows(execution, inbox.c.taken_turn.is_(None), connection)

    def waking(self, execution: str, *, connection: Connection | None = None) -> list[Command]:
        """Waiting rows that are reason enough for a turn; the quiet ones are taken along with the next of these."""
        return self._rows(execution, inbox.c.taken_turn.is_(None) & inbox.c.kind.not_in(QUIET), connection)

    def of_turn(self, execution: str, turn: int, *, connection: Connection | None = None) -> list[Command]:
        return self._rows(execution, inbox.c.taken_turn == turn, connection)

    def take(self, execution: str, turn: int) -> list[Command]:
        """The rows of this turn. The first call takes what waits; a redone turn gets the same rows again."""
        with self._database.write() as writer:
            mine = self.of_turn(execution, turn, connection=writer)
            if mine:
                return mine
            free = (inbox.c.execution == execution) & inbox.c.taken_turn.is_(None)
            writer.execute(update(inbox).where(free).values(taken_turn=turn))
            return self.of_turn(execution, turn, connection=writer)

    def absorb(self, execution: str, turn: int, kinds: Sequence[str]) -> int:
        """Give waiting rows of these kinds to a turn that is going on with the work they ask for anyway."""
        wanted = (
            (inbox.c.execution == execution) & inbox.c.taken_turn.is_(None) & inbox.c.kind.in_(list(kinds))
        )
        with self._database.write() as writer:
            return writer.execute(update(inbox).where(wanted).values(taken_turn=turn)).rowcount

    def give_back(self, execution: str, turn: int, *, connection: Connection) -> None:
        """The turn was superseded before it did what its rows ask for: they wait again."""
        taken = (inbox.c.execution == execution) & (inbox.c.taken_turn == turn)
        connection.execute(update(inbox).where(taken).values(taken_turn=None))

    def stop_requested(self, execution: str, *, connection: Connection | None = None) -> Command | None:
        """The first row that tells a live turn to stop, if one waits."""
        found = self._rows(execution, inbox.c.taken_turn.is_(None) & inbox.c.kind.in_(STOPPING), connection)
        return found[0] if found else None

    def unattended(self, older_than: timedelta) -> list[str]:
        """Executions with a row that has waited this long and no live turn: the sweep starts one."""
        before = to_text(self._clock.now() - older_than)
        live = select(live_turns.c.execution).where(live_turns.c.execution == inbox.c.execution).exists()
        query = select(inbox.c.execution).where(
            inbox.c.taken_turn.is_(None), inbox.c.kind.not_in(QUIET), inbox.c.created <= before, ~live
        )
        with self._database.read() as reader:
            return list(reader.execute(query.distinct().order_by(inbox.c.execution)).scalars())

    def _rows(self, execution: str, condition: Any, connection: Connection | None) -> list[Command]:
        query = select(inbox).where(inbox.c.execution == execution, condition).order_by(inbox.c.id)
        with self._reading(connection) as reader:
            return [_command(row) for row in reader.execute(query).mappings()]

    def _writing(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return nullcontext(connection) if connection is not None else self._database.write()

    def _reading(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return nullcontext(connection) if connection is not None else self._database.read()


def _command(row: RowMapping) -> Command:
    return Command(
        id=row["id"],
        execution=row["execution"],
        kind=row["kind"],
        sender_key=row["sender_key"],
        author=row["author"],
        payload=json.loads(row["payload"]),
        created=from_text(row["created"]),
    )
