"""What a program prints, told line by line while it runs."""

from __future__ import annotations

from collections.abc import Callable


class Lines:
    """Bytes as they come, told line by line. What is longer than ``longest`` bytes is told in pieces."""

    def __init__(self, say: Callable[[str], None], *, longest: int = 4_096) -> None:
        self._say = say
        self._longest = longest
        self._rest = b""

    def feed(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > self._longest:  # a progress bar, not a line
            self.end()

    def end(self) -> None:
        if self._rest:
            self._tell(self._rest)
        self._rest = b""

    def _tell(self, line: bytes) -> None:
        self._say(line.decode("utf-8", "replace").rstrip())
