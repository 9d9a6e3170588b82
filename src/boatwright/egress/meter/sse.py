"""Server-sent events, cut out of a byte stream as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
_LAST_ENDS = (b"\n\n", b"\n\r\n", b"\r\r")
LARGEST = 32 << 20


class TooLarge(Exception):
    """An event without end."""


class Splitter:
    """Feed it bytes, get whole events, their bytes as they came."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Every event that is whole by now, as one run of bytes."""
        whole = self._rest + data if self._rest else data
        end = max(whole.rfind(mark) + len(mark) if mark in whole else 0 for mark in _LAST_ENDS)
        self._rest = whole[end:]
        if len(self._rest) > LARGEST:
            raise TooLarge
        return whole[:end]

    @property
    def rest(self) -> bytes:
        """What is left of an event that never ended."""
        return self._rest


def events(run: bytes) -> Iterator[bytes]:
    """A run of whole events one by one, each with its end."""
    start = 0
    for end in _END.finditer(run):
        yield run[start : end.end()]
        start = end.end()
    if start < len(run):
        yield run[start:]


def data_of(event: bytes) -> bytes:
    """The data lines of one event, joined."""
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
