"""The end of a file that grows, and then what is added to it; bounded however much that is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

MOST = 64 << 10
"""Bytes that one look reads at most."""
SKIPPED = "… more than can be shown was said here"


class Tail:
    """One reader's place in one file. A file that is not there, or not any more, has nothing to say."""

    def __init__(self, path: Path, *, most: int = MOST) -> None:
        self.path = path
        self._most = most
        self._file: tuple[int, int] | None = None
        self._at = 0
        self._left = b""

    def read(self) -> Sequence[str]:
        """The whole lines that came since the last look; at the first one, the last of what is there."""
        try:
            with self.path.open("rb") as file:
                return self._read(file.fileno())
        except FileNotFoundError:
            return ()

    def _read(self, descriptor: int) -> list[str]:
        status = os.fstat(descriptor)
        first = self._file is None
        if (status.st_dev, status.st_ino) != self._file or status.st_size < self._at:
            self._file, self._at, self._left = (status.st_dev, status.st_ino), 0, b""
        skipped = status.st_size - self._at > self._most
        if skipped:
            self._at = status.st_size - self._most
        data = os.pread(descriptor, self._most, self._at)
        self._at += len(data)
        if skipped:
            _, _, data = data.partition(b"\n")
            self._left = b""
        *whole, self._left = (self._left + data).split(b"\n")
        self._left = self._left[-self._most :]
        lines = [line.decode("utf-8", "replace") for line in whole]
        return [SKIPPED, *lines] if skipped and not first else lines


def last_line(path: Path) -> str:
    """The last line of a file that is not empty; nothing where there is none."""
    lines = Tail(path, most=4 << 10).read()
    return next((line for line in reversed(lines) if line.strip()), "")
