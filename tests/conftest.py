"""Fixtures everyone may use: a fresh ledger on each database, and the PostgreSQL server behind one of them.

``database``       a migrated, empty ``Database``; the test runs on SQLite and on PostgreSQL
``database_url``   the URL of an empty database of each kind, nothing in it
``postgres``       the session's PostgreSQL server: ``postgres.create()`` gives the URL of a fresh database
``clock``, ``ids`` a clock that moves only when told, and the ids of production
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright.ledger.database import Database
from boatwright.testing.clock import ManualClock
from boatwright.testing.postgres import Postgres, shared_server
from boatwright.values.clock import SystemIds


def pytest_configure() -> None:
    """Whoever starts this in the background of a script has Ctrl-C ignored, and children would inherit that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def ids() -> SystemIds:
    return SystemIds()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One server for the whole run: xdist workers share it through a lock file beside their temp
    directories.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    with shared_server(shared) as server:
        yield server


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "template.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    database.dispose()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        path = tmp_path / "ledger.db"
        shutil.copyfile(request.getfixturevalue("_migrated_sqlite"), path)
        opened = Database.open(f"sqlite:///{path}")
        yield opened
        opened.dispose()
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create(migrated=True)
    opened = Database.open(url)
    yield opened
    opened.dispose()
    server.drop(url)
