"""Running one program in a bottle under its limits: start, watch, name what ended it, leave nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Iterator, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.bottle import limits as naming
from boatwright.bottle import processes, stopping
from boatwright.bottle.cgroups import Group
from boatwright.bottle.running import Ended, Run
from boatwright.bottle.watchdog import Pauses, Watchdog
from boatwright.values.clock import Clock
from boatwright.values.process import ExecResult, Limit

SETTLE = 0.02
"""Seconds before a program is worth a control group: most are gone by then."""


class Execution:
    """One program in a bottle: its tree, its group, its pauses. ``mark`` is a file that exists while it may run."""

    def __init__(self, run: Run, group: Group, clock: Clock, mark: Path) -> None:
        self._run = run
        self._group = group
        self._clock = clock
        self._mark = mark
        self._pauses = Pauses()
        self._settling: asyncio.Task[None] | None = None
        self._before: frozenset[int] = frozenset()

    @property
    def mark(self) -> Path:
        return self._mark

    async def result(self, places: Sequence[Path]) -> ExecResult:
        """Run it to its end. Nothing of it is left when this returns or raises, cancellation included."""
        began = self._clock.monotonic()
        limits = self._run.line.limits
        with self._marked():
            try:
                self._run.start()
                dog = Watchdog(self._run, self._group, places, self._clock, self._pauses)
                self._settling = asyncio.create_task(self._settle())
                fired = await self._until_end(dog)
                ended = await self._run.ended()
                hits = self._group.memory_kills(), self._group.refused_forks()
            finally:
                await asyncio.shield(asyncio.ensure_future(self._clean()))
        if not ended.made:
            raise _not_made(self._run)
        if fired is None and ended.exit_code != 0:
            await dog.measure()
        limit = naming.name(limits, _trace(ended, fired, hits, dog))
        return self._told(ended, limit, self._clock.monotonic() - began)

    def kill(self) -> None:
        """Kill the tree, paused or not: bwrap itself must run again to report it."""
        self._run.kill()
        self._group.thaw()

    def pids(self) -> list[int]:
        """The host's pids of its tree."""
        first = self._run.first
        return (
            [each.pid for each in processes.tree(first)] if first is not None and not self._run.gone else []
        )

    async def pause(self) -> None:
        """Stop the tree where it is; its wall clock stops too."""
        self._pauses.begin(self._clock.monotonic())
        await self._run.known()
        first = self._run.first
        if first is None or self._run.gone:
            return
        if self._group.freezes:
            await asyncio.to_thread(self._group.join, self._run.outer, first, self._run.line.limits)
            if await asyncio.to_thread(self._group.freeze):
                return
        self._before = await asyncio.to_thread(stopping.stop, first)

    async def unpause(self) -> None:
        await asyncio.to_thread(self._group.thaw)
        if self._run.first is not None and not self._run.gone:
            stopping.go_on(self._run.first, self._before)
        self._pauses.end(self._clock.monotonic())

    async def _until_end(self, dog: Watchdog) -> Limit | None:
        end, watch = asyncio.ensure_future(self._run.ended()), asyncio.ensure_future(dog.fires())
        try:
            await asyncio.wait({end, watch}, return_when=asyncio.FIRST_COMPLETED)
            if end.done():  # it may have flooded us and ended before anybody looked
                return Limit.OUTPUT if self._run.flooded.is_set() else None
            self.kill()
            return watch.result()
        finally:
            end.cancel()
            watch.cancel()
            await asyncio.gather(end, watch, return_exceptions=True)

    async def _settle(self) -> None:
        """Move the tree into its group once it has lived a moment."""
        while await self._run.lives(SETTLE):
            if self._run.first is not None:
                await asyncio.to_thread(
                    self._group.join, self._run.outer, self._run.first, self._run.line.limits
                )
                return

    async def _clean(self) -> None:
        if not self._run.gone:
            self.kill()
        await self._run.release()
        if self._settling is not None:
            # Not cancelled: a thread cannot be, and with the tree gone it ends at once.
            await asyncio.gather(self._settling, return_exceptions=True)
        self._group.close()

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        self._mark.touch(mode=0o600)
        try:
            yield
        finally:
            self._mark.unlink(missing_ok=True)

    def _told(self, ended: Ended, limit: Limit | None, seconds: float) -> ExecResult:
        kept = self._run.kept
        return ExecResult(
            exit_code=ended.exit_code,
            output=kept.value(),
            seconds=seconds,
            limit=limit,
            truncated=kept.cut > 0,
            stdout=bytes(self._run.stdout),
        )


def _peak(used: resource.struct_rusage) -> int:
    """The largest resident size in the tree, where the kernel's word for it says anything: a child is started
    with the mark its parent has reached, so that only what is above ours is the bottle's own.
    """
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used.ru_maxrss * 1024 if used.ru_maxrss > ours else 0


def _trace(ended: Ended, fired: Limit | None, hits: tuple[int, int], dog: Watchdog) -> naming.Trace:
    return naming.Trace(
        exit_code=ended.exit_code,
        fired=fired,
        cpu_seconds=ended.used.ru_utime + ended.used.ru_stime,
        peak_memory=max(_peak(ended.used), dog.memory),
        memory_kills=hits[0],
        refused_forks=hits[1],
        disk=dog.disk,
    )


def _not_made(run: Run) -> errors.MissingPart:
    return errors.MissingPart(
        f"the bottle could not be made: {run.said() or 'it gave no reason'}",
        subject=str(run.line.program),
        next_moves=("boatwright doctor",),
    )
