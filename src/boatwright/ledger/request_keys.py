"""The keys senders gave their requests, a row each: what was asked under one, and the execution it is."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Connection, Table, Text, select
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import metadata, to_text
from boatwright.rules import keyed
from boatwright.rules.keyed import Key
from boatwright.values.clock import Clock

request_keys = Table(
    "request_keys",
    metadata,
    Column("key", Text, primary_key=True),
    Column("digest", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("created", Text, nullable=False),
)


class RequestKeys:
    """Synchronous, like the rest of the ledger. ``errors.KeyTaken`` where a key was sent with another request."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    def find(self, key: Key) -> str | None:
        """The execution that was asked for under ``key``; None where none was."""
        with self._database.read() as reader:
            return _holder(reader, key)

    def take(self, key: Key, execution: str, *, connection: Connection) -> str:
        """The execution that ``key`` is from here on: ``execution``, or the one it was already.

        In the transaction that begins it: two at once wait for each other here, and what is rolled back took nothing.
        """
        row = self._dialect.insert(request_keys).values(
            key=key.text, digest=key.digest, execution=execution, created=to_text(self._clock.now())
        )
        connection.execute(row.on_conflict_do_nothing())
        return _holder(connection, key) or execution


def _holder(connection: Connection, key: Key) -> str | None:
    query = select(request_keys.c.digest, request_keys.c.execution).where(request_keys.c.key == key.text)
    found = connection.execute(query).one_or_none()
    if found is None:
        return None
    keyed.refuse_other(key, found.digest, found.execution)
    return str(found.execution)
