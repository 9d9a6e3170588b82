"""The eye on a running tree: samples what it uses and says which limit is passed.

Where the host gives us control groups the kernel holds memory and process count and this only reads who was hit;
elsewhere the samples are the limit. They come as often as the room left asks for, at the fastest growth we reckon
with, so a program far from its limits costs next to nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from boatwright.bottle import processes
from boatwright.bottle.cgroups import Group
from boatwright.bottle.running import Run
from boatwright.values.clock import Clock
from boatwright.values.process import Limit

GROWTH = 4 << 30
"""Bytes per second at which memory is taken at the very worst (touching fresh pages on one core or two)."""
FASTEST, SLOWEST = 0.02, 0.2
"""Seconds between looks. The slowest still meets a fork bomb before it meets the wall behind the limit."""
LOOK = 5.0
"""Seconds between countings of the disk, unless free space shrinks faster."""
ENTRIES = 2_000_000
"""Files and directories a bottle may hold; each counts for something even when it is empty."""
LEAST = 512


@dataclass(slots=True)
class Pauses:
    """Time a tree spent paused, which does not count against its wall clock."""

    since: float | None = None
    total: float = 0.0

    def begin(self, now: float) -> None:
        self.since = now if self.since is None else self.since

    def end(self, now: float) -> None:
        if self.since is not None:
            self.total += now - self.since
            self.since = None

    def until(self, now: float) -> float:
        return self.total + (now - self.since if self.since is not None else 0.0)


class Watchdog:
    """Watches one run. ``places`` are the directories whose size counts as its disk."""

    def __init__(self, run: Run, group: Group, places: Sequence[Path], clock: Clock, pauses: Pauses) -> None:
        self._run = run
        self._group = group
        self._limits = run.line.limits
        self._places = places
        self._clock = clock
        self._pauses = pauses
        self._began = clock.monotonic()
        self._free = [_free(place) for place in places]
        self._looked = self._began
        self._interval = FASTEST
        self.memory = 0
        self.disk = 0

    async def fires(self) -> Limit:
        """Return the first limit that is passed; never returns while none is."""
        while True:
            limit = self._over_time() or self._over_use() or await self._over_disk()
            if limit is not None:
                return limit
            await self._rest(min(self._interval, max(self._left(), 0.001)))

    async def _rest(self, seconds: float) -> None:
        """Until the next look; a flood of output ends it early."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._run.flooded.wait(), seconds)

    def _elapsed(self) -> float:
        now = self._clock.monotonic()
        return now - self._began - self._pauses.until(now)

    def _left(self) -> float:
        return self._limits.wall_seconds - self._elapsed()

    def _over_time(self) -> Limit | None:
        return Limit.WALL if self._left() <= 0 else None

    def _over_use(self) -> Limit | None:
        if self._run.flooded.is_set():
            return Limit.OUTPUT
        if self._group.memory_kills():
            return Limit.MEMORY
        if self._group.refused_forks():
            return Limit.PIDS
        return None if self._run.first is None else self._over_tree(self._run.first)

    def _over_tree(self, first: int) -> Limit | None:
        found = processes.tree(first)
        now = processes.use(found)
        self.memory = max(self.memory, self._memory(found, now))
        room = self._limits.memory_bytes - now.memory
        self._interval = min(max(room / GROWTH, FASTEST), SLOWEST)
        if now.tasks >= self._limits.pids:
            return Limit.PIDS
        if now.cpu >= self._limits.cpu_seconds:
            return Limit.CPU
        return Limit.MEMORY if self.memory > self._limits.memory_bytes else None

    def _memory(self, found: Sequence[processes.Process], now: processes.Use) -> int:
        """Resident bytes; near the limit the dearer count, in which a shared page is one page."""
        if now.memory <= self._limits.memory_bytes:
            return now.memory
        return processes.shared_out(process.pid for process in found)

    async def _over_disk(self) -> Limit | None:
        now = self._clock.monotonic()
        if not self._worth_a_look(now):
            return None
        await self.measure()
        # A large tree is counted more rarely: at most a twentieth of the time goes into counting.
        self._looked = now + 20 * (self._clock.monotonic() - now)
        return Limit.DISK if self.disk > self._limits.disk_bytes else None

    def _worth_a_look(self, now: float) -> bool:
        free = [_free(place) for place in self._places]
        if any(
            before - after > self._limits.disk_bytes // 8
            for before, after in zip(self._free, free, strict=True)
        ):
            self._free = free
            return True
        return now - self._looked > LOOK

    async def measure(self) -> int:
        """Count the bytes of the bottle's directories now."""
        most = self._limits.disk_bytes
        self.disk = await asyncio.to_thread(lambda: sum(size(place, most) for place in self._places))
        return self.disk


def _free(place: Path) -> int:
    try:
        found = os.statvfs(place)
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def size(place: Path, most: int) -> int:
    """Bytes on disk below ``place``, links not followed; stops counting once it is more than ``most``."""
    total = entries = 0
    waiting = [place]
    while waiting and total <= most and entries <= ENTRIES:
        try:
            found = list(_entries(waiting.pop()))
        except OSError as error:
            if (
                error.errno == errno.ENAMETOOLONG
            ):  # dug deeper than a path is long: nobody does that by accident
                return most + 1
            continue  # it went away, or shut itself: the next look sees it
        entries += len(found)
        for path, status in found:
            total += max(status.st_blocks * 512, LEAST)
            if stat.S_ISDIR(status.st_mode):
                waiting.append(path)
    return total if entries <= ENTRIES else most + 1


def _entries(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with os.scandir(descriptor) as listed:
            for entry in listed:
                with contextlib.suppress(FileNotFoundError):
                    yield directory / entry.name, entry.stat(follow_symlinks=False)
    finally:
        os.close(descriptor)
