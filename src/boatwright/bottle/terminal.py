"""A pseudo-terminal of ours: the bottle gets one end, and never the terminal of a person.

So whatever a program does to its terminal it does to the pair, and what it prints are bytes that we hold first.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

CHUNK = 1 << 16
WAITING = 1 << 20
"""Bytes typed that a program has not read yet; more is not taken."""
LEAST, MOST = 2, 1_000
NAME = "xterm-256color"
"""What a program is told its terminal is: people with different ones may look at the same time."""


@dataclass(frozen=True, slots=True)
class Size:
    """Rows and columns, held between what any program can draw in."""

    rows: int = 24
    columns: int = 80

    @classmethod
    def of(cls, rows: int, columns: int) -> Size:
        """A size from anywhere; 0 (a terminal that does not know its own) becomes the usual one."""
        return cls(_within(rows or cls().rows), _within(columns or cls().columns))

    @classmethod
    def at(cls, descriptor: int) -> Size:
        """The size of a terminal of this host."""
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(descriptor, termios.TIOCGWINSZ, bytes(8)))
        return cls.of(rows, columns)


def _within(length: int) -> int:
    return min(max(length, LEAST), MOST)


class Terminal:
    """The pair. ``inner`` is for the bottle's program; whoever starts that lets go of our copy of it."""

    def __init__(self, outer: int, inner: int, size: Size) -> None:
        self.inner = inner
        self._outer = outer
        self._waiting = bytearray()
        self._closed: asyncio.Future[None] | None = None
        self.resize(size)

    @classmethod
    def open(cls, size: Size) -> Self:
        outer, inner = os.openpty()
        os.set_blocking(outer, False)
        return cls(outer, inner, size)

    def listen(self, take: Callable[[bytes], None]) -> None:
        """Give each piece of output to ``take``, on the running loop."""
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        loop.add_reader(self._outer, self._read, take)

    async def drained(self) -> None:
        """Wait until the last byte was read, which is when nobody holds the inner end any more."""
        self.let_go()
        if self._closed is not None:
            await self._closed

    def type(self, data: bytes) -> bool:
        """Bytes for the program to read. False: it has not read what it was given, and these are not taken."""
        if len(self._waiting) + len(data) > WAITING:
            return False
        self._waiting += data
        self._write()
        return True

    def resize(self, size: Size) -> None:
        """The kernel tells the program in front (SIGWINCH) when it differs from what was."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._outer, termios.TIOCSWINSZ, struct.pack("HHHH", size.rows, size.columns, 0, 0))

    def let_go(self) -> None:
        """Close our copy of the inner end."""
        if self.inner >= 0:
            os.close(self.inner)
            self.inner = -1

    def close(self) -> None:
        self.let_go()
        if self._outer >= 0:
            self._end()
            os.close(self._outer)
            self._outer = -1

    def _read(self, take: Callable[[bytes], None]) -> None:
        try:
            data = os.read(self._outer, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # EIO: the inner end is closed everywhere
            data = b""
        if data:
            take(data)
        else:
            self._end()

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            del self._waiting[: os.write(self._outer, self._waiting[:CHUNK])]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()
        if self._waiting:
            loop.add_writer(self._outer, self._write)
        else:
            loop.remove_writer(self._outer)

    def _end(self) -> None:
        if self._closed is not None:
            loop = self._closed.get_loop()
            loop.remove_reader(self._outer)
            loop.remove_writer(self._outer)
            if not self._closed.done():
                self._closed.set_result(None)
