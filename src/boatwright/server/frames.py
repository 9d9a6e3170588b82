"""What a bottle's terminal and whoever is attached to it say to each other: a letter, a length, bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from boatwright import errors
from boatwright.bottle.terminal import Size

VERSION = 1
HELLO, SHOWN, ENDED = b"h", b"o", b"e"
"""From the terminal: its version and name (JSON), output, the end."""
TYPED, SIZED = b"i", b"w"
"""To the terminal: keys, and the size of the window (rows, columns)."""
LONGEST = 1 << 20
_HEAD = struct.Struct("!cI")
_SIZE = struct.Struct("!HH")


def frame(kind: bytes, data: bytes = b"") -> bytes:
    return _HEAD.pack(kind, len(data)) + data


def sized(size: Size) -> bytes:
    return frame(SIZED, _SIZE.pack(size.rows, size.columns))


def size_of(data: bytes) -> Size:
    try:
        return Size.of(*_SIZE.unpack(data))
    except struct.error as error:
        raise errors.BadInput("a window's size has four bytes") from error


class Frames:
    """Whole frames out of bytes as they come. ``errors.BadInput`` for a frame nobody of ours would send."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            kind, length = _HEAD.unpack_from(self._rest)
            if length > LONGEST:
                raise errors.BadInput(f"a frame of {length:,} bytes was announced; {LONGEST:,} are the most")
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            data, self._rest = self._rest[_HEAD.size : end], self._rest[end:]
            yield kind, data
