"""Making, finding, changing and destroying bottles, over restarts, under which uid."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.bottle import launcher, line, processes, uids
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.backends.host import HostBackend, HostBottle, Task
from boatwright.bottle.protocol import WORKSPACE, Bind, BottleSpec
from boatwright.bottle.store import MAKING, erase
from boatwright.config.paths import StateDir
from boatwright.values.process import Limits

ROOT = os.geteuid() == 0
Make = Callable[..., HostBackend]


async def test_the_same_slug_is_the_same_bottle(backend: HostBackend) -> None:
    first = await backend.create(BottleSpec("same", "test"))
    await first.exec(["sh", "-c", "echo kept > file"])
    again = await backend.create(BottleSpec("same", "test", environment={"NEW": "yes"}))
    assert (await again.exec(["sh", "-c", "cat file; echo $NEW"])).text() == "kept\nyes\n"
    assert again.uid == first.uid


async def test_a_bottle_is_found_after_a_restart(backend: HostBackend, make_backend: Make) -> None:
    spec = BottleSpec(
        "found",
        "test",
        limits=Limits(wall_seconds=7),
        binds=(Bind(Path("/usr"), WORKSPACE.parent / "shown"),),
        environment={"A": "b"},
    )
    made = await backend.create(spec)
    await made.exec(["sh", "-c", "echo kept > file"])
    found = await make_backend().open("found")
    assert found is not None
    assert (found.spec, found.uid) == (dataclasses.replace(spec, backend=backend.name), made.uid)
    assert (await found.exec(["cat", "file"])).text() == "kept\n"
    assert await make_backend().open("other") is None
    assert await make_backend().list() == ["found"]


async def test_destroy_is_idempotent_and_complete(backend: HostBackend) -> None:
    bottle = await backend.create(BottleSpec("gone", "test"))
    await bottle.exec(
        ["sh", "-c", "mkdir -p shut/in; touch shut/in/file; chmod 000 shut/in shut; ln -s / ~/out"]
    )
    await backend.destroy("gone")
    await backend.destroy("gone")
    assert await backend.open("gone") is None
    assert list(backend.state.bottles.iterdir()) == []
    assert Path("/usr").is_dir()


async def test_destroy_ends_what_another_worker_runs(backend: HostBackend, make_backend: Make) -> None:
    """Destroy by whoever: processes are found by what they are, not by who remembers them."""
    bottle = await backend.create(BottleSpec("busy", "test"))
    up = asyncio.Event()
    task = asyncio.create_task(bottle.exec(["sh", "-c", "echo up; sleep 300"], on_output=lambda _: up.set()))
    await up.wait()
    await make_backend().destroy("busy")
    result = await task
    assert result.exit_code == 137
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


async def test_pausing_reaches_what_another_worker_runs(backend: HostBackend, make_backend: Make) -> None:
    bottle = await backend.create(BottleSpec("busy", "test"))
    script = "while :; do echo x >> ticks; sleep 0.01; done"
    task = asyncio.create_task(bottle.exec(["sh", "-c", script]))
    ticks = bottle.workspace / "ticks"
    while not ticks.exists():
        await asyncio.sleep(0.01)
    other = await make_backend().open("busy")
    assert other is not None
    await other.pause()
    stopped = ticks.stat().st_size
    await asyncio.sleep(0.2)
    assert ticks.stat().st_size == stopped
    await other.unpause()
    while ticks.stat().st_size == stopped:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_half_made_and_half_removed_bottles_are_swept(backend: HostBackend) -> None:
    for name in (MAKING + "x", ".gone-x-1"):
        (backend.state.bottles / name / "workspace").mkdir(parents=True)
    await backend.create(BottleSpec("b", "test"))
    assert [each.name[0] for each in backend.state.bottles.iterdir() if each.name.startswith(".")] == []


@pytest.mark.parametrize("slug", ["", "../x", "A", "a/b", "-a", "a b", "x" * 201])
async def test_a_bad_name_is_bad_input(backend: HostBackend, slug: str) -> None:
    with pytest.raises(errors.BadInput):
        await backend.create(BottleSpec(slug, "test"))


async def test_what_is_written_about_a_bottle_must_be_readable(
    backend: HostBackend, make_backend: Make
) -> None:
    bottle = await backend.create(BottleSpec("odd", "test"))
    (bottle.place.root / "meta.json").write_text("{")
    with pytest.raises(errors.Conflict):
        await make_backend().open("odd")
    await backend.destroy("odd")
    assert list(backend.state.bottles.iterdir()) == []


async def test_no_bottle_runs_as_root(bottle: HostBottle) -> None:
    """Inside it is nobody in particular; outside it is its own uid, never 0, with nothing to climb by."""
    up = asyncio.Event()
    task = asyncio.create_task(bottle.exec(["sh", "-c", "echo up; sleep 300"], on_output=lambda _: up.set()))
    await up.wait()
    pids = processes.members(bottle.workspace, str(WORKSPACE))
    assert pids
    for pid in (*pids, *_outer(pids)):
        status = _status(pid)
        assert set(status["Uid"].split()) == {str(bottle.uid)} != {"0"}
        assert set(status["Gid"].split()) == {str(bottle.uid if ROOT else os.getegid())}
        assert status["CapEff"].strip("0") == ""
        assert status["NoNewPrivs"] == "1"
        if ROOT:
            assert status["Groups"] in {"", str(bottle.uid)}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (each.partition(":") for each in lines)}


def _outer(pids: list[int]) -> list[int]:
    """bwrap itself: our own child, the parent of the bottle's first process. An engine's client is no such parent."""
    mine = set(processes.children(os.getpid()))
    return [parent for parent in map(processes.parent, pids) if parent in mine]


async def test_each_live_bottle_has_its_own_uid_when_root_makes_them(backend: HostBackend) -> None:
    one = await backend.create(BottleSpec("one", "test"))
    two = await backend.create(BottleSpec("two", "test"))
    helper = await backend.create(BottleSpec("helper", "test", uid_of="one"))
    assert helper.uid == one.uid
    if ROOT:
        assert one.uid != two.uid
        assert {one.uid, two.uid} <= set(uids.choose(None))
    else:
        assert one.uid == two.uid == os.geteuid()
    await backend.destroy("one")
    three = await backend.create(BottleSpec("three", "test"))
    assert three.uid != helper.uid or not ROOT, "the helper still lives under that uid"


async def test_a_helper_reads_what_the_agent_shut_off(backend: HostBackend) -> None:
    agent = await backend.create(BottleSpec("agent", "test"))
    await agent.exec(["sh", "-c", "umask 077; echo private > file"])
    helper = await backend.create(BottleSpec("helper", "test", uid_of="agent"))
    shown = Bind(agent.workspace, WORKSPACE.parent / "agent")
    result = await helper.exec(["sh", "-c", "cat /agent/file; touch /agent/new"], binds=[shown])
    assert result.text().startswith("private\n")
    assert "Read-only" in result.text()


async def test_another_bottle_reads_nothing_of_it(backend: HostBackend) -> None:
    agent = await backend.create(BottleSpec("agent", "test"))
    await agent.exec(["sh", "-c", "echo private > file; chmod 644 file"])
    if ROOT:
        assert stat.S_IMODE(agent.workspace.stat().st_mode) == 0o700
        assert agent.workspace.stat().st_uid == agent.uid
    assert stat.S_IMODE((agent.place.root / "meta.json").stat().st_mode) == 0o600


async def test_uid_zero_is_refused_before_anything_starts(bubblewrap: Bubblewrap) -> None:
    bottle = await bubblewrap.create(BottleSpec("b", "test"))
    with pytest.raises(errors.Refused, match="never run as root"):
        uids.refuse_root(0)
    with pytest.raises(errors.Refused):
        uids.choose(range(10))
    with pytest.raises(errors.Refused):
        launcher.drop(bubblewrap.bwrap.path, 0)
    made = bubblewrap.line(bottle.place, Task(("true",)))
    with pytest.raises(errors.Refused), line.opened(dataclasses.replace(made, uid=0), status=1):
        raise AssertionError("a line for root was opened")


async def test_a_bottle_written_down_as_roots_is_refused(backend: HostBackend, make_backend: Make) -> None:
    bottle = await backend.create(BottleSpec("odd", "test"))
    meta = bottle.place.root / "meta.json"
    good = meta.read_bytes()
    meta.write_text(json.dumps(json.loads(good) | {"uid": 0}))
    with pytest.raises(errors.Refused):
        await make_backend().open("odd")
    meta.write_bytes(good)


def test_uids_are_handed_out_until_none_is_left() -> None:
    assert uids.free(range(5, 8), [5, 7]) == 6
    with pytest.raises(errors.Conflict, match="all 3 uids"):
        uids.free(range(5, 8), [5, 6, 7])


def test_an_unmapped_range_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    small = tmp_path / "uid_map"
    small.write_text("         0     100000      65536\n")
    monkeypatch.setattr(uids, "UID_MAP", small)
    assert uids.choose(None) == uids.FALLBACK
    small.write_text("         0     100000      1\n")
    with pytest.raises(errors.MissingPart):
        uids.choose(None)


def test_the_step_without_setpriv_drops_everything() -> None:
    """The few lines that stand in for setpriv, run for real (as root: to another uid)."""
    uid = 54_321 if ROOT else os.geteuid()
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    done = subprocess.run(
        [python, "-I", "-S", "-c", launcher.DROP, str(uid), "/bin/cat", "/proc/self/status"],
        capture_output=True,
        text=True,
        check=True,
    )
    status = {
        name: value.strip() for name, _, value in (each.partition(":") for each in done.stdout.splitlines())
    }
    assert set(status["Uid"].split()) == {str(uid)}
    assert status["NoNewPrivs"] == "1"
    assert status["CapEff"].strip("0") == ""
    if ROOT:
        assert (status["CapBnd"].strip("0"), status["Groups"]) == ("", "")


async def test_the_steps_without_util_linux_make_the_same_bottle(
    bottle: HostBottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "_system", lambda _: None)
    monkeypatch.setattr(launcher.sys, "executable", "/usr/bin/python3")
    result = await bottle.exec(["sh", "-c", "ulimit -n; ulimit -t; exit 3"], limits=Limits(cpu_seconds=50))
    assert (result.exit_code, result.text()) == (3, "4096\n55\n")


async def test_core_dumps_stay_off(bottle: HostBottle) -> None:
    """One byte: the kernel's word for no dump at all, and the filter keeps it there."""
    script = (
        "import resource as r\n"
        "try: r.setrlimit(r.RLIMIT_CORE, (0, 0))\n"
        "except ValueError: pass\n"
        "print(r.getrlimit(r.RLIMIT_CORE)[0])"
    )
    assert (await bottle.exec(["python3", "-c", script])).text() == "1\n"


