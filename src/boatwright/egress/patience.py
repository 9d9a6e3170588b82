"""How long a peer is waited for: one timer for all the waits of a connection, looked at only when it rings.

A timer for each wait is set and taken down again for nothing: almost every wait ends long before it.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Patience:
    """Of one side of a connection; one wait at a time."""

    def __init__(self) -> None:
        self._until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[Any] | None = None
        self._over = False

    async def read(self, reader: asyncio.StreamReader, most: int, seconds: float) -> bytes:
        """What comes next, at most so many bytes. ``TimeoutError`` when nothing does for so long."""
        task = asyncio.current_task()
        assert task is not None  # a coroutine runs in a task
        cancelled = task.cancelling()
        self._wait(task, seconds)
        try:
            return await reader.read(most)
        except asyncio.CancelledError:
            if self._over and task.uncancel() <= cancelled:
                raise TimeoutError from None
            raise
        finally:
            self._waiting = None

    def close(self) -> None:
        """The connection is over: its timer goes with it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, task: asyncio.Task[Any], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting, self._over = task, False
        self._until = loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._until:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = loop.call_at(self._until, self._ring)

    def _ring(self) -> None:
        """The wait it was set for may be over long since, and another under way that has more time."""
        self._timer = None
        if self._waiting is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._ring)
            return
        self._over = True
        self._waiting.cancel()
