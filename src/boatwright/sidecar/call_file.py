"""The forge calls of a bottle by itself: a file beside its record, one JSON object a line, each synced before it counts.

Only the process that holds the bottle writes it. A line that a kill cut short says nothing, and the next one begins anew.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boatwright import errors
from boatwright.values.calls import ForgeCall
from boatwright.values.clock import Clock
from boatwright.values.events import ForgeCalled

_INTENDED, _CALLED = "intended", "called"
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC


class CallFile:
    """A :class:`sidecar.call_record.CallRecord` of a bottle that somebody holds."""

    def __init__(self, path: Path, caller: str, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self.caller = caller

    async def told(self) -> Sequence[ForgeCalled]:
        return await asyncio.to_thread(self._read)

    async def fence(self) -> None:
        """The bottle is held by the kernel's lock: there is nobody to lose it to."""

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
            raise _away(self._path, error) from error
        found = []
        for line in lines:
            with suppress(ValueError, ValidationError):  # cut short
                row = json.loads(line)
                if isinstance(row, dict) and _CALLED in row:
                    found.append(ForgeCalled.model_validate(row[_CALLED]))
        return found

    def _append(self, row: dict[str, Any]) -> None:
        line = (
            json.dumps({"at": self._clock.now().isoformat(timespec="milliseconds"), **row}).encode() + b"\n"
        )
        try:
            descriptor = os.open(self._path, _APPENDING, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                cut_short = size and os.pread(descriptor, 1, size - 1) != b"\n"
                _write(descriptor, (b"\n" if cut_short else b"") + line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _away(self._path, error) from error


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _away(path: Path, error: OSError) -> errors.StoreUnavailable:
    return errors.StoreUnavailable(
        f"what an agent calls at its forge cannot be written down: {error.strerror}",
        subject=str(path),
        next_moves=("df -h",),
    )
