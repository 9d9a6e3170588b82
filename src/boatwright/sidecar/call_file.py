"""The forge calls of a bottle by itself: a file beside its record, one JSON object a line, each synced before it counts.

Only the process that holds the bottle writes it. A line that a kill cut short says nothing, and the next one begins anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from boatwright.ledger import files, unavailable
from boatwright.values.calls import ForgeCall
from boatwright.values.clock import Clock
from boatwright.values.events import ForgeCalled

_INTENDED, _CALLED = "intended", "called"
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class CallFile:
    """A :class:`sidecar.call_record.CallRecord` of a bottle that somebody holds."""

    def __init__(
        self, path: Path, caller: str, clock: Clock, may_write: Callable[[], Awaitable[None]]
    ) -> None:
        self._path, self._clock, self._may_write = path, clock, may_write
        self.caller = caller

    async def told(self) -> Sequence[ForgeCalled]:
        return await asyncio.to_thread(self._read)

    async def fence(self) -> None:
        """The bottle is held by the kernel's lock, so nobody takes it away; but somebody may have switched its
        repository off: then ``may_write`` raises.
        """
        await self._may_write()

    async def intend(self, call: ForgeCall, mark: str) -> None:
        await asyncio.to_thread(self._append, {_INTENDED: mark, "call": call.kind, "number": call.number})

    async def tell(self, said: ForgeCalled, *, once: bool) -> None:
        if once and any(
            (each.outcome, each.digest) == (said.outcome, said.digest) for each in await self.told()
        ):
            return
        await asyncio.to_thread(self._append, {_CALLED: said.model_dump(mode="json", exclude_none=True)})

    def _read(self) -> list[ForgeCalled]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unavailable.from_file(error, self._path) from error
        found = []
        for line in lines:
            with suppress(ValueError):  # cut short
                row = json.loads(line)
                if isinstance(row, dict) and _CALLED in row:
                    found.append(ForgeCalled.model_validate(row[_CALLED]))
        return found

    def _append(self, row: dict[str, Any]) -> None:
        line = (
            json.dumps({"at": self._clock.now().isoformat(timespec="milliseconds"), **row}).encode() + b"\n"
        )
        try:
            with os.fdopen(os.open(self._path, _APPENDING, 0o600), "r+b", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                cut_short = size and os.pread(file.fileno(), 1, size - 1) != b"\n"
                _write(file.fileno(), (b"\n" if cut_short else b"") + line)
                os.fsync(file.fileno())
            if not size:
                files.sync_directory(self._path.parent)
        except OSError as error:
            raise unavailable.from_file(error, self._path) from error


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
