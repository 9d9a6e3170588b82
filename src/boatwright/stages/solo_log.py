"""What a bottle's agent said while it worked, line by line, for whoever looks later or elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from boatwright.stages.solo_records import Records

CAP = 16 << 20
"""Bytes of one bottle's log; what comes after is shown where the agent runs, and not kept."""
_FULL = "… the log is full\n".encode()
_POLL = 0.2
_APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


@contextlib.contextmanager
def kept(path: Path, say: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """A ``say`` that writes each line into the log, too. A disk that takes no line stops nobody's work."""
    try:
        file = os.fdopen(os.open(path, _APPENDING, 0o600), "ab", buffering=0)
    except OSError:
        yield say
        return
    with file:
        room = CAP - file.tell()

        def both(line: str) -> None:
            nonlocal room
            if room > 0:
                data = f"{line}\n".encode("utf-8", "replace")
                room -= len(data)
                with contextlib.suppress(OSError):
                    file.write(data if room > 0 else _FULL)
            say(line)

        yield both


async def lines(records: Records, slug: str, *, follow: bool) -> AsyncIterator[str]:
    """The log's whole lines; with ``follow`` those that come, until nobody works on the bottle any more."""
    at, left = 0, b""
    while True:
        going_on = follow and await asyncio.to_thread(records.held, slug)
        data = await asyncio.to_thread(_from, records.log(slug), at)
        at += len(data)
        *whole, left = (left + data).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
        if not going_on:
            return
        await asyncio.sleep(_POLL)


def _from(path: Path, at: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(at)
            return file.read()
    except FileNotFoundError:
        return b""
