"""Work that stopped because its forge was away goes on by itself when the forge had time to come back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from boatwright import errors
from boatwright.intake import commands
from boatwright.rules import returning
from boatwright.stages.house import House
from boatwright.values.events import FeatureParked
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State
from boatwright.workflows.engine import Engine

CODE = "forge"
BY = "forge"


async def once(house: House, engine: Engine) -> int:
    """Take up what is due. Returns how many; several workers that look at once take it up once."""
    parked = await asyncio.to_thread(
        house.ledger.executions.list, states=(State.PARKED,), limit=commands.EVERY
    )
    new = 0
    for view in parked:
        if view.parked_code == CODE:
            with suppress(errors.BoatwrightError):  # its row is in dispute; the others are not
                new += await _one(house, engine, view)
    return new


async def _one(house: House, engine: Engine, view: ExecutionView) -> bool:
    history = await asyncio.to_thread(house.ledger.events.stream, view.id)
    parks = [event for event in history if isinstance(event.payload, FeatureParked)]
    codes = [event.payload.code for event in parks if isinstance(event.payload, FeatureParked)]
    times = next((at for at, code in enumerate(reversed(codes)) if code != CODE), len(codes))
    if not parks or not returning.due(times, parks[-1].time, house.clock.now()):
        return False
    return await commands.go_on(house, engine, view, key=f"return:{parks[-1].sequence}", by=BY)
