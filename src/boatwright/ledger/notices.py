"""Notices to people outside: how far the events were read for them, and one row for each on each channel.

The mark moves in the transaction that writes the rows, so a kill loses none. A row is claimed before it is sent and done
after; a kill between those sends it once more, under the same id.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, from_text, notices, read_marks, to_text
from boatwright.rules import notices as rule
from boatwright.values.clock import Clock
from boatwright.values.notice import Channel, Notice

MARK = "notices"
_ERROR_CAP = 500


class NoticeState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"  # tried to the end


@dataclass(frozen=True, slots=True)
class Kept:
    """One row. ``attempts`` counts those that were begun."""

    notice: Notice
    sequence: int
    channel: Channel
    state: NoticeState
    attempts: int
    created: datetime
    error: str = ""


class Notices:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    # --- reading events ---

    def mark(self, first: int) -> int:
        """Up to which position events were read; ``first``, which is written down, where nobody has begun."""
        mine = select(read_marks.c.position).where(read_marks.c.name == MARK)
        begin = self._dialect.insert(read_marks).values(name=MARK, position=first)
        with self._database.read() as reader:
            found = reader.execute(mine).scalar_one_or_none()
        if found is not None:
            return int(found)
        with self._database.write() as writer:
            writer.execute(begin.on_conflict_do_nothing())
            return int(writer.execute(mine).scalar_one())

    def keep(
        self, told: Sequence[tuple[int, Notice]], channels: Collection[Channel], *, after: int, upto: int
    ) -> bool:
        """Move the mark from ``after`` to ``upto``, write a row of each notice, by its event's sequence, for each channel.

        False, with nothing changed, when somebody else has moved it meanwhile.
        """
        now = to_text(self._clock.now())
        fresh = [_values(notice, sequence, each, now) for sequence, notice in told for each in channels]
        moved = update(read_marks).where(read_marks.c.name == MARK, read_marks.c.position == after)
        with self._database.write() as writer:
            if writer.execute(moved.values(position=upto)).rowcount != 1:
                return False
            if fresh:
                writer.execute(self._dialect.insert(notices).on_conflict_do_nothing(), fresh)
            return True

    # --- sending ---

    def due(self, channels: Collection[Channel], limit: int = 20) -> list[Kept]:
        """What may be sent now, the oldest first."""
        query = select(notices).where(
            notices.c.state == NoticeState.WAITING.value,
            notices.c.channel.in_([each.value for each in channels]),
            self._ready(),
        )
        with self._database.read() as reader:
            return [
                _kept(row) for row in reader.execute(query.order_by(notices.c.created, *_KEY).limit(limit))
            ]

    def claim(self, kept: Kept) -> bool:
        """Have it for :data:`rules.notices.HELD`, one more attempt counted; False when another worker has it."""
        mine = and_(_is(kept), notices.c.attempts == kept.attempts, self._ready())
        held = to_text(self._clock.now() + rule.HELD)
        with self._database.write() as writer:
            claimed = update(notices).where(mine).values(attempts=notices.c.attempts + 1, next_try=held)
            return writer.execute(claimed).rowcount == 1

    def sent(self, kept: Kept) -> None:
        """It has arrived; what it said is not kept any longer."""
        self._finish(kept, state=NoticeState.SENT.value, document="", error="")

    def failed(self, kept: Kept, why: str) -> datetime | None:
        """The attempt that :meth:`claim` began did not arrive. Returns when the next is due; None: there is none."""
        pause = rule.pause(kept.attempts + 1)
        if pause is None:
            self._finish(kept, state=NoticeState.DEAD.value, error=why[:_ERROR_CAP])
            return None
        due = self._clock.now() + pause
        with self._database.write() as writer:
            later = {"next_try": to_text(due), "error": why[:_ERROR_CAP]}
            writer.execute(update(notices).where(_is(kept)).values(**later))
        return due

    def _finish(self, kept: Kept, **values: Any) -> None:
        done = {"next_try": null(), "finished": to_text(self._clock.now()), **values}
        with self._database.write() as writer:
            writer.execute(update(notices).where(_is(kept)).values(**done))

    # --- people ---

    def unsent(self, since: datetime) -> list[Kept]:
        """What nobody was told since then: it waits, or it was given up."""
        open_ = notices.c.state.in_([NoticeState.WAITING.value, NoticeState.DEAD.value])
        query = select(notices).where(open_, notices.c.created >= to_text(since))
        with self._database.read() as reader:
            return [_kept(row) for row in reader.execute(query.order_by(notices.c.created, *_KEY))]

    def _ready(self) -> ColumnElement[bool]:
        return or_(notices.c.next_try.is_(None), notices.c.next_try <= to_text(self._clock.now()))


_KEY = (notices.c.execution, notices.c.sequence, notices.c.channel)


def _is(kept: Kept) -> ColumnElement[bool]:
    """Its row, as long as it waits."""
    return and_(
        notices.c.execution == kept.notice.execution,
        notices.c.sequence == kept.sequence,
        notices.c.channel == kept.channel.value,
        notices.c.state == NoticeState.WAITING.value,
    )


def _values(notice: Notice, sequence: int, channel: Channel, now: str) -> dict[str, Any]:
    return {
        "execution": notice.execution,
        "sequence": sequence,
        "channel": channel.value,
        "document": canonical(notice.model_dump(mode="json")),
        "state": NoticeState.WAITING.value,
        "attempts": 0,
        "next_try": None,
        "error": "",
        "created": now,
    }


def _kept(row: Row[Any]) -> Kept:
    return Kept(
        notice=Notice.model_validate_json(row.document),
        sequence=row.sequence,
        channel=Channel(row.channel),
        state=NoticeState(row.state),
        attempts=row.attempts,
        created=from_text(row.created),
        error=row.error,
    )
