"""The proxy's own connection to the budgets: kept open, spoken to without ceremony.

A reservation and a settlement stand between a bottle and its model, each a durable transaction, so what is
not the disk's own time is kept small: one connection, the driver's cursor, statements prepared once.
Everything else uses ``Database``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, Self

from sqlalchemy import PoolProxiedConnection, exc

from boatwright.ledger import unavailable
from boatwright.ledger.database import Database


class Pen:
    """One connection that writes: ``with pen`` is one transaction, committed on exit, rolled back by an
    exception. Not safe to share by threads.

    ``errors.StoreUnavailable`` when the database cannot take it; the next one starts on a fresh connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._postgresql = database.dialect == "postgresql"
        self._connection: PoolProxiedConnection | None = None
        self._cursor: Any = None

    def __enter__(self) -> Self:
        try:
            self._begin()
        except BaseException as error:
            self._failed(error)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._failed(error)
            return
        try:
            self._commit()
        except BaseException as failure:
            self._failed(failure)
            raise

    def run(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """One statement, its values at the question marks; the rows it returns."""
        self._cursor.execute(self._spelled(statement), values)
        return [] if self._cursor.description is None else list(self._cursor.fetchall())

    def run_all(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """One statement for every row."""
        self._cursor.executemany(self._spelled(statement), rows)

    def select_in(self, statement: str, wanted: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """``statement`` with its ``(…)`` filled by ``wanted``; a few hundred at a time, as SQLite binds no
        more.
        """
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            yield from self.run(statement.replace("(…)", f"({', '.join('?' * len(some))})"), some)

    def close(self) -> None:
        self._give_up()

    # --- inside ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._connection is None:
            self._connection = self._database.engine.raw_connection()
            self._cursor = self._connection.cursor()
        if not self._postgresql:
            self._cursor.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        if self._postgresql and self._connection is not None:
            self._connection.commit()
        else:
            self._cursor.execute("COMMIT")

    def _failed(self, error: BaseException) -> None:
        self._give_up()
        self._translate(error)

    def _give_up(self) -> None:
        """Roll back by closing: whatever the connection's state is, it holds nothing afterwards."""
        connection, self._connection, self._cursor = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(self._database.engine.dialect.loaded_dbapi.Error):
                connection.rollback()
            connection.invalidate()

    def _translate(self, error: BaseException) -> None:
        """Raise a driver's error as the rest of the house knows it."""
        driver = self._database.engine.dialect.loaded_dbapi
        if isinstance(error, driver.IntegrityError | driver.ProgrammingError | driver.DataError):
            raise exc.IntegrityError(None, None, error) from error  # ours to get right, not the store's fault
        if isinstance(error, driver.Error):
            wrapped = exc.OperationalError(None, None, error)
            raise unavailable.from_database(wrapped, self._database.engine.url) from error
        if isinstance(error, exc.SQLAlchemyError):
            raise unavailable.from_database(error, self._database.engine.url) from error

    def _spelled(self, statement: str) -> str:
        return _for_postgresql(statement) if self._postgresql else statement


@lru_cache(maxsize=256)
def _for_postgresql(statement: str) -> str:
    return statement.replace("?", "%s")
