"""The patrol of a worker: now and then look for what nobody could take the word of, and bring bills in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from boatwright import errors
from boatwright.intake import commands, returning, rounds
from boatwright.intake.commands import Pace
from boatwright.intake.missed import Sweep
from boatwright.stages import metering, solo_cut
from boatwright.stages.house import House
from boatwright.values.state import FINISHED, State
from boatwright.workflows.engine import Engine

EVERY_SECONDS = 30.0


async def once(house: House, engine: Engine, pace: Pace | None = None, sweep: Sweep | None = None) -> int:
    """One round: pull requests closed or merged meanwhile, work whose forge is back, usage rows not imported yet. Returns
    what was new. With ``pace``, servers are left alone in most rounds; with ``sweep``, missed webhooks are asked for.
    """
    new = await commands.reconcile(house, engine, pace)
    new += await returning.once(house, engine)
    new += await sweep.once(house) if sweep is not None else 0
    live = [state for state in State if state not in FINISHED]
    for view in await asyncio.to_thread(house.ledger.executions.list, states=live, limit=commands.EVERY):
        with suppress(errors.BoatwrightError):  # its row is in dispute; the others are not
            new += await metering.import_usage(house, view.id)
    with suppress(errors.BoatwrightError):
        new += await solo_cut.finish_all(house)
    return new


@asynccontextmanager
async def walking(house: House, engine: Engine, *, every: float = EVERY_SECONDS) -> AsyncIterator[None]:
    """Patrol in the background while a worker works."""
    task = asyncio.create_task(_walk(house, engine, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _walk(house: House, engine: Engine, every: float) -> None:
    pace, sweep = Pace(), Sweep()
    while True:
        await rounds.outlived(once(house, engine, pace, sweep), "the patrol")
        await asyncio.sleep(every)
