"""What a bottle's terminal showed: the newest of it in memory for who attaches, all of it (to a cap) in a file."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Self

ROOM = 256 << 10
CAP = 16 << 20
"""Bytes of one bottle's file; what comes after is shown, and not kept there."""
_FULL = b"\r\n[boatwright: the record of this terminal is full]\r\n"


class Scrollback:
    """Pieces are kept and dropped whole, so that what is shown again never begins inside a sequence."""

    def __init__(self, path: Path, *, room: int = ROOM, cap: int = CAP) -> None:
        self._room, self._cap = room, cap
        self._pieces: deque[bytes] = deque()
        self._size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file = os.fdopen(os.open(path, flags, 0o600), "ab", buffering=0)
        self._kept = self._file.tell()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        while self._size > self._room and len(self._pieces) > 1:
            self._size -= len(self._pieces.popleft())
        self._keep(piece)

    def newest(self) -> bytes:
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        """A disk that is full costs the record, never the agent."""
        if self._kept >= self._cap:
            return
        self._kept += len(piece)
        try:
            self._file.write(piece if self._kept < self._cap else _FULL)
        except OSError:
            self._kept = self._cap
