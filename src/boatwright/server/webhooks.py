"""Everything forges need of a process that serves: the public doors, and the pump that reads what came through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from boatwright import errors
from boatwright.intake.door import Door
from boatwright.intake.outside import Outside
from boatwright.intake.pump import Pump, pumping
from boatwright.server.front import front
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine


@asynccontextmanager
async def opened(house: House, engine: Engine, outside: Outside) -> AsyncIterator[FastAPI]:
    """The doors, to be listened at by whoever opened them, on the same loop. The pump ends first, then the door.

    ``state.pumping`` of what is yielded is the pump's task, for whoever has to know that it lives.
    """
    pump = Pump.of(house, engine, outside)
    door = Door(
        house.ledger.deliveries,
        house.settings.forges,
        environment=house.environment,
        clock=house.clock,
        stored=pump.wake,
    )

    async def healthy() -> str:
        return await asyncio.to_thread(why_away, house)

    try:
        async with pumping(pump) as task:
            app = front(door, release=house.release, healthy=healthy)
            app.state.pumping = task
            yield app
    finally:
        await door.close()


def why_away(house: House) -> str:
    """Why the ledger does not answer; empty when it does."""
    try:
        house.ledger.events.after(0, limit=1)
    except errors.StoreUnavailable as gone:
        return str(gone)
    return ""


def listens(house: House) -> bool:
    """Whether a delivery of any forge could be told from a forged one."""
    return any(setting.listens for setting in house.settings.forges.values())
