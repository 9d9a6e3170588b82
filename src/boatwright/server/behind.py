"""What the routes of the private doors share: the house, its engine, the pulse of the ledger, and who asks."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from boatwright import errors
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

LOOK_SECONDS = 0.25


class Pulse:
    """One look at the ledger for everybody who waits for events: however many wait, it is asked as often."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._position = -1
        self._moved = asyncio.Event()

    @property
    def position(self) -> int:
        return self._position

    async def beat(self) -> None:
        """Look, for as long as the doors are open. A ledger that is away moves nobody."""
        while True:
            with suppress(errors.StoreUnavailable):
                found = await asyncio.to_thread(self._house.ledger.events.position)
                if found != self._position:
                    self._position = found
                    self.wake()
            await asyncio.sleep(LOOK_SECONDS)

    def wake(self) -> None:
        """Whoever waits looks again."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def past(self, position: int, seconds: float) -> bool:
        """Wait until something was appended since the ledger stood at ``position``; False after ``seconds``, or woken."""
        if self._position == position:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), seconds)
        return self._position != position


@dataclass(slots=True)
class Behind:
    """Of one private door."""

    house: House
    engine: Engine
    pulse: Pulse
    leaving: bool = False
    """The door closes: who is told events live is told no more."""
    streams: set[asyncio.Task[object]] = field(default_factory=set)

    def leave(self) -> None:
        self.leaving = True
        self.pulse.wake()


def behind(request: Request) -> Behind:
    found = request.app.state.behind
    assert isinstance(found, Behind)
    return found


def caller(request: Request) -> str:
    """Who asks, for the record: the name of their token."""
    return f"api:{request.state.caller}"


Shared = Annotated[Behind, Depends(behind)]
Caller = Annotated[str, Depends(caller)]
