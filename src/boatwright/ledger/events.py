"""The event log: append a fact once, read facts in order, prove that nobody changed them.

Appending (DESIGN §5): the first statement is a write on the one head row, so appends commit in the order of
their positions and a reader that saw position n never misses a smaller one. Same statements and same lock
order on both databases. The executions row is folded in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, or_, select, update

from boatwright import errors
from boatwright.ledger import executions, rows, verification
from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, events, ledger_head, stream_heads, to_text
from boatwright.ledger.verification import SignedHead, VerifyReport
from boatwright.rules.fold import fold
from boatwright.rules.transitions import refusal
from boatwright.values.clock import Clock, Ids
from boatwright.values.event import Event
from boatwright.values.events import FeatureRequested, Payload
from boatwright.values.execution import ExecutionView


@dataclass(frozen=True, slots=True)
class Appended:
    """``created`` is False when the key was in the stream already: ``event`` is then the one that was
    there.
    """

    event: Event
    created: bool


@dataclass(frozen=True, slots=True)
class _Item:
    payload: Payload
    text: str
    """The payload as stored: made before the head row is held."""
    key: str


@dataclass(frozen=True, slots=True)
class _Batch:
    """One call's events and the envelope they share."""

    stream: str
    items: Sequence[_Item]
    repository: str | None
    causation_id: str | None
    correlation_id: str | None
    expected_sequence: int | None
    tags: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Stand:
    """A stream as the append found it, under the lock."""

    sequence: int
    hash: str
    first: rows.Row | None
    known: Mapping[str, rows.Row]
    view: ExecutionView | None


