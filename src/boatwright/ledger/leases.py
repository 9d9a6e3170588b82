"""Leases: which workers are alive. Times are the database's own clock, in seconds since 1970.

A row's age is for a machine that stopped. A process that died on this host is known at once: it held a lock on a
file of its own, and the kernel let go of it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Double, RowMapping, cast, delete, extract, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import leases


@dataclass(frozen=True, slots=True)
class Lease:
    """One worker process. ``queue`` is what it listens to; ``age`` is in seconds since its last beat."""

    worker: str
    host: str
    pid: int
    release: str
    queue: str
    started: float
    beat: float
    age: float


class Leases:
    def __init__(self, database: Database, locks: Path) -> None:
        """``locks`` is the directory of this host's lock files, one per worker."""
        self._database = database
        self._locks = locks

    def claim(self, worker: str, *, host: str, pid: int, release: str, queue: str) -> WorkerLock:
        """Say that ``worker`` is alive: the lock first, then the row."""
        lock = WorkerLock(self._path(worker))
        self.renew(worker, host=host, pid=pid, release=release, queue=queue)
        return lock

    def renew(self, worker: str, *, host: str, pid: int, release: str, queue: str) -> None:
        """Write the row of a worker whose lock is held; somebody may have given it up meanwhile."""
        dialect: Any = postgresql if self._database.dialect == "postgresql" else sqlite
        row = {"host": host, "pid": pid, "release": release, "queue": queue, "beat": self._now()}
        stored = dialect.insert(leases).values(worker=worker, started=self._now(), **row)
        with self._database.write() as writer:
            writer.execute(stored.on_conflict_do_update(index_elements=["worker"], set_=row))

    def beat(self, worker: str) -> bool:
        """Still alive. False when the row is gone: somebody gave this worker up."""
        with self._database.write() as writer:
            mine = update(leases).where(leases.c.worker == worker).values(beat=self._now())
            return bool(writer.execute(mine).rowcount)

    def drop(self, worker: str) -> None:
        with self._database.write() as writer:
            writer.execute(delete(leases).where(leases.c.worker == worker))
        with suppress(FileNotFoundError):
            self._path(worker).unlink()

    def all(self) -> list[Lease]:
        query = select(leases, (self._now() - leases.c.beat).label("age")).order_by(leases.c.started)
        with self._database.read() as reader:
            return [_lease(row) for row in reader.execute(query).mappings()]

    def live(self, ttl: float, *, host: str) -> list[Lease]:
        """Workers whose beat is younger than ``ttl`` seconds and whose lock, when on ``host``, is held."""
        return [lease for lease in self.all() if lease.age <= ttl and not self.is_dead(lease, host=host)]

    def is_dead(self, lease: Lease, *, host: str) -> bool:
        """Known to be dead because its lock is free. Without its lock file nothing is known."""
        if lease.host != host:
            return False
        try:
            held = os.open(self._path(lease.worker), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(held)

    def _path(self, worker: str) -> Path:
        return self._locks / f"{worker}.lock"

    def _now(self) -> ColumnElement[float]:
        if self._database.dialect == "postgresql":
            return cast(extract("epoch", func.clock_timestamp()), Double)
        return cast((func.julianday("now") - 2440587.5) * 86400.0, Double)


class WorkerLock:
    """The lock a living worker holds; the kernel lets go of it whatever happens to the process."""

    def __init__(self, path: Path) -> None:
        self._held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        os.close(self._held)


def _lease(row: RowMapping) -> Lease:
    return Lease(**dict(row))
