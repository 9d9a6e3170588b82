"""A disk that is full, a database that is locked, gone or of a newer release: exit 7 or 5, nothing lost, and on it goes."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py
MEGABYTE = 1 << 20
TEXT = ("--text", "Pagination drops the last page")


def sleepy(desk: Desk) -> str:
    """A model whose agent waits at each step, so that something can happen to the store in mid-build."""
    from_good = Path(desk.good().removeprefix("scripted:")).read_text()
    path = desk.root / f"sleepy{desk.made}.yml"
    path.write_text(
        from_good.replace('bash: "python3', 'bash: "sleep 3; python3').replace(
            "bash: 'python3", "bash: 'sleep 3; python3"
        )
    )
    return f"scripted:{path}"


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    made: Path = desk.repository()
    return made


@pytest.fixture(scope="module", autouse=True)
def locked(desk: Desk, repository: Path) -> Iterator[tuple[Any, Path]]:
    """A command at a ledger that somebody else has locked: it waits as long as we wait for a lock, so it starts first."""
    state = desk.root / "l"
    assert desk.do("issue", "create", "--repo", str(repository), "--title", "One", state=state).code == 0
    holder = sqlite3.connect(state / "ledger.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield desk.start("issue", "create", "--repo", str(repository), "--title", "Two", state=state), state
    finally:
        holder.close()


def test_a_database_that_cannot_be_reached(desk: Desk, repository: Path) -> None:
    away = {"BOATWRIGHT_DATABASE_URL": "postgresql://someone:hidden@127.0.0.1:1/ledger"}
    for command in (
        ("status",),
        ("run", "--repo", str(repository), *TEXT, "--model", desk.good()),
        ("worker",),
    ):
        said = desk.do(*command, env=away).refuses(
            7, "the database ledger on 127.0.0.1:1 cannot be reached", move="start the server"
        )
        assert "hidden" not in said.text


def test_a_ledger_that_is_something_else(desk: Desk, repository: Path) -> None:
    state = desk.root / "o"
    state.mkdir()
    (state / "ledger.db").write_bytes(b"these are my holiday notes\n" * 100)
    desk.do("status", state=state).refuses(7, "ledger.db is not a ledger", move="BOATWRIGHT_STATE")
    assert (state / "ledger.db").read_bytes().startswith(b"these are my holiday notes")


def test_a_ledger_of_a_newer_release(desk: Desk) -> None:
    state = desk.root / "n"
    assert desk.do("status", state=state).code == 0
    with sqlite3.connect(state / "ledger.db") as ledger:
        (table,) = ledger.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE '%version%' AND type = 'table'"
        ).fetchone()
        ledger.execute(f"UPDATE {table} SET version_num = '9999'")
    desk.do("status", state=state).refuses(5, "ledger.db", "newer release", move="")


def test_a_file_that_may_not_grow(desk: Desk) -> None:
    """As under a quota: the first write already fails."""
    state = desk.root / "q"
    said = desk.do("status", state=state, limits={"RLIMIT_FSIZE": 16 << 10})
    said.refuses(7, "ledger.db")
    assert desk.do("status", state=state).code == 0
    desk.lost_nothing(state=state)


def test_a_ledger_that_is_moved_away_in_mid_run(desk: Desk, repository: Path) -> None:
    running = desk.start("run", "--repo", str(repository), *TEXT, "--model", sleepy(desk))
    running.said("Working.")
    ledger, aside = desk.state / "ledger.db", desk.state / "aside.db"
    ledger.rename(aside)
    said = running.ended().refuses(7, "ledger.db is gone", move="put the file back")
    assert not ledger.exists(), "an empty ledger was made where the true one was"
    aside.rename(ledger)
    desk.lost_nothing(said.execution, now="EXECUTING")
    desk.resumes(said.execution)
    desk.lost_nothing(said.execution, now="DELIVERED")


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """A disk of its own for a state directory, for whoever may mount one."""
    place.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=711", "none", str(place)], check=True
    )
    try:
        yield
    finally:
        until = time.monotonic() + 60
        while subprocess.run(["umount", str(place)], check=False, capture_output=True).returncode:
            assert time.monotonic() < until, f"{place} stays in use"
            time.sleep(0.5)  # the proxy that runs there is leaving


def fill(place: Path) -> Path:
    """Leave no byte free."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for chunk in (MEGABYTE, 4 << 10, 1):
            try:
                while True:
                    file.write(b"\0" * chunk)
            except OSError:
                continue
    return ballast


@pytest.mark.skipif(
    os.geteuid() != 0, reason="only root mounts a small disk; the file that may not grow stands for it"
)
def test_a_disk_that_is_full(desk: Desk, repository: Path) -> None:
    state = desk.root / "d"
    with small_disk(state, 48):
        assert desk.do("status", state=state).code == 0
        ballast = fill(state)
        said = desk.do("issue", "create", "--repo", str(repository), "--title", "One", state=state)
        said.refuses(7, "full", move="free some space")
        ballast.unlink()
        running = desk.start("run", "--repo", str(repository), *TEXT, "--model", sleepy(desk), state=state)
        running.said("Working.")
        ballast = fill(state)
        said = running.ended().refuses(7, "full", move="free some space")
        ballast.unlink()
        desk.lost_nothing(said.execution, now="EXECUTING", state=state)
        desk.resumes(said.execution, state=state)
        desk.lost_nothing(said.execution, now="DELIVERED", state=state)
        desk.end_proxy(state)


def test_a_ledger_that_stays_locked(desk: Desk, repository: Path, locked: tuple[Any, Path]) -> None:
    running, state = locked
    said = running.ended().refuses(
        7, "ledger.db is locked by another process", move="wait for the other process"
    )
    assert "Two" not in said.out
    shown = desk.do("issue", "list", "--repo", str(repository), state=state)  # reading waits for nobody
    assert "One" in shown.out and "Two" not in shown.out
