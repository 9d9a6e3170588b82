"""What a program prints: always drained, never all kept. The head says what began, the tail how it ended."""

from __future__ import annotations

FLOOD = 64
"""A program that prints this many times what is kept is stopped; reading on would only heat the room."""


class Kept:
    """Bytes up to ``room``, then the first and the last half of it with a line between that says what is missing."""

    def __init__(self, room: int) -> None:
        self._half = max(room // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def feed(self, chunk: bytes) -> None:
        self.total += len(chunk)
        free = self._half - len(self._head)
        if free > 0:
            self._head += chunk[:free]
            chunk = chunk[free:]
        self._tail += chunk
        # Trimmed rarely, so that a flood in small pieces does not copy the tail each time.
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def cut(self) -> int:
        return max(0, self.total - len(self._head) - self._half)

    @property
    def flooded(self) -> bool:
        return self.total > FLOOD * 2 * self._half

    def value(self) -> bytes:
        if not self.cut:
            return bytes(self._head + self._tail)
        tail = self._tail[-self._half :]
        return bytes(self._head) + f"\n… {self.cut:,} bytes cut …\n".encode() + bytes(tail)
