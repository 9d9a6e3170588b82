"""Last of a turn: bring the bill in, freeze or destroy the bottle, say what was let go of."""

from __future__ import annotations

import asyncio

from boatwright import crash
from boatwright.stages import bottles, metering, running
from boatwright.stages.house import House
from boatwright.values.chapters import Settled
from boatwright.values.context import Context
from boatwright.values.events import ResourcesReleased, TurnEnded

ENDED = frozenset({"completed", "cancelled", "failed"})


async def run(context: Context, house: House, outcome: str) -> Settled:
    """Delivered and parked keep a frozen bottle for the next turn; an end destroys it."""
    await metering.import_usage(house, context.execution)
    released: list[str] = []
    for wire in (await house.wire.status())["wires"]:  # those of killed workers stay open until they are told
        if wire["execution"] == context.execution:
            await house.wire.close(wire["id"])
    for slug in await house.backend.list():  # so do the bottles of their test runs
        if slug.startswith(running.prefix(context.execution)):
            await house.backend.destroy(slug)
    if outcome in ENDED:
        if await bottles.destroy(context, house, outcome):
            released.append(f"bottle {bottles.slug_of(context.execution)}")
        if outcome == "completed":  # a cancelled one may be taken up again
            mirror = house.mirror(await house.view(context.execution))
            await asyncio.to_thread(mirror.drop_work, context.execution)
            released.append("work ref")
        gone = ResourcesReleased(released=tuple(released))
        await context.emit(gone, key=f"t{context.turn}:resources.released")
    else:
        await bottles.freeze(context, house)
    await context.emit(TurnEnded(turn=context.turn, outcome=outcome), key=f"t{context.turn}:turn.ended")
    await asyncio.to_thread(house.ledger.signer.sign_head)
    crash.point("turn.ending")
    return Settled(released=tuple(released))
