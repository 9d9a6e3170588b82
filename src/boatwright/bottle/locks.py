"""A lock that is a file: one at a time on this host, let go of by the kernel when its holder is killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path

_POLL = 0.1


@contextlib.asynccontextmanager
async def held(path: Path) -> AsyncIterator[None]:
    """The lock, over all workers of this host, while the block runs; waiting for it can be cancelled."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not taken(descriptor):  # noqa: ASYNC110 - another process holds it: no event of ours
            await asyncio.sleep(_POLL)
        yield
    finally:
        os.close(descriptor)


def taken(descriptor: int) -> bool:
    """Take the lock unless somebody else has it; it is let go of when the descriptor closes."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
