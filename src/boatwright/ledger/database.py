"""One database, SQLite file or PostgreSQL: open it, write in it, read a snapshot, bring its tables up to
date.

The engine keeps its rows in the same SQLite file over connections of its own, so nothing here assumes to be
alone.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, exc, inspect, text
from sqlalchemy.engine import URL, make_url

from boatwright import errors
from boatwright.ledger import unavailable
from boatwright.ledger.tables import REVISIONS, version_table

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before it gives up with ``errors.StoreUnavailable``."""

_IDLE_SECONDS = 60
"""PostgreSQL ends a transaction of ours that is idle this long: a stopped machine must not hold the head
row.
"""

_CREATE_LOCK = 0x626F6174  # an advisory lock number, "boat"


class Database:
    """A pool of connections and the two ways to use one: :meth:`write` and :meth:`read`. Safe to share by
    threads.
    """

    def __init__(self, engine: Engine, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.engine = engine
        self.dialect: str = engine.dialect.name
        self._busy_seconds = busy_seconds
        self._writer = engine.execution_options(boatwright_begin="BEGIN IMMEDIATE")
        self._reader = engine.execution_options(boatwright_begin="BEGIN")
        if self.dialect == "postgresql":
            self._reader = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        self._identity = _identity(engine.url)
        # Writers of one process queue here instead of in SQLite's busy handler, which sleeps blindly.
        self._turn = threading.Lock() if self.dialect == "sqlite" else None

    @classmethod
    def open(cls, url: str, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """The database behind ``sqlite:///path`` or ``postgresql://…``; makes a missing SQLite file, mode
        0600.

        ``errors.BadInput`` for any other URL, ``errors.StoreUnavailable`` when the file cannot be made.
        PostgreSQL is not contacted before the first use.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite":
            return cls(_sqlite_engine(parsed, busy_seconds), busy_seconds=busy_seconds)
        return cls(_postgresql_engine(parsed, busy_seconds), busy_seconds=busy_seconds)

    @property
    def place(self) -> str:
        """The database in words for people, without user or password."""
        return unavailable.place(self.engine.url)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed on exit, rolled back by an exception.

        SQLite: ``BEGIN IMMEDIATE``, so it never fails half way for a lock. PostgreSQL: READ COMMITTED. The
        body must be pure SQL and short. ``errors.StoreUnavailable`` when the database cannot take the
        write.
        """
        with self._translated(), self._our_turn(), self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent snapshot; never blocks a writer and never waits for one."""
        with self._translated(), self._reader.connect() as connection, connection.begin():
            yield connection

    def migrate(self, which: str = "ledger") -> None:
        """Bring the tables of ``which`` up to this release; several processes may do so at once.

        ``errors.Refused`` when a newer release has already changed them.
        """
        with self.read() as connection:
            if _revision(connection, which) == REVISIONS[which]:
                return
        from boatwright.ledger import migration  # noqa: PLC0415 - Alembic is slow to import and seldom needed

        with self.write() as connection:
            self._alone(connection)
            migration.upgrade(connection, which, self.place)

    def create(self, metadata: MetaData, *, later: Sequence[str] = ()) -> None:
        """Make the tables of ``metadata`` that are missing; several processes may do so at once.

        ``later`` are statements for what tables that are there may lack; each does nothing where it is done.
        """
        with self.write() as connection:
            self._alone(connection)
            metadata.create_all(connection)
            for statement in later:
                connection.execute(text(statement))

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()

    def _alone(self, connection: Connection) -> None:
        """Until this transaction ends, nobody else changes tables. BEGIN IMMEDIATE already says so on
        SQLite.
        """
        if self.dialect == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _CREATE_LOCK})

    @contextmanager
    def _our_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._busy_seconds):
            raise exc.TimeoutError("another thread holds the write transaction")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        if _identity(self.engine.url) != self._identity:
            raise unavailable.gone(self.engine.url)
        try:
            yield
        except (exc.IntegrityError, exc.ProgrammingError, exc.DataError):
            raise  # ours to get right, not the store's fault
        except unavailable.UNAVAILABLE as error:
            raise unavailable.from_database(error, self.engine.url) from error


def _identity(url: URL) -> tuple[int, int] | None:
    """Which file it is. SQLite goes on writing into a file that was removed or replaced; we do not."""
    if url.get_backend_name() != "sqlite":
        return None
    try:
        status = Path(str(url.database)).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _revision(connection: Connection, which: str) -> str | None:
    table = version_table(which)
    if not inspect(connection).has_table(table):
        return None
    query = text(f"SELECT version_num FROM {table}")  # noqa: S608 - a name of ours
    return connection.execute(query).scalar_one_or_none()


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise errors.BadInput(
            "the database address cannot be read",
            next_moves=("write sqlite:///PATH or postgresql://HOST/NAME",),
        ) from error
    if parsed.drivername == "sqlite" and parsed.database not in {None, "", ":memory:"}:
        return parsed
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise errors.BadInput(
        f"a {parsed.drivername} address is not a database this can use",
        subject=parsed.drivername,
        next_moves=("write sqlite:///PATH or postgresql://HOST/NAME",),
    )


def _sqlite_engine(url: URL, busy_seconds: float) -> Engine:
    path = Path(str(url.database))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path.resolve())
    except OSError as error:
        raise unavailable.from_file(error, path) from error
    engine = create_engine(
        url, max_overflow=-1, pool_timeout=busy_seconds, connect_args={"timeout": busy_seconds}
    )
    event.listen(engine, "connect", lambda raw, _record: _prepare_sqlite(raw, busy_seconds))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make(path: Path) -> None:
    """Make the file, mode 0600, where there is none; ``OSError`` where it cannot be read and written.

    It is never opened for that. SQLite's locks are the process's: closing any descriptor of the file drops those of
    every connection that this process has to it, and whoever leaves next takes the write-ahead log away under them.
    """
    try:
        os.mknod(path, stat.S_IFREG | 0o600)
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
            readonly = os.statvfs(path).f_flag & os.ST_RDONLY
            raise OSError(errno.EROFS if readonly else errno.EACCES, "it cannot be written") from None


def _prepare_sqlite(raw: sqlite3.Connection, busy_seconds: float) -> None:
    raw.isolation_level = None  # we say BEGIN ourselves; on 3.11 the driver would say it too late
    raw.execute(f"PRAGMA busy_timeout={int(busy_seconds * 1000)}")
    _use_wal(raw, busy_seconds)
    raw.execute("PRAGMA synchronous=FULL")
    raw.execute("PRAGMA foreign_keys=ON")


def _use_wal(raw: sqlite3.Connection, busy_seconds: float) -> None:
    """Switching a fresh file to WAL does not honour the busy timeout when two processes do it at once."""
    until = time.monotonic() + busy_seconds
    while True:
        try:
            (mode,) = raw.execute("PRAGMA journal_mode=WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise sqlite3.OperationalError("this file system has no shared memory for a write-ahead log")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("boatwright_begin", "BEGIN IMMEDIATE"))


def _postgresql_engine(url: URL, busy_seconds: float) -> Engine:
    try:
        engine = create_engine(
            url,
            isolation_level="READ COMMITTED",
            max_overflow=15,
            pool_timeout=busy_seconds,
            pool_pre_ping=True,
            connect_args={"connect_timeout": 10, "application_name": "boatwright"},
        )
    except ModuleNotFoundError as error:
        raise errors.MissingPart(
            "this installation has no PostgreSQL driver", next_moves=("pip install 'boatwright[postgres]'",)
        ) from error
    event.listen(engine, "connect", lambda raw, _record: _prepare_postgresql(raw, busy_seconds))
    return engine


def _prepare_postgresql(raw: Any, busy_seconds: float) -> None:
    with raw.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {int(busy_seconds * 1000)}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
    raw.commit()
