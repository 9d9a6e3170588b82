"""Running programs in a bottle: what comes out, what goes in, how it ends, what is left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from boatwright import errors
from boatwright.bottle import processes
from boatwright.bottle.backends.host import HostBackend, HostBottle
from boatwright.bottle.protocol import WORKSPACE, Bind, BottleSpec
from boatwright.values.process import Limit, Limits


async def test_output_of_both_streams_comes_in_order(bottle: HostBottle) -> None:
    result = await bottle.exec(["sh", "-c", "echo one; echo two >&2; echo three"])
    assert (result.exit_code, result.text(), result.limit) == (0, "one\ntwo\nthree\n", None)


async def test_stdout_can_be_had_apart(bottle: HostBottle) -> None:
    result = await bottle.exec(["sh", "-c", "printf '\\000\\001'; echo note >&2"], separate_stdout=True)
    assert (result.stdout, result.output) == (b"\0\1", b"note\n")


async def test_output_is_told_as_it_comes(bottle: HostBottle) -> None:
    first = asyncio.Event()
    task = asyncio.create_task(
        bottle.exec(["sh", "-c", "echo ready; sleep 60"], on_output=lambda _: first.set())
    )
    await first.wait()
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_on_output_raises_kills_the_program_and_reaches_the_caller(
    bottle: HostBottle,
) -> None:
    def refuse(_: bytes) -> None:
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await bottle.exec(["sh", "-c", "echo x; sleep 60"], on_output=refuse)
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
async def test_exit_codes_are_the_shells(bottle: HostBottle, script: str, code: int) -> None:
    assert (await bottle.exec(["sh", "-c", script])).exit_code == code


async def test_a_program_that_does_not_exist_is_the_programs_failure_not_ours(
    bottle: HostBottle,
) -> None:
    assert (await bottle.exec(["no-such-program"])).exit_code == 127


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
async def test_stdin_is_bytes(bottle: HostBottle, size: int) -> None:
    result = await bottle.exec(["wc", "-c"], stdin=b"x" * size)
    assert int(result.text()) == size


async def test_stdin_is_a_file(bottle: HostBottle, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    assert (await bottle.exec(["cat"], stdin=tmp_path / "in")).output == b"from a file"


async def test_a_program_that_reads_no_stdin_may_end(bottle: HostBottle) -> None:
    assert (await bottle.exec(["true"], stdin=b"x" * 1_000_000)).exit_code == 0


async def test_stdin_is_never_a_terminal(bottle: HostBottle) -> None:
    assert (await bottle.exec(["sh", "-c", "test -t 0 || echo none; cat"])).text() == "none\n"


async def test_environment_and_directory(bottle: HostBottle) -> None:
    result = await bottle.exec(
        ["sh", "-c", "pwd; echo $COLOUR $HOME"], cwd=PurePosixPath("/tmp"), environment={"COLOUR": "red"}
    )
    assert result.text() == "/tmp\nred /home/agent\n"


async def test_nothing_of_our_environment_goes_in(
    bottle: HostBottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "hunter2")
    result = await bottle.exec(["sh", "-c", "env; tr '\\0' '\\n' < /proc/1/environ; cat /proc/1/cmdline"])
    assert "hunter2" not in result.text()
    assert str(bottle.workspace) not in result.text()


async def test_the_workspace_and_home_stay_between_programs(bottle: HostBottle) -> None:
    await bottle.exec(["sh", "-c", "echo kept > file; echo too > ~/file; echo gone > /tmp/file"])
    assert (await bottle.exec(["sh", "-c", "cat file ~/file; ls /tmp"])).text() == "kept\ntoo\n"


async def test_binds_are_read_only_unless_said(bottle: HostBottle, state: object) -> None:
    shown = bottle.place.root / "shown"
    shown.mkdir(mode=0o755)
    (shown / "file").write_text("there")
    bind = Bind(shown, PurePosixPath("/shown"))
    assert (
        "Read-only"
        in (await bottle.exec(["sh", "-c", "cat /shown/file; touch /shown/x"], binds=[bind])).text()
    )
    bottle.give(shown)
    writable = Bind(shown, PurePosixPath("/shown"), writable=True)
    assert (await bottle.exec(["touch", "/shown/x"], binds=[writable])).ok
    assert (shown / "x").exists()


async def test_a_bind_below_the_workspace_never_follows_a_link(bottle: HostBottle) -> None:
    shown = bottle.place.root / "shown"
    shown.mkdir(mode=0o755)
    await bottle.exec(["sh", "-c", "ln -s /etc linked; mkdir real"])
    binds = [
        Bind(shown, WORKSPACE / "linked"),
        Bind(shown, WORKSPACE / "real"),
        Bind(shown, WORKSPACE / "new"),
    ]
    result = await bottle.exec(["sh", "-c", "grep -c /workspace/ /proc/self/mountinfo"], binds=binds)
    assert result.text() == "2\n"
    assert result.notes == ("/workspace/linked was not mounted: the workspace has no directory for it",)


async def test_a_bottle_that_cannot_be_made_says_so(bottle: HostBottle) -> None:
    nowhere = Bind(Path("/nowhere/at/all"), PurePosixPath("/x"))
    with pytest.raises(errors.MissingPart, match="could not be made.*nowhere"):
        await bottle.exec(["true"], binds=[nowhere])
    with pytest.raises(errors.MissingPart, match="could not be made"):
        await bottle.exec(["true"], cwd=PurePosixPath("/not/there"))


async def test_a_timeout_takes_grandchildren_in_sessions_of_their_own(bottle: HostBottle) -> None:
    script = "setsid sh -c 'exec >/dev/null 2>&1 </dev/null; sleep 300' & sleep 300"
    result = await bottle.exec(["sh", "-c", script], limits=Limits(wall_seconds=0.3))
    assert (result.limit, result.exit_code) == (Limit.WALL, 137)
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


async def test_the_end_of_the_program_is_the_end_of_its_tree(bottle: HostBottle) -> None:
    script = "setsid sleep 300 >/dev/null 2>&1 & echo started"
    assert (await bottle.exec(["sh", "-c", script])).text() == "started\n"
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []


async def test_cancellation_kills_the_tree(bottle: HostBottle) -> None:
    started = asyncio.Event()
    script = "setsid sleep 300 >/dev/null 2>&1 & echo up; sleep 300"
    task = asyncio.create_task(bottle.exec(["sh", "-c", script], on_output=lambda _: started.set()))
    await started.wait()
    assert processes.members(bottle.workspace, str(WORKSPACE)) != []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []
    assert list(bottle.place.running.iterdir()) == []


async def test_no_descriptor_and_no_child_is_left(bottle: HostBottle) -> None:
    await bottle.exec(["true"])
    open_before, born_before = os.listdir("/proc/self/fd"), set(processes.children(os.getpid()))
    for _ in range(5):
        await bottle.exec(["cat"], stdin=b"x", separate_stdout=True)
        await bottle.exec(["sleep", "60"], limits=Limits(wall_seconds=0.05))
    assert len(os.listdir("/proc/self/fd")) <= len(open_before)
    assert set(processes.children(os.getpid())) <= born_before  # a zombie would be counted too


SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.backends.container import Container
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

async def main():
    make = Container if sys.argv[2] == "container" else Bubblewrap
    backend = make(StateDir(Path(sys.argv[1])), clock=SystemClock(), ids=SystemIds())
    bottle = await backend.create(BottleSpec("b", "test"))
    script = "setsid sleep 300 >/dev/null 2>&1 & echo up; sleep 300"
    await bottle.exec(["sh", "-c", script], on_output=lambda _: print("up", flush=True))

asyncio.run(main())
"""


