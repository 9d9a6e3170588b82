"""The chunked transfer coding of an answer (RFC 9112 §7.1), strictly and a buffer at a time.

A stream of model output is thousands of small chunks; taking them one event at a time costs more than
everything else the wire does with them.
"""

from __future__ import annotations

_LONGEST_LINE = 1_024
_MOST_TRAILERS = 64


class Broken(Exception):
    """These bytes are not the coding they claim to be."""


class Chunks:
    """Feed it what comes, get the body's bytes."""

    def __init__(self) -> None:
        self._rest = b""
        self._left = 0
        self._end = False
        self._trailers = 0
        self.done = False

    def feed(self, data: bytes) -> bytes:
        """The body's bytes in ``data``; ``Broken`` for anything the coding does not allow."""
        raw = self._rest + data if self._rest else data
        at = 0
        parts: list[bytes] = []
        while not self.done:
            if self._left:
                piece = raw[at : at + self._left]
                parts.append(piece)
                at += len(piece)
                self._left -= len(piece)
                if self._left:
                    break
                self._end = True
            line = raw.find(b"\r\n", at, at + _LONGEST_LINE)
            if line < 0:
                if len(raw) - at >= _LONGEST_LINE:
                    raise Broken
                break
            self._line(raw[at:line])
            at = line + 2
        self._rest = raw[at:]
        return b"".join(parts)

    @property
    def clean(self) -> bool:
        """Whether the body has ended and nothing came after it."""
        return self.done and not self._rest

    def _line(self, line: bytes) -> None:
        if self._trailers:
            self._trailer(line)
        elif self._end:
            if line:
                raise Broken  # a chunk is longer than it said
            self._end = False
        else:
            self._size(line)

    def _size(self, line: bytes) -> None:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not 0 < len(digits) <= 8 or digits.strip(b"0123456789abcdefABCDEF"):
            raise Broken
        self._left = int(digits, 16)
        if not self._left:
            self._trailers = 1

    def _trailer(self, line: bytes) -> None:
        """Trailers are thrown away; an empty line ends them and the body."""
        self._trailers += 1
        self.done = not line
        if self._trailers > _MOST_TRAILERS:
            raise Broken
