"""Deliveries of forges: each is kept with its original bytes until what it asks is done, and then known as done.

A delivery that comes again is looked up by (forge, hook, delivery id), and is the same one if it has the same bytes and
the same signer. *Processed*, not *seen*, is what makes it a duplicate: one that was seen and failed runs again. Rows are
truth themselves; no event can rebuild them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.tables import deliveries, from_text, to_text
from boatwright.rules import redelivery
from boatwright.values.clock import Clock
from boatwright.values.delivery import Arrival, Delivery, DeliveryState, Stored

_OPEN = (DeliveryState.RECEIVED.value, DeliveryState.FAILED.value)
_SHOWN = [column for column in deliveries.c if column.name != "body"]
_ERROR_CAP = 500
_AT_ONCE = 50
_OTHER = "~"
"""Parts the id a sender gave from what tells its second use from the first. No sender can write it."""
_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Before:
    """One that is here. ``made``: digest and signer, which make it that one."""

    made: tuple[str, str]
    state: str


class Deliveries:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    # --- the door ---

    def store(self, batch: Sequence[Arrival]) -> list[Stored]:
        """Keep these, in one transaction, and say what each was to us. All are durable when this returns.

        A known id with other bytes, or of another signer, is another delivery: it is kept under an id of its own, also
        where both come in one batch. Who holds the secret of one repository so takes no id from any other. One that
        failed or is dead and comes again is tried again at once.
        """
        if not batch:
            return []
        digests = [hashlib.sha256(each.body).hexdigest() for each in batch]
        now = to_text(self._clock.now())
        rows = [_row(each, digest, now) for each, digest in zip(batch, digests, strict=True)]
        with self._database.write() as writer:
            known = self._known(writer, rows)
            first = {key: before.made for key, before in known.items()}
            for row in rows:
                if first.setdefault(_key(row), _made(row)) != _made(row):
                    row["delivery"] += _OTHER + _short(row)
            known |= self._known(writer, [row for row in rows if _OTHER in row["delivery"]])
            return self._insert(writer, rows, known)

    def _insert(
        self, writer: Connection, rows: Sequence[dict[str, Any]], known: dict[_Key, _Before]
    ) -> list[Stored]:
        answers: list[Stored] = []
        fresh: dict[_Key, dict[str, Any]] = {}
        revived: list[_Key] = []
        for row in rows:
            key = _key(row)
            state = known[key].state if key in known else ""
            if not state:
                answers.append(Stored.AGAIN if key in fresh else Stored.NEW)
                fresh.setdefault(key, row)
            elif state == DeliveryState.PROCESSED:
                answers.append(Stored.PROCESSED)
            else:
                answers.append(Stored.AGAIN)
                revived += [key] if state != DeliveryState.RECEIVED else []
        if fresh:
            # Another process may have stored the same a moment ago: then it is kept, which is all we promise.
            insert = self._dialect.insert(deliveries)
            writer.execute(insert.on_conflict_do_nothing(), list(fresh.values()))
        for key in revived:
            ended = deliveries.c.state.in_((DeliveryState.FAILED.value, DeliveryState.DEAD.value))
            writer.execute(update(deliveries).where(_is(key), ended).values(**_ALIVE))
        return answers

    def _known(self, writer: Connection, rows: Iterable[Mapping[str, Any]]) -> dict[_Key, _Before]:
        """Those that are here already, by key."""
        names = sorted({row["delivery"] for row in rows})
        if not names:
            return {}
        found = writer.execute(
            select(
                deliveries.c.forge, deliveries.c.hook, deliveries.c.delivery, deliveries.c.digest,
                deliveries.c.signer, deliveries.c.state,
            ).where(deliveries.c.delivery.in_(names))
        )  # fmt: skip
        return {
            (row.forge, row.hook, row.delivery): _Before((row.digest, row.signer), row.state) for row in found
        }

    # --- the pump ---

    def now(self) -> datetime:
        """By the clock that says what is due."""
        return self._clock.now()

    def due(self) -> list[int]:
        """The numbers of all that wait to be processed and may be tried now, in the order they came."""
        query = select(deliveries.c.id).where(self._ready()).order_by(deliveries.c.id)
        with self._database.read() as reader:
            return list(reader.execute(query).scalars())

    def begin(self, number: int) -> bool:
        """Count one more attempt, before it is made: one that kills its worker is counted, too.

        False when it is not to be tried: somebody has processed it meanwhile, its next try is not due yet, or it killed
        whoever tried too often, and is dead now.
        """
        mine = (deliveries.c.id == number) & self._ready()
        with self._database.write() as writer:
            counted = update(deliveries).where(mine).values(attempts=deliveries.c.attempts + 1)
            attempts = writer.execute(counted.returning(deliveries.c.attempts)).scalar_one_or_none()
            if attempts is None:
                return False
            if attempts <= redelivery.MOST_ATTEMPTS:
                return True
            self._bury(writer, number, "every attempt at it ended with its worker")
            return False

    def finish(
        self,
        number: int,
        outcome: str,
        *,
        reason: str = "",
        about: str = "",
        connection: Connection | None = None,
    ) -> bool:
        """It is processed. False when it was already; then nothing changes."""
        done = {
            "state": DeliveryState.PROCESSED.value, "outcome": outcome, "reason": reason, "about": about[:_ERROR_CAP],
            "finished": to_text(self._clock.now()), "next_try": null(),
        }  # fmt: skip
        mine = (deliveries.c.id == number) & (deliveries.c.state != DeliveryState.PROCESSED.value)
        with self._writing(connection) as writer:
            return writer.execute(update(deliveries).where(mine).values(**done)).rowcount == 1

    def fail(self, number: int, why: str) -> datetime | None:
        """An attempt failed. Returns when the next one is due; None when there is none, and it is dead."""
        with self._database.write() as writer:
            attempts = writer.execute(
                select(deliveries.c.attempts).where(deliveries.c.id == number)
            ).scalar_one()
            pause = redelivery.pause(attempts)
            if pause is None:
                self._bury(writer, number, why)
                return None
            due = self._clock.now() + pause
            failed = {
                "state": DeliveryState.FAILED.value,
                "error": why[:_ERROR_CAP],
                "next_try": to_text(due),
            }
            writer.execute(update(deliveries).where(_unfinished(number)).values(**failed))
            return due

    def _bury(self, writer: Connection, number: int, why: str) -> None:
        dead = {
            "state": DeliveryState.DEAD.value, "error": why[:_ERROR_CAP], "next_try": null(),
            "finished": to_text(self._clock.now()),
        }  # fmt: skip
        writer.execute(update(deliveries).where(_unfinished(number)).values(**dead))

    # --- people ---

    def get(self, number: int) -> Delivery:
        """One row; ``errors.NotFound``."""
        with self._database.read() as reader:
            row = reader.execute(select(*_SHOWN).where(deliveries.c.id == number)).first()
        if row is None:
            raise errors.NotFound(
                f"there is no delivery {number}",
                subject=str(number),
                next_moves=("boatwright deliveries list",),
            )
        return _delivery(row)

    def body(self, number: int) -> bytes | None:
        """The original bytes; None where they were dropped after their time."""
        with self._database.read() as reader:
            return reader.execute(
                select(deliveries.c.body).where(deliveries.c.id == number)
            ).scalar_one_or_none()

    def bodies(self, numbers: Sequence[int], *, largest: int) -> Iterator[tuple[int, bytes]]:
        """The original bytes of these, of no more than ``largest`` each, a few at a time; none where they were dropped."""
        for start in range(0, len(numbers), _AT_ONCE):
            mine = deliveries.c.id.in_(numbers[start : start + _AT_ONCE]) & deliveries.c.body.is_not(None)
            query = select(deliveries.c.id, deliveries.c.body).where(mine, deliveries.c.size <= largest)
            with self._database.read() as reader:
                found = [(int(row.id), bytes(row.body)) for row in reader.execute(query)]
            yield from found

    def list(self, states: Sequence[DeliveryState] = (), *, limit: int = 100) -> list[Delivery]:
        """The newest first."""
        query = select(*_SHOWN).order_by(deliveries.c.id.desc()).limit(limit)
        if states:
            query = query.where(deliveries.c.state.in_([state.value for state in states]))
        with self._database.read() as reader:
            return [_delivery(row) for row in reader.execute(query)]

    def counts(self) -> dict[str, int]:
        """How many there are in each state."""
        query = select(deliveries.c.state, func.count()).group_by(deliveries.c.state)
        with self._database.read() as reader:
            return {state: int(number) for state, number in reader.execute(query)}

    def retry(self, number: int) -> Delivery:
        """Try it from the start, now. ``errors.Conflict`` when it is processed, or its bytes are gone."""
        with self._database.write() as writer:
            alive = update(deliveries).where(_unfinished(number), deliveries.c.body.is_not(None))
            if writer.execute(alive.values(**_ALIVE)).rowcount == 0:
                row = writer.execute(select(deliveries.c.id).where(deliveries.c.id == number)).first()
                if row is not None:
                    raise errors.Conflict(
                        f"delivery {number} is processed, and is not processed twice",
                        subject=str(number),
                        next_moves=(f"boatwright deliveries show {number}",),
                    )
        return self.get(number)

    def old(self, before: datetime) -> Sequence[tuple[int, int, datetime]]:
        """(number, bytes, when) of what was processed before then and still has its bytes."""
        query = select(deliveries.c.id, deliveries.c.size, deliveries.c.finished)
        with self._database.read() as reader:
            found = reader.execute(query.where(_old(before)).order_by(deliveries.c.id)).all()
        return [(row.id, row.size, from_text(row.finished)) for row in found]

    def drop_body(self, number: int, before: datetime) -> bool:
        """Drop the bytes of one that was processed before then; its row stays, and knows it when it comes again."""
        mine = update(deliveries).where(deliveries.c.id == number, _old(before))
        with self._database.write() as writer:
            return writer.execute(mine.values(body=null())).rowcount == 1

    def _ready(self) -> Any:
        due = or_(deliveries.c.next_try.is_(None), deliveries.c.next_try <= to_text(self._clock.now()))
        return deliveries.c.state.in_(_OPEN) & due

    def _writing(self, connection: Connection | None) -> AbstractContextManager[Connection]:
        return nullcontext(connection) if connection is not None else self._database.write()


_ALIVE = {
    "state": DeliveryState.RECEIVED.value,
    "attempts": 0,
    "next_try": null(),
    "finished": null(),
}


def _row(each: Arrival, digest: str, now: str) -> dict[str, Any]:
    return {
        "forge": each.forge,
        "hook": each.hook,
        "delivery": each.delivery.replace(_OTHER, "-"),
        "event": each.event,
        "signer": each.signer,
        "content_type": each.content_type,
        "digest": digest,
        "size": len(each.body),
        "body": each.body,
        "state": DeliveryState.RECEIVED.value,
        "attempts": 0,
        "outcome": "",
        "reason": "",
        "about": "",
        "error": "",
        "received": now,
    }


def _key(row: Mapping[str, Any]) -> _Key:
    return row["forge"], row["hook"], row["delivery"]


def _made(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["digest"], row["signer"]


def _short(row: Mapping[str, Any]) -> str:
    """Of its bytes, and of whose secret signed them where that is a repository's own."""
    digest, signer = _made(row)
    return (hashlib.sha256(f"{digest} {signer}".encode()).hexdigest() if signer else digest)[:16]


def _is(key: _Key) -> Any:
    forge, hook, delivery = key
    return (deliveries.c.forge == forge) & (deliveries.c.hook == hook) & (deliveries.c.delivery == delivery)


def _old(before: datetime) -> Any:
    return (
        (deliveries.c.state == DeliveryState.PROCESSED.value)
        & (deliveries.c.finished < to_text(before))
        & deliveries.c.body.is_not(None)
    )


def _unfinished(number: int) -> Any:
    return (deliveries.c.id == number) & (deliveries.c.state != DeliveryState.PROCESSED.value)


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        forge=row.forge,
        hook=row.hook,
        delivery=row.delivery,
        event=row.event,
        signer=row.signer,
        content_type=row.content_type,
        digest=row.digest,
        size=row.size,
        state=DeliveryState(row.state),
        attempts=row.attempts,
        received=from_text(row.received),
        next_try=from_text(row.next_try) if row.next_try else None,
        outcome=row.outcome,
        reason=row.reason,
        about=row.about,
        error=row.error,
        finished=from_text(row.finished) if row.finished else None,
    )