async def test_killing_the_supervisor_kills_the_bottle(backend: HostBackend) -> None:
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(backend.state.root), backend.name],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert supervisor.stdout is not None
    assert await asyncio.to_thread(supervisor.stdout.readline) == b"up\n"
    bottle = await backend.open("b")
    assert bottle is not None
    pids = processes.members(bottle.workspace, str(WORKSPACE))
    assert pids
    waiting = [os.pidfd_open(pid) for pid in pids]
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait()
    supervisor.stdout.close()
    for pidfd in waiting:
        await asyncio.to_thread(_wait_gone, pidfd)
        os.close(pidfd)
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []
    await backend.destroy("b")
    assert await backend.open("b") is None


def _wait_gone(pidfd: int) -> None:
    import select

    assert select.select([pidfd], [], [], 20)[0], "a process of the bottle outlived its supervisor"


async def test_fifty_bottles_at_once(backend: HostBackend) -> None:
    bottles = await asyncio.gather(*(backend.create(BottleSpec(f"many-{n}", "test")) for n in range(50)))
    results = await asyncio.gather(
        *(bottle.exec(["sh", "-c", f"echo {n} > n; cat n"]) for n, bottle in enumerate(bottles))
    )
    assert [result.text() for result in results] == [f"{n}\n" for n in range(50)]
    assert len({bottle.uid for bottle in bottles}) == (50 if os.geteuid() == 0 else 1)
    await asyncio.gather(*(backend.destroy(bottle.slug) for bottle in bottles))
    assert await backend.list() == []
