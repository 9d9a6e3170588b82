"""Databases: transactions, snapshots, migrations, and what people are told when one cannot serve."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    MetaData,
    Table,
    create_engine,
    insert,
    select,
    text,
    update,
)

from boatwright import errors
from boatwright.ledger import migration, tables
from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.testing.postgres import Postgres
from boatwright.values.clock import SystemIds

APPENDER = Path(__file__).with_name("appender.py")
NOBODY = 65534


def position(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(tables.ledger_head.c.position)).scalar_one())


def move(connection: Connection, to: int) -> None:
    connection.execute(update(tables.ledger_head).values(position=to))


# --- transactions ------------------------------------------------------------------------------------------


def test_a_write_is_committed_or_rolled_back(database: Database) -> None:
    with database.write() as connection:
        move(connection, 5)
    with pytest.raises(RuntimeError), database.write() as connection:
        move(connection, 6)
        raise RuntimeError
    assert position(database) == 5


def test_a_snapshot_stands_still_and_blocks_nobody(database: Database) -> None:
    with database.read() as reader:
        before = reader.execute(select(tables.ledger_head.c.position)).scalar_one()
        with database.write() as connection:
            move(connection, 5)
        assert reader.execute(select(tables.ledger_head.c.position)).scalar_one() == before == 0
    assert position(database) == 5


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    with database.write() as connection:
        move(connection, 5)
        assert position(database) == 0


def test_every_sqlite_connection_is_prepared(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path}/new place/x.db")
    with database.write() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
        with database.read() as second:
            assert second.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    assert settings == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30_000, "foreign_keys": 1}
    assert stat.S_IMODE((tmp_path / "new place" / "x.db").stat().st_mode) == 0o600


def test_a_plain_connection_of_the_engine_may_append(
    database: Database, clock: ManualClock, ids: SystemIds
) -> None:
    """The durable engine brings a connection of its own, without our listeners."""
    log = EventLog(database, clock=clock, ids=ids, producer="test")
    engine = create_engine(database.engine.url)
    with engine.begin() as connection:
        log.append("ex-1", samples.requested(), key="requested", connection=connection)
        log.append("ex-1", samples.model_called(), key="call", connection=connection)
    with pytest.raises(RuntimeError), engine.begin() as connection:
        log.append("ex-1", samples.model_called("r-2"), key="call-2", connection=connection)
        raise RuntimeError
    engine.dispose()
    assert [event.position for event in log.after(0)] == [1, 2]
    assert log.verify().ok


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_bad_input(url: str) -> None:
    with pytest.raises(errors.BadInput) as caught:
        Database.open(url)
    assert "sqlite:///PATH" in caught.value.next_moves[0]


# --- tables ------------------------------------------------------------------------------------------------


def _shape(connection: Connection) -> list[tuple[object, ...]]:
    """Everything the database itself says of our tables: columns, types, defaults, keys, indexes."""
    if connection.dialect.name == "sqlite":
        query = (
            "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'ledger_version%' ORDER BY name"
        )
        return [tuple(row) for row in connection.execute(text(query))]
    columns = text(
        "SELECT table_name, column_name, ordinal_position, data_type, is_nullable, column_default "
        "FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'ledger_version' "
        "ORDER BY 1, 3"
    )
    indexes = text(
        "SELECT tablename, indexname, indexdef FROM pg_indexes "
        "WHERE schemaname = 'public' AND tablename <> 'ledger_version' ORDER BY 2"
    )
    return [tuple(row) for query in (columns, indexes) for row in connection.execute(query)]


def test_the_migrations_make_exactly_the_tables(database_url: str) -> None:
    database = Database.open(database_url)
    database.migrate()
    with database.write() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "ledger_version"})
        assert compare_metadata(context, tables.metadata) == []
        migrated = _shape(connection)
        tables.metadata.drop_all(connection)
        tables.metadata.create_all(connection)
        assert _shape(connection) == migrated
    database.dispose()


def test_eight_processes_migrate_at_once(database_url: str) -> None:
    argv = [sys.executable, str(APPENDER), "migrate", database_url, "8", "0"]
    done = subprocess.run(argv, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    database = Database.open(database_url)
    assert position(database) == 0
    database.migrate()
    database.dispose()


def test_migrating_again_keeps_everything(database: Database) -> None:
    with database.write() as connection:
        move(connection, 5)
    database.migrate()
    assert position(database) == 5


def test_this_release_knows_its_own_revision() -> None:
    assert migration.head("ledger") == tables.REVISIONS["ledger"]


def test_a_newer_database_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE ledger_version SET version_num = '9999'"))
    with pytest.raises(errors.Refused, match="written by a newer release") as caught:
        database.migrate()
    assert "install that release" in caught.value.next_moves


def test_other_tables_can_be_made_by_many_at_once(database: Database) -> None:
    metadata = MetaData()
    table = Table("cargo", metadata, Column("id", Integer, primary_key=True))
    ready = threading.Barrier(4)
    failures: list[BaseException] = []

    def make() -> None:
        ready.wait()
        try:
            database.create(metadata)
        except errors.BoatwrightError as error:
            failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with database.write() as connection:
        connection.execute(insert(table).values(id=1))


# --- unavailable -------------------------------------------------------------------------------------------


def reopened(database: Database, busy_seconds: float) -> Database:
    return Database.open(database.engine.url.render_as_string(hide_password=False), busy_seconds=busy_seconds)


def test_a_locked_database_says_so(database: Database) -> None:
    impatient = reopened(database, 0.1)
    with database.write() as connection:
        move(connection, 5)
        locked = pytest.raises(errors.StoreUnavailable, match="is locked by another process")
        with locked as caught, impatient.write() as other:
            move(other, 6)
    assert str(database.engine.url.database) in str(caught.value)
    assert caught.value.next_moves
    assert position(database) == 5
    impatient.dispose()


def test_two_threads_of_one_process_wait_for_each_other(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'x.db'}", busy_seconds=0.1)
    database.migrate()
    busy = pytest.raises(errors.StoreUnavailable, match="no connection came free")
    with database.write(), busy, database.write():
        pass
    with database.write() as connection:
        move(connection, 1)


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_went_away_is_noticed(tmp_path: Path, replaced: bool) -> None:
    """SQLite itself would go on writing into the file nobody can find any more."""
    path = tmp_path / "ledger.db"
    database = Database.open(f"sqlite:///{path}")
    database.migrate()
    path.rename(tmp_path / "elsewhere.db")
    if replaced:
        Database.open(f"sqlite:///{path}").migrate()
    with pytest.raises(errors.StoreUnavailable, match="is gone"), database.write():
        pass
    if not replaced:
        (tmp_path / "elsewhere.db").rename(path)
        assert position(database) == 0


def test_a_server_that_is_not_there_says_so_without_the_password(tmp_path: Path) -> None:
    database = Database.open(f"postgresql://sailor:hush@/cargo?host={tmp_path}")
    with pytest.raises(errors.StoreUnavailable, match="cannot be reached") as caught, database.read():
        pass
    assert "cargo" in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "hush" not in str(caught.value) + "".join(caught.value.next_moves)


def test_a_server_that_goes_away_says_so(postgres: Postgres) -> None:
    url = postgres.create(migrated=True)
    database = Database.open(url)
    gone = pytest.raises(errors.StoreUnavailable, match=r"is shutting down|cannot be reached")
    with gone, database.write() as connection:
        move(connection, 5)
        pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with psycopg.connect(postgres.url(), autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [pid])
        move(connection, 6)
    assert position(database) == 0  # the pool has found a new connection
    database.dispose()
    postgres.drop(url)


def test_an_unknown_database_is_named(postgres: Postgres) -> None:
    database = Database.open(postgres.url("nowhere"))
    with pytest.raises(errors.StoreUnavailable, match=r"nowhere .* does not exist"), database.read():
        pass


def test_a_read_only_server_says_so(postgres: Postgres) -> None:
    url = postgres.create(migrated=True)
    name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    database = Database.open(url)
    with pytest.raises(errors.StoreUnavailable, match="is read-only"), database.write() as connection:
        move(connection, 5)
    database.dispose()
    postgres.drop(url)


def test_a_file_that_is_no_database_says_so(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"a letter from home" * 100)
    database = Database.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with pytest.raises(errors.StoreUnavailable, match="is not a ledger"), database.read():
        pass


def in_a_child(work: Callable[[], None]) -> tuple[int, str]:
    """Run ``work`` in a fork; its StoreUnavailable sentence, or whatever else it said."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os.write(writing, b"nothing was raised")
        except errors.StoreUnavailable as error:
            os.write(writing, f"StoreUnavailable: {error}".encode())
        except BaseException as error:  # noqa: BLE001 - the edge of this process
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def as_ordinary_user() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory an ordinary user may reach; pytest's own is closed to others."""
    with tempfile.TemporaryDirectory(prefix="bw-ledger-") as name:
        yield Path(name)


