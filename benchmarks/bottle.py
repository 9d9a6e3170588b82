"""Row 1: cold start of a hardened bottle, held against a bare ``bwrap true`` in the same run.

Both run as the same unprivileged uid. Ours is everything a caller pays: descriptors, filter, dropping privileges,
limits, reading the output, until the tree is gone.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from boatwright.bottle.backends.bubblewrap import Bubblewrap, BubblewrapBottle
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

ROUNDS = 40
MANY = 50
TARGET_RATIO, TARGET_MANY = 3.0, 0.5


async def main() -> None:
    place = Path(tempfile.mkdtemp(prefix="bwb-", dir="/tmp"))
    place.chmod(0o711)
    backend = Bubblewrap(StateDir(place), clock=SystemClock(), ids=SystemIds())
    try:
        await _cold_start(backend)
        await _many(backend)
    finally:
        for slug in await backend.list():
            await backend.destroy(slug)
        shutil.rmtree(place, ignore_errors=True)


async def _cold_start(backend: Bubblewrap) -> None:
    bottle = await backend.create(BottleSpec("bench", "bench"))
    bare, ours = [], []
    for _ in range(ROUNDS):  # in turns, so that a busy moment hits both
        bare.append(_timed(_bare(backend)))
        began = time.perf_counter()
        assert (await bottle.exec(["true"])).ok
        ours.append(time.perf_counter() - began)
    low, high = statistics.median(bare), statistics.median(ours)
    print(f"bare bwrap true       {low * 1e3:7.1f} ms   median of {ROUNDS}")
    print(f"hardened bottle true  {high * 1e3:7.1f} ms")
    _verdict("ratio", high / low, TARGET_RATIO, "x")


def _bare(backend: Bubblewrap) -> Callable[[], None]:
    uid = backend.uid_range[-1]
    argv = [
        str(backend.bwrap.path),
        "--unshare-all",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "true",
    ]
    drop = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}

    def run() -> None:
        subprocess.run(argv, check=True, env={}, cwd="/", stdin=subprocess.DEVNULL, **drop)  # type: ignore[call-overload]

    return run


def _timed(run: Callable[[], None]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


async def _many(backend: Bubblewrap) -> None:
    """Fifty bottles up at once, each with a program that has said so."""
    bottles = [await backend.create(BottleSpec(f"many-{n}", "bench")) for n in range(MANY)]
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        tasks = await _all_up(bottles)
        seconds.append(time.perf_counter() - began)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    _verdict(f"{MANY} at once", min(seconds), TARGET_MANY, " s")


async def _all_up(bottles: list[BubblewrapBottle]) -> list[asyncio.Task[object]]:
    ups = [asyncio.Event() for _ in bottles]
    tasks: list[asyncio.Task[object]] = [
        asyncio.create_task(
            bottle.exec(["/bin/sh", "-c", "echo up; sleep 60"], on_output=lambda _, up=up: up.set())  # type: ignore[misc]
        )
        for bottle, up in zip(bottles, ups, strict=True)
    ]
    await asyncio.gather(*(up.wait() for up in ups))
    return tasks


def _verdict(what: str, figure: float, target: float, unit: str) -> None:
    word = "within" if figure <= target else "ABOVE"
    print(f"{what:<21} {figure:7.2f}{unit}   {word} the target of {target}{unit}")


if __name__ == "__main__":
    asyncio.run(main())
