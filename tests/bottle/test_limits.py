"""Every limit is named when it is hit, and nothing is left of what hit it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from boatwright.bottle import processes
from boatwright.bottle.backends.host import HostBackend, HostBottle
from boatwright.bottle.cgroups import Cgroups, Hierarchy
from boatwright.bottle.limits import Strength, Trace, capabilities, name
from boatwright.bottle.output import FLOOD, Kept
from boatwright.bottle.protocol import WORKSPACE, BottleSpec
from boatwright.bottle.store import erase
from boatwright.bottle.watchdog import size
from boatwright.values.process import Limit, Limits

MEGA = 1 << 20

HANG = ["sleep", "300"]
SPIN = ["sh", "-c", "while :; do :; done"]
GIGABYTE = ["sh", "-c", "yes | head -c 1000000000"]
FLOODS = ["yes"]
FORKS = ["sh", "-c", "while :; do sleep 300 & done"]
FORK_BOMB = ["bash", "-c", "bomb() { bomb | bomb & }; bomb; sleep 300"]
EATS = ["python3", "-c", "kept = []\nwhile True: kept.append(bytearray(4 << 20))"]
EATS_TOGETHER = [
    "sh",
    "-c",
    "for n in 1 2 3 4; do python3 -c 'import time; kept = bytearray(60 << 20); time.sleep(300)' & done; wait",
]
ONE_FILE = ["dd", "if=/dev/zero", "of=big", "bs=1M", "count=64"]
MANY_FILES = [
    "sh",
    "-c",
    "n=0; while :; do n=$((n + 1)); dd if=/dev/zero of=f$n bs=1M count=2 2>/dev/null; done",
]
HOME_TOO = [
    "sh",
    "-c",
    "n=0; while :; do n=$((n + 1)); dd if=/dev/zero of=$HOME/f$n bs=1M count=2 2>/dev/null; done",
]


@pytest.mark.parametrize(
    ("argv", "limits", "limit"),
    [
        pytest.param(HANG, Limits(wall_seconds=0.2), Limit.WALL, id="hangs"),
        pytest.param(SPIN, Limits(cpu_seconds=1, wall_seconds=30), Limit.CPU, id="spins"),
        pytest.param(FLOODS, Limits(output_bytes=MEGA, wall_seconds=30), Limit.OUTPUT, id="prints-for-ever"),
        pytest.param(FORKS, Limits(pids=40, wall_seconds=30), Limit.PIDS, id="forks"),
        pytest.param(FORK_BOMB, Limits(pids=60, wall_seconds=30), Limit.PIDS, id="fork-bomb"),
        pytest.param(EATS, Limits(memory_bytes=150 * MEGA, wall_seconds=30), Limit.MEMORY, id="eats-memory"),
        pytest.param(
            EATS_TOGETHER, Limits(memory_bytes=150 * MEGA, wall_seconds=30), Limit.MEMORY, id="eats-together"
        ),
        pytest.param(
            ONE_FILE, Limits(disk_bytes=20 * MEGA, wall_seconds=30), Limit.DISK, id="one-large-file"
        ),
        pytest.param(MANY_FILES, Limits(disk_bytes=20 * MEGA, wall_seconds=30), Limit.DISK, id="many-files"),
        pytest.param(HOME_TOO, Limits(disk_bytes=20 * MEGA, wall_seconds=30), Limit.DISK, id="fills-home"),
    ],
)
async def test_the_limit_that_fired_is_named(
    bottle: HostBottle, argv: list[str], limits: Limits, limit: Limit
) -> None:
    result = await bottle.exec(argv, limits=limits)
    assert result.limit is limit, result
    assert not result.ok
    assert processes.members(bottle.workspace, str(WORKSPACE)) == []
    assert list(bottle.place.running.iterdir()) == []


async def test_a_gigabyte_of_output_neither_blocks_nor_fills_memory(bottle: HostBottle) -> None:
    result = await bottle.exec(GIGABYTE, limits=Limits(output_bytes=16 * MEGA))
    assert (result.exit_code, result.limit, result.truncated) == (0, None, True)
    assert len(result.output) < 17 * MEGA
    assert b" bytes cut " in result.output


async def test_a_gigabyte_past_the_flood_line_is_ended_and_named(bottle: HostBottle) -> None:
    result = await bottle.exec(GIGABYTE, limits=Limits(output_bytes=8 * MEGA))
    assert (result.limit, result.truncated) == (Limit.OUTPUT, True)


async def test_a_separate_stdout_is_whole_or_named(bottle: HostBottle) -> None:
    limits = Limits(output_bytes=MEGA)
    whole = await bottle.exec(["head", "-c", str(MEGA), "/dev/zero"], separate_stdout=True, limits=limits)
    assert (len(whole.stdout), whole.limit) == (MEGA, None)
    more = await bottle.exec(["head", "-c", str(MEGA + 1), "/dev/zero"], separate_stdout=True, limits=limits)
    assert more.limit is Limit.OUTPUT


async def test_an_ordinary_failure_names_no_limit(bottle: HostBottle) -> None:
    assert (await bottle.exec(["false"])).limit is None
    assert (await bottle.exec(["sh", "-c", "kill -9 $$"])).limit is None


async def test_processes_are_counted_per_bottle(backend: HostBackend) -> None:
    """Three bottles each get their own count, even under one uid."""
    script = "for n in $(seq 30); do sleep 300 & done; echo up; wait"
    ups = [asyncio.Event() for _ in range(3)]
    bottles = [await backend.create(BottleSpec(f"count-{n}", "test")) for n in range(3)]
    tasks = [
        asyncio.create_task(
            each.exec(
                ["sh", "-c", script],
                limits=Limits(pids=40, wall_seconds=30),
                on_output=lambda _, up=up: up.set(),
            )
        )
        for each, up in zip(bottles, ups, strict=True)
    ]
    await asyncio.gather(*(up.wait() for up in ups))
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_pause_stops_everything_and_the_wall_clock(bottle: HostBottle) -> None:
    script = "(while :; do echo x >> ticks; sleep 0.01; done) & while :; do echo y >> ticks; sleep 0.01; done"
    task = asyncio.create_task(bottle.exec(["sh", "-c", script], limits=Limits(wall_seconds=1.0)))
    ticks = bottle.workspace / "ticks"
    while not ticks.exists():
        await asyncio.sleep(0.01)
    await bottle.pause()
    stopped = ticks.stat().st_size
    paused = time.monotonic()
    while time.monotonic() - paused < 1.2:
        await asyncio.sleep(0.05)
        assert ticks.stat().st_size == stopped
    assert not task.done(), "paused time does not count"
    await bottle.unpause()
    while ticks.stat().st_size == stopped:
        await asyncio.sleep(0.01)
    assert (await task).limit is Limit.WALL


async def test_a_paused_bottle_starts_nothing(bottle: HostBottle) -> None:
    await bottle.pause()
    task = asyncio.create_task(bottle.exec(["true"]))
    done, _ = await asyncio.wait({task}, timeout=0.2)
    assert not done
    await bottle.unpause()
    assert (await task).ok


async def test_a_paused_bottle_can_be_destroyed(backend: HostBackend, bottle: HostBottle) -> None:
    up = asyncio.Event()
    task = asyncio.create_task(bottle.exec(["sh", "-c", "echo up; sleep 300"], on_output=lambda _: up.set()))
    await up.wait()
    await bottle.pause()
    await backend.destroy(bottle.slug)
    assert (await task).exit_code == 137
    assert await backend.list() == []


LIMITS = Limits(cpu_seconds=10, memory_bytes=1000, disk_bytes=1000)


@pytest.mark.parametrize(
    ("trace", "limit"),
    [
        (Trace(0, None, 99.0, 9999, 1, 1, 9999), None),  # it ended well: nothing mattered
        (Trace(137, Limit.WALL, 0.0, 0, 0, 0, 0), Limit.WALL),
        (Trace(137, None, 0.0, 0, 1, 0, 0), Limit.MEMORY),  # the kernel's word
        (Trace(1, None, 0.0, 960, 0, 0, 0), Limit.MEMORY),  # it held nearly all and failed
        (Trace(1, None, 0.0, 900, 0, 0, 0), None),
        (Trace(1, None, 0.0, 0, 0, 3, 0), Limit.PIDS),
        (Trace(1, None, 10.0, 0, 0, 0, 0), Limit.CPU),
        (Trace(152, None, 0.0, 0, 0, 0, 0), Limit.CPU),  # SIGXCPU
        (Trace(153, None, 0.0, 0, 0, 0, 0), Limit.DISK),  # SIGXFSZ
        (Trace(1, None, 0.0, 0, 0, 0, 955), Limit.DISK),
        (Trace(1, None, 0.0, 0, 0, 0, 0), None),
    ],
)
def test_naming(trace: Trace, limit: Limit | None) -> None:
    assert name(LIMITS, trace) is limit


def test_what_is_hard_depends_on_the_host() -> None:
    def strengths(groups: Cgroups) -> dict[Limit, Strength]:
        return {each.limit: each.strength for each in capabilities(groups)}

    bare = strengths(Cgroups())
    assert set(bare) == set(Limit)
    assert bare[Limit.MEMORY] is Strength.SAMPLED
    full = strengths(Cgroups((Hierarchy("unified", WORKSPACE, frozenset({"memory", "pids"})),)))  # type: ignore[arg-type]
    assert (full[Limit.MEMORY], full[Limit.PIDS]) == (Strength.HARD, Strength.HARD)


@pytest.mark.parametrize("piece", [1, 7, 100, 5000])
def test_kept_output_has_its_head_and_its_tail(piece: int) -> None:
    content = b"".join(b"%06d" % n for n in range(2000))
    kept = Kept(1000)
    for start in range(0, len(content), piece):
        kept.feed(content[start : start + piece])
    head, _, rest = kept.value().partition(b"\n\xe2\x80\xa6 ")
    assert head == content[:500]
    assert rest.partition(b"\n")[2] == content[-500:]
    assert kept.cut == len(content) - 1000
    assert f"{kept.cut:,} bytes cut".encode() in kept.value()


@pytest.mark.parametrize("length", [0, 1, 499, 500, 501, 999, 1000])
def test_output_that_fits_is_kept_whole(length: int) -> None:
    kept = Kept(1000)
    kept.feed(b"x" * length)
    assert (kept.value(), kept.cut, kept.flooded) == (b"x" * length, 0, False)


def test_flood() -> None:
    kept = Kept(1000)
    kept.feed(b"x" * 1000 * FLOOD)
    assert not kept.flooded
    kept.feed(b"x")
    assert kept.flooded


def test_size_follows_no_link_and_stops_early(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_bytes(b"x" * 10_000)
    (tmp_path / "out").symlink_to("/usr")
    assert 10_000 < size(tmp_path, 1 << 30) < 50_000
    assert size(tmp_path, 100) > 100
    assert size(tmp_path / "nowhere", 100) == 0


def test_a_tree_deeper_than_a_path_counts_as_too_large(tmp_path: Path) -> None:
    before = os.getcwd()
    os.chdir(tmp_path)
    try:
        for _ in range(30):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
    finally:
        os.chdir(before)
    assert size(tmp_path, 1 << 30) == (1 << 30) + 1
    erase(tmp_path / ("d" * 200))
    assert list(tmp_path.iterdir()) == []