class EventLog:
    def __init__(
        self, database: Database, *, clock: Clock, ids: Ids, producer: str, tenant: str = "local"
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._producer = producer
        self._tenant = tenant

    def append(
        self,
        stream: str,
        payload: Payload,
        *,
        key: str,
        repository: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
        expected_sequence: int | None = None,
        tags: Sequence[str] = (),
        connection: Connection | None = None,
    ) -> Appended:
        """Write one fact under ``key``, unique in its stream; the same key again returns the first event.

        ``repository`` and ``correlation_id`` default to those of the stream's first event. With
        ``connection`` the caller's write transaction is used and the caller commits; else one of our own.
        ``errors.Conflict``, with nothing changed, when the event is illegal in the present state, when
        ``expected_sequence`` is not the stream's last one, or when the issue has another live execution
        (its id is the error's subject).
        """
        (appended,) = self.append_all(
            stream,
            [(payload, key)],
            repository=repository,
            causation_id=causation_id,
            correlation_id=correlation_id,
            expected_sequence=expected_sequence,
            tags=tags,
            connection=connection,
        )
        return appended

    def append_all(
        self,
        stream: str,
        items: Sequence[tuple[Payload, str]],
        *,
        repository: str | None = None,
        causation_id: str | None = None,
        correlation_id: str | None = None,
        expected_sequence: int | None = None,
        tags: Sequence[str] = (),
        connection: Connection | None = None,
    ) -> list[Appended]:
        """Write ``(payload, key)`` pairs in one transaction: all of them or none. Otherwise as
        :meth:`append`.
        """
        _check_text(stream, *(key for _, key in items), *tags, repository, causation_id, correlation_id)
        prepared = [_Item(payload, rows.payload_text(payload), key) for payload, key in items]
        batch = _Batch(
            stream, prepared, repository, causation_id, correlation_id, expected_sequence, tuple(tags)
        )
        if not items:
            return []
        if connection is not None:
            return self._append(connection, batch)
        with self._database.write() as own:
            return self._append(own, batch)

    def stream(self, stream: str, *, after: int = 0, connection: Connection | None = None) -> list[Event]:
        """The events of one stream behind sequence ``after``, in order."""
        query = select(events).where(events.c.stream == stream, events.c.sequence > after)
        with self._reading(connection) as reader:
            found = reader.execute(query.order_by(events.c.sequence)).mappings().all()
        return [rows.to_event(row) for row in found]

    def after(self, position: int, *, limit: int = 500, stream: str | None = None) -> list[Event]:
        """At most ``limit`` events behind ``position``, in the global order. Polling this never skips one."""
        query = select(events).where(events.c.position > position)
        if stream is not None:
            query = query.where(events.c.stream == stream)
        with self._database.read() as reader:
            found = reader.execute(query.order_by(events.c.position).limit(limit)).mappings().all()
        return [rows.to_event(row) for row in found]

    def newest(self, stream: str, types: Sequence[str]) -> Event | None:
        """The last event of a stream that is of one of ``types``."""
        query = select(events).where(events.c.stream == stream, events.c.type.in_(list(types)))
        with self._database.read() as reader:
            found = reader.execute(query.order_by(events.c.sequence.desc()).limit(1)).mappings().first()
        return rows.to_event(found) if found is not None else None

    def head(self, stream: str, *, connection: Connection | None = None) -> int:
        """The last sequence of a stream; 0 when it has no event."""
        query = select(stream_heads.c.sequence).where(stream_heads.c.stream == stream)
        with self._reading(connection) as reader:
            return int(reader.execute(query).scalar_one_or_none() or 0)

    def position(self) -> int:
        """The position of the newest event of all; 0 before the first."""
        with self._database.read() as reader:
            return int(reader.execute(select(ledger_head.c.position)).scalar_one())

    def verify(self, stream: str | None = None, *, signed: Sequence[SignedHead] = ()) -> VerifyReport:
        """Recompute every hash and count every number; each changed, missing or reordered row is named.

        ``signed`` are heads whose signatures the caller has checked: what they promise must still be there.
        """
        with self._database.read() as reader:
            return verification.verify(reader, stream, signed)

    @contextmanager
    def _reading(self, connection: Connection | None) -> Iterator[Connection]:
        if connection is not None:
            yield connection
            return
        with self._database.read() as own:
            yield own

    def _append(self, connection: Connection, batch: _Batch) -> list[Appended]:
        position = _advance(connection, len(batch.items)) - len(batch.items)
        try:
            stand = _stand(connection, batch)
            fresh, view = self._prepare(batch, stand, position)
            if fresh:
                executions.check_unique(connection, view, stand.view)
        except errors.BoatwrightError:
            _advance(connection, -len(batch.items))  # the caller may go on with its transaction: leave no gap
            raise
        if len(fresh) < len(batch.items):
            _advance(connection, len(fresh) - len(batch.items))
        if fresh:
            _store(connection, stand, list(fresh.values()))
            executions.store(connection, view, stand.view)
        by_key = {**stand.known, **fresh}
        seen: set[str] = set()
        return [_appended(by_key[item.key], item.key, fresh, seen) for item in batch.items]

    def _prepare(
        self, batch: _Batch, stand: _Stand, position: int
    ) -> tuple[dict[str, rows.Row], ExecutionView | None]:
        """The rows to insert by key, and the view after them. Nothing is written yet."""
        fresh: dict[str, rows.Row] = {}
        sequence, previous, first, view = stand.sequence, stand.hash, stand.first, stand.view
        for item in batch.items:
            if item.key in stand.known or item.key in fresh:
                continue
            if not fresh:
                _check_expected(batch, stand)
            _check_legal(batch.stream, view, item.payload)
            sequence += 1
            position += 1
            row = self._row(batch, item, first, sequence=sequence, position=position)
            row["hash"] = previous = rows.link(previous, row)
            fresh[item.key] = row
            first = first or row
            view = fold(view, rows.to_event(row))
        return fresh, view

    def _row(
        self, batch: _Batch, item: _Item, first: rows.Row | None, *, sequence: int, position: int
    ) -> dict[str, Any]:
        payload = item.payload
        event_id = self._ids.event_id()
        named = payload.repository if isinstance(payload, FeatureRequested) else ""
        return {
            "stream": batch.stream,
            "sequence": sequence,
            "position": position,
            "event_id": event_id,
            "key": item.key,
            "type": payload.type,
            "time": to_text(self._clock.now()),
            "causation_id": batch.causation_id,
            "correlation_id": batch.correlation_id or (first["correlation_id"] if first else event_id),
            "payload": item.text,
            "schema_version": payload.schema_version,
            "producer": self._producer,
            "tenant": first["tenant"] if first else self._tenant,
            "repository": batch.repository or (first["repository"] if first else named),
            "tags": canonical(list(batch.tags)),
        }


def _advance(connection: Connection, by: int) -> int:
    """Move the head and hold its row until the transaction ends. Always an append's first statement."""
    moved = (
        update(ledger_head)
        .where(ledger_head.c.id == 1)
        .values(position=ledger_head.c.position + by)
        .returning(ledger_head.c.position)
    )
    return int(connection.execute(moved).scalar_one())


def _stand(connection: Connection, batch: _Batch) -> _Stand:
    head = connection.execute(
        select(stream_heads.c.sequence, stream_heads.c.hash).where(stream_heads.c.stream == batch.stream)
    ).one_or_none()
    if head is None:
        return _Stand(0, rows.GENESIS, None, {}, None)
    keys = [item.key for item in batch.items]
    query = select(events).where(
        events.c.stream == batch.stream, or_(events.c.sequence == 1, events.c.key.in_(keys))
    )
    found = connection.execute(query).mappings().all()
    first = next((row for row in found if row["sequence"] == 1), None)
    known = {row["key"]: row for row in found if row["key"] in keys}
    return _Stand(head.sequence, head.hash, first, known, executions.load(connection, batch.stream))


def _store(connection: Connection, stand: _Stand, fresh: Sequence[rows.Row]) -> None:
    last = fresh[-1]
    head = {"sequence": last["sequence"], "hash": last["hash"]}
    if stand.first is None:
        connection.execute(insert(stream_heads).values(stream=last["stream"], **head))
    else:
        mine = stream_heads.c.stream == last["stream"]
        connection.execute(update(stream_heads).where(mine).values(**head))
    connection.execute(insert(events), [dict(row) for row in fresh])


def _appended(row: rows.Row, key: str, fresh: Mapping[str, rows.Row], seen: set[str]) -> Appended:
    created = key in fresh and key not in seen
    seen.add(key)
    return Appended(rows.to_event(row), created)


def _check_expected(batch: _Batch, stand: _Stand) -> None:
    if batch.expected_sequence is not None and batch.expected_sequence != stand.sequence:
        raise errors.Conflict(
            f"{batch.stream} has moved on: expected after event {batch.expected_sequence}, "
            f"it stands at {stand.sequence}",
            subject=batch.stream,
            next_moves=(f"boatwright events {batch.stream}",),
        )


def _check_legal(stream: str, view: ExecutionView | None, payload: Payload) -> None:
    why = refusal(view, payload)
    if why is not None:
        raise errors.Conflict(
            f"{payload.type} is not possible for {stream}: {why}",
            subject=stream,
            next_moves=(f"boatwright show {stream}",),
        )


def _check_text(*names: str | None) -> None:
    for name in names:
        try:
            refused = name is not None and b"\0" in name.encode("utf-8")
        except UnicodeEncodeError:
            refused = True
        if refused:
            raise errors.BadInput("a name in an event's envelope holds a character no database stores")
