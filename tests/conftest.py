"""Fixtures everyone may use: a fresh ledger on each database, and the PostgreSQL server behind one of them.

``database``       a migrated, empty ``Database``; the test runs on SQLite and on PostgreSQL
``database_url``   the URL of an empty database of each kind, nothing in it
``postgres``       the session's PostgreSQL server: ``postgres.create()`` gives the URL of a fresh database
``containers``     why containers do not work here; empty where they do
``image``          the name of a small container image with a toolchain of its own
``clock``, ``ids`` a clock that moves only when told, and the ids of production
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright.bottle.backends.container import Container
from boatwright.bottle.containers import engine
from boatwright.config.paths import StateDir
from boatwright.ledger.database import Database
from boatwright.testing.clock import ManualClock
from boatwright.testing.postgres import Postgres, shared_server
from boatwright.values.clock import SystemClock, SystemIds


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


@pytest.fixture(scope="session")
def containers() -> Iterator[str]:
    """Why containers do not work here; empty where they do. Asked once, by starting one."""
    root = Path(tempfile.mkdtemp(prefix="bwt-", dir="/tmp"))
    root.chmod(0o711)
    missing = Container(StateDir(root), clock=SystemClock(), ids=SystemIds()).missing()
    yield f"no {missing[0].what}: {missing[0].why}" if missing else ""
    shutil.rmtree(root)


PROGRAMS = (
    "sh",
    "bash",
    "cat",
    "chmod",
    "cp",
    "env",
    "find",
    "id",
    "ls",
    "mkdir",
    "readlink",
    "rm",
    "sleep",
    "touch",
)


@pytest.fixture(scope="session")
def image(containers: str) -> Iterator[str]:
    """A small image made of programs of this host: no registry is asked. It has a toolchain of its own, and no Python."""
    if containers:
        pytest.skip(containers)
    root = Path(tempfile.mkdtemp(prefix="bwi-", dir="/tmp"))
    root.chmod(0o755)  # it is the root of whoever runs in it
    for name in PROGRAMS:
        _take(Path(shutil.which(name) or name), root)
    for place, target in (("bin", "usr/bin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
        if not (root / place).exists():
            (root / "usr" / target.rpartition("/")[2]).mkdir(parents=True, exist_ok=True)
            (root / place).symlink_to(target)
    tool = root / "opt" / "tool" / "go"
    tool.parent.mkdir(parents=True)
    tool.write_text("#!/bin/sh\necho go of the image\n")
    tool.chmod(0o755)
    made = engine.find("podman", "", os.environ)
    name = f"localhost/boatwright-test-{os.getpid()}:1"
    packed = subprocess.run(["tar", "-C", str(root), "-c", "."], capture_output=True, check=True).stdout
    path = "ENV PATH=/opt/tool:/usr/bin:/bin"
    subprocess.run(
        [*made.command, "import", "--quiet", "--change", path, "-", name], input=packed, check=True,
        env=dict(made.environment), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    yield name
    made.ask("rmi", "--force", name)
    shutil.rmtree(root)


def _take(program: Path, root: Path) -> None:
    """A program and the libraries it is linked to, at their places below ``root``."""
    said = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    for needed in (str(program), *re.findall(r"(/\S+) \(0x", said)):
        source = Path(needed).resolve()
        for place in {Path(needed), source}:
            target = root / str(place if str(place).startswith("/usr") else f"/usr{place}").lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755)