def write_as_ordinary_user(url: str) -> str:
    def work() -> None:
        as_ordinary_user()
        with Database.open(url).write() as connection:
            move(connection, 5)

    code, said = in_a_child(work)
    assert code == 0
    return said


@pytest.mark.parametrize("there_already", [False, True])
def test_a_directory_that_may_not_be_written_says_so(reachable: Path, there_already: bool) -> None:
    url = f"sqlite:///{reachable / 'ledger.db'}"
    if there_already:
        database = Database.open(url)
        database.migrate()
        database.dispose()
        (reachable / "ledger.db").chmod(0o444)
    reachable.chmod(0o555)
    said = write_as_ordinary_user(url)
    assert said == f"StoreUnavailable: {reachable / 'ledger.db'} cannot be used: this user may not"


def test_a_log_that_may_not_be_written_says_so(reachable: Path) -> None:
    """The file may be written, its directory may not: SQLite cannot make its write-ahead log."""
    url = f"sqlite:///{reachable / 'ledger.db'}"
    database = Database.open(url)
    database.migrate()
    database.dispose()
    (reachable / "ledger.db").chmod(0o666)
    reachable.chmod(0o555)
    said = write_as_ordinary_user(url)
    assert said.startswith(f"StoreUnavailable: the database {reachable / 'ledger.db'} cannot be")
    reachable.chmod(0o777)
    assert write_as_ordinary_user(url) == "nothing was raised"


def test_a_full_disk_says_so_and_loses_nothing(tmp_path: Path) -> None:
    """The file size limit stands in for a full disk: both refuse the next page."""
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    database = Database.open(url)
    database.migrate()
    database.dispose()

    def work() -> None:
        limit = (tmp_path / "ledger.db").stat().st_size + 200_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        log = EventLog(Database.open(url), clock=ManualClock(), ids=SystemIds(), producer="test")
        for number in range(1_000):
            log.append(f"ex-{number}", samples.requested(body="x" * 20_000), key="requested")

    code, said = in_a_child(work)
    assert code == 0
    assert said.startswith("StoreUnavailable: ")
    assert "ledger.db" in said
    assert "disk" in said
    log = EventLog(database, clock=ManualClock(), ids=SystemIds(), producer="test")
    assert log.verify().ok
    kept = len(log.after(0))
    assert kept > 0
    assert log.append("ex-new", samples.requested(), key="requested").event.position == kept + 1
    with sqlite3.connect(tmp_path / "ledger.db") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
