"""The tapes of one proxy: those it records, and those it answers from in place of a provider."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from pathlib import Path

from boatwright import errors
from boatwright.egress import http1, tape
from boatwright.egress.answer import Refused
from boatwright.egress.spec import WireSpec
from boatwright.egress.tape import Exchange, Note, Recorder, Taping
from boatwright.egress.upstream import ANSWER_SECONDS, Cut, Link, Origin
from boatwright.rules import replaying
from boatwright.values.clock import Clock

MOST_REPLAYS = 4
"""Executions whose tapes are held in memory for being replayed, the newest."""

_Waiting = dict[str, list[Exchange]]
"""By purpose: what a tape has and no call has taken yet."""


class Tapes:
    def __init__(self, root: Path, clock: Clock, note: Note) -> None:
        self._root, self._clock, self._note = root, clock, note
        self._recorders: dict[str, Recorder] = {}
        self._replays: OrderedDict[str, _Waiting] = OrderedDict()
        self._reading = asyncio.Lock()

    def begin(self, wire: WireSpec, target: str, body: bytes, key: str | None) -> Taping | None:
        """Record that a call is made; None on a wire that is not recorded."""
        if not wire.taped:
            return None
        recorder = self._recorders.get(wire.id)
        if recorder is None:
            recorder = self._recorders[wire.id] = Recorder(
                self._root / wire.execution / f"{wire.id}{tape.SUFFIX}",
                wire=wire.id,
                execution=wire.execution,
                purpose=wire.purpose,
                clock=self._clock,
                note=self._note,
            )
        return recorder.begin(target, body, key)

    def close(self, wire: str) -> None:
        recorder = self._recorders.pop(wire, None)
        if recorder is not None:
            recorder.close()

    def leave(self) -> None:
        """This proxy ends; another may go on with its tapes, and has parts of its own where it began before."""
        for wire in tuple(self._recorders):
            self.close(wire)

    async def answer(self, wire: WireSpec, execution: str, target: str, body: bytes) -> Link:
        """The recorded answer to this call of ``wire``: the first that was given to the same question for the same
        purpose and was not given yet. ``Refused`` (replay) where the tape has none.
        """
        async with self._reading:
            waiting = await self._waiting(wire.execution, execution)
        asked = replaying.key(target, body.decode("utf-8", "replace"))
        of_purpose = waiting.get(wire.purpose, [])
        found = next((each for each in of_purpose if each.asked.key == asked), None)
        if found is None:
            raise Refused(
                "replay",
                f"the tape of {execution} has no such call for {wire.purpose}: this run asks something else",
                next_moves=(f"boatwright replay {execution} tells the first difference",),
            )
        of_purpose.remove(found)
        if not found.status:
            raise Refused("upstream", "the tape has no answer to this call: it broke off there")
        return Replayed(found)

    async def _waiting(self, run: str, execution: str) -> _Waiting:
        """What is left of the tapes for this run; read at its first call."""
        if run not in self._replays:
            try:
                found = await asyncio.to_thread(by_purpose, self._root, execution)
            except errors.BoatwrightError as error:
                raise Refused("replay", str(error), next_moves=error.next_moves) from error
            self._replays[run] = found
            while len(self._replays) > MOST_REPLAYS:
                self._replays.popitem(last=False)
        return self._replays[run]


def by_purpose(root: Path, execution: str) -> _Waiting:
    """All calls of an execution's tapes, by purpose, in the order they were made."""
    found: _Waiting = {}
    for one in tape.of_execution(root, execution):
        found.setdefault(one.purpose, []).extend(one.exchanges)
    for calls in found.values():
        calls.sort(key=lambda each: each.at)
    return found


class Replayed(Link):
    """An answer that was recorded, as a connection would bring it: the same pieces, without the waiting."""

    def __init__(self, exchange: Exchange) -> None:
        self.origin = Origin(tls=False, path="tape")
        self.reused = False
        self._status = exchange.status
        self._headers = exchange.headers
        self._pieces = iter(exchange.chunks)
        self._whole = exchange.whole

    async def head(self, *, empty: bool = False) -> http1.Head:
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self._headers]
        return http1.Head(self._status, headers, chunked=False, length=None, keeps=False)

    async def data(self, seconds: float = ANSWER_SECONDS) -> bytes | None:
        piece = next(self._pieces, None)
        if piece is not None:
            return piece[1]
        if not self._whole:
            raise Cut
        return None

    def again(self) -> bool:
        return False

    def close(self) -> None:
        """Nothing is open."""