async def test_a_wire_is_a_directory_only_its_bottle_enters(backend: HostBackend, state: StateDir) -> None:
    """The forwarder finds a socket that is made only later: the directory is bound, not the file."""
    wire = state.run / "w"
    bottle = await backend.create(BottleSpec("wired", "test", wire=wire))
    assert stat.S_IMODE(wire.stat().st_mode) == 0o700
    assert wire.stat().st_uid == bottle.uid
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(wire / "wire.sock"))
    (wire / "wire.sock").chmod(0o666)
    listener.listen()

    def answer() -> None:
        client, _ = listener.accept()
        client.recv(10)
        client.sendall(b"through the wire")
        client.close()

    thread = threading.Thread(target=answer)
    thread.start()
    script = "import socket\ns = socket.create_connection(('127.0.0.1', 8080))\ns.sendall(b'x')\nprint(s.recv(99).decode())"
    result = await bottle.exec(["python3", "-c", script])
    thread.join()
    listener.close()
    assert (result.exit_code, result.text()) == (0, "through the wire\n")
    assert (await bottle.exec(["sh", "-c", "exit 5"])).exit_code == 5
    assert "Read-only" in (await bottle.exec(["rm", "-f", "/run/boatwright/wire.sock"])).text()


def test_erasing_what_is_not_there_is_done(tmp_path: Path) -> None:
    erase(tmp_path / "nothing")
