"""What the scripted model remembers: how often each fault has fired, and what was billed. Nothing else."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boatwright.testing.conversation import Asked, Place, Purpose
from boatwright.testing.replying import Bill
from boatwright.testing.scripted import Fault, FaultKind, Script

UNBILLED = frozenset({FaultKind.HTTP_401, FaultKind.HTTP_429, FaultKind.HTTP_500, FaultKind.HTTP_529})
"""Faults by which the provider never begins to work, and bills nothing. In every other case it bills in
full.
"""


class Faults:
    """Which fault fires now. The count lives in this process: a restarted server begins again at the first
    time.
    """

    def __init__(self, script: Script) -> None:
        self._faults = script.faults
        self._fired: Counter[int] = Counter()

    def next(self, place: Place) -> Fault | None:
        """The first fault for this place that has firings left; it is counted as fired."""
        for index, fault in enumerate(self._faults):
            if not _meant(fault, place):
                continue
            if fault.times == "always" or self._fired[index] < fault.times:
                self._fired[index] += 1
                return fault
        return None


def _meant(fault: Fault, place: Place) -> bool:
    if place.purpose in {Purpose.CHAT, Purpose.ASIDE} or fault.round != place.round:
        return False
    wanted = fault.reply if isinstance(fault.reply, str) else Purpose.BUILD.value
    return place.purpose.value == wanted and (isinstance(fault.reply, str) or fault.reply == place.reply)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as the provider's bill has it. ``number`` counts from 1 in the life of the process."""

    number: int
    protocol: str
    purpose: str
    round: int
    reply: int
    model: str
    stream: bool
    request_bytes: int
    request_digest: str
    max_output: int | None
    status: int
    fault: str
    billed: bool
    input: int
    cache_read: int
    cache_write: int
    output: int


class BillBook:
    """Every request that reached the model, in order; to a file as JSON lines too, when one is named."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.entries: list[Entry] = []

    def write(
        self, protocol: str, asked: Asked, place: Place, bill: Bill, *, fault: Fault | None, status: int
    ) -> None:
        """Book one request before its answer is sent: a provider bills what it did, heard or not."""
        billed = status == 200 and (fault is None or fault.kind not in UNBILLED)
        paid = bill if billed else Bill(0, 0)
        entry = Entry(
            number=len(self.entries) + 1, protocol=protocol, purpose=place.purpose.value, round=place.round,
            reply=place.reply, model=asked.model, stream=asked.stream, request_bytes=asked.size,
            request_digest=asked.fingerprint, max_output=asked.max_output, status=status,
            fault=fault.kind.value if fault else "", billed=billed,
            input=paid.input, cache_read=paid.cache_read, cache_write=paid.cache_write, output=paid.output,
        )  # fmt: skip
        self.entries.append(entry)
        if self._file is not None:
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(entry)) + "\n")

    def dump(self) -> list[dict[str, Any]]:
        return [asdict(entry) for entry in self.entries]
