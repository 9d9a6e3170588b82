"""Live turns: at most one per execution, and no command is ever left without one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Delete, RowMapping, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.inbox import Inbox
from boatwright.ledger.tables import from_text, live_turns, to_text, turn_numbers
from boatwright.values.clock import Clock

Guard = Callable[[Connection], None]
"""Raises inside the transaction when the caller may not write any more; everything is rolled back then."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A live turn. ``workflow`` is its id in the engine, ``<execution>.<turn>``."""

    execution: str
    turn: int
    workflow: str
    queue: str
    release: str
    claimed: datetime


class Turns:
    def __init__(self, database: Database, inbox: Inbox, clock: Clock) -> None:
        self._database = database
        self._inbox = inbox
        self._clock = clock

    def claim(self, execution: str, queue: str, release: str) -> Claimed | None:
        """One transaction: when a command waits and no turn is live, the next turn is. None otherwise."""
        with self._database.write() as writer:
            return self._claim(writer, execution, queue, release)

    def end(self, execution: str, turn: int, *, guard: Guard | None = None) -> bool:
        """One transaction: the turn is not live any more, and the inbox is read again. True when more waits.

        Ending a turn that has ended already is the same answer and changes nothing.
        """
        with self._database.write() as writer:
            self._lock(writer, execution)
            if guard is not None and self._is_live(writer, execution, turn):
                guard(writer)
            writer.execute(_row(execution, turn))
            return bool(self._inbox.waking(execution, connection=writer))

    def supersede(
        self, execution: str, turn: int, *, queue: str, release: str, reason: str
    ) -> Claimed | None:
        """One transaction: end the turn, let its commands wait again, claim the next turn under ``release``.

        None when somebody else has ended the turn meanwhile.
        """
        with self._database.write() as writer:
            self._lock(writer, execution)
            if not writer.execute(_row(execution, turn)).rowcount:
                return None
            self._inbox.give_back(execution, turn, connection=writer)
            self._inbox.put(
                execution,
                kind="upgrade",
                sender_key=f"upgrade:{turn}",
                author="boatwright",
                payload={"reason": reason, "release": release},
                connection=writer,
            )
            return self._claim(writer, execution, queue, release)

    def move(self, execution: str, turn: int, queue: str, *, connection: Connection) -> None:
        """The turn waits in another queue from now on."""
        mine = (live_turns.c.execution == execution) & (live_turns.c.turn == turn)
        connection.execute(update(live_turns).where(mine).values(queue=queue))

    def live(self, execution: str | None = None) -> list[Claimed]:
        query = select(live_turns).order_by(live_turns.c.claimed)
        if execution is not None:
            query = query.where(live_turns.c.execution == execution)
        with self._database.read() as reader:
            return [_claimed(row) for row in reader.execute(query).mappings()]

    def check_live(self, connection: Connection, execution: str, turn: int) -> None:
        """Raise ``errors.Stopped`` unless this is the live turn until the transaction of ``connection`` ends."""
        query = select(live_turns.c.turn).where(
            live_turns.c.execution == execution, live_turns.c.turn == turn
        )
        if connection.execute(query.with_for_update(read=True)).first() is None:
            raise errors.Stopped(f"turn {turn} of {execution} has been ended by another", subject=execution)

    def last(self, execution: str) -> int:
        """The number of the newest turn; 0 before the first."""
        query = select(turn_numbers.c.last).where(turn_numbers.c.execution == execution)
        with self._database.read() as reader:
            return int(reader.execute(query).scalar_one_or_none() or 0)

    def is_live(self, execution: str, turn: int) -> bool:
        with self._database.read() as reader:
            return self._is_live(reader, execution, turn)

    def _claim(self, writer: Connection, execution: str, queue: str, release: str) -> Claimed | None:
        last = self._lock(writer, execution)
        busy = select(live_turns.c.turn).where(live_turns.c.execution == execution)
        if writer.execute(busy).first() or not self._inbox.waking(execution, connection=writer):
            return None
        turn = last + 1
        row = {
            "execution": execution,
            "turn": turn,
            "workflow": f"{execution}.{turn}",
            "queue": queue,
            "release": release,
            "claimed": to_text(self._clock.now()),
        }
        writer.execute(insert(live_turns).values(**row))
        writer.execute(update(turn_numbers).where(turn_numbers.c.execution == execution).values(last=turn))
        return _claimed(row)

    def _lock(self, writer: Connection, execution: str) -> int:
        """Hold the execution's number row until the transaction ends; returns the last turn number.

        Claim and end of one execution queue up here on PostgreSQL too, so an end never misses a command
        that was stored before its caller looked for a live turn.
        """
        dialect = postgresql if self._database.dialect == "postgresql" else sqlite
        held = (
            dialect.insert(turn_numbers)
            .values(execution=execution, last=0)
            .on_conflict_do_update(index_elements=["execution"], set_={"last": turn_numbers.c.last})
            .returning(turn_numbers.c.last)
        )
        return int(writer.execute(held).scalar_one())

    def _is_live(self, connection: Connection, execution: str, turn: int) -> bool:
        query = select(live_turns.c.turn).where(
            live_turns.c.execution == execution, live_turns.c.turn == turn
        )
        return connection.execute(query).first() is not None


def _row(execution: str, turn: int) -> Delete:
    return delete(live_turns).where(live_turns.c.execution == execution, live_turns.c.turn == turn)


def _claimed(row: RowMapping | dict[str, object]) -> Claimed:
    values = dict(row)
    values["claimed"] = from_text(str(values["claimed"]))
    return Claimed(**values)
