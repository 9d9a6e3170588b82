"""The proxy's log: one JSON object a line. No bodies, no secrets; control characters are escaped by JSON."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from boatwright.values.clock import Clock

LARGEST = 16 << 20
_LONGEST_FIELD = 300


def read(path: Path, what: Collection[str]) -> Iterator[dict[str, Any]]:
    """The lines of these kinds that are still kept, oldest first."""
    for file in (path.with_suffix(".log.1"), path):
        try:
            lines = file.read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            continue
        for line in lines:
            with contextlib.suppress(ValueError):  # the last one may be cut short
                row = json.loads(line)
                if row.get("what") in what:
                    yield row


class Log:
    """Appends lines to one file and keeps one older file when it grows past :data:`LARGEST` bytes."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._file = self._open()

    def line(self, what: str, **fields: str | int | float | None) -> None:
        row: dict[str, str | int | float | None] = {
            "at": self._clock.now().isoformat(timespec="milliseconds"),
            "what": what,
        }
        row |= {
            name: value[:_LONGEST_FIELD] if isinstance(value, str) else value
            for name, value in fields.items()
        }
        try:
            self._size += os.write(self._file, (json.dumps(row) + "\n").encode())
            if self._size > LARGEST:
                self._turn_over()
        except OSError:
            return  # a full disk must not stop the wire; the budgets say what was spent

    def _open(self) -> int:
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(file).st_size
        return file

    def _turn_over(self) -> None:
        before = self._file
        with contextlib.suppress(FileNotFoundError):  # it was moved when the next one could not be opened
            self._path.replace(self._path.with_suffix(".log.1"))
        # Where this fails, lines go on into the file of before; its number is not free for somebody else's file.
        self._file = self._open()
        os.close(before)
