"""Server-sent events, cut out of a byte stream as it comes."""

from __future__ import annotations

import re
from collections.abc import Iterator

_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\r\n\n|\n\r\n")
LARGEST = 32 << 20


class TooLarge(Exception):
    """An event without end."""


class Splitter:
    """Feed it bytes, get whole events: their bytes as they came, end included."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        whole = self._rest + data if self._rest else data
        start = 0
        for end in _END.finditer(whole):
            yield whole[start : end.end()]
            start = end.end()
        self._rest = whole[start:]
        if len(self._rest) > LARGEST:
            raise TooLarge

    @property
    def rest(self) -> bytes:
        """What is left of an event that never ended."""
        return self._rest


def data_of(event: bytes) -> bytes:
    """The data lines of one event, joined."""
    lines = event.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:"))
