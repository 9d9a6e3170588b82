"""Last of a turn: bring the bill in, freeze or destroy the bottle, say what was let go of."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from boatwright import crash, errors
from boatwright.egress.cuts import Cut
from boatwright.rules.cutting import strictest
from boatwright.stages import bottles, cutting, ground, living, metering, running
from boatwright.stages.house import House
from boatwright.values.chapters import Settled
from boatwright.values.context import Context
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.events import ResourcesReleased, TurnEnded

ENDED = frozenset({"completed", "cancelled", "failed"})


async def run(context: Context, house: House, outcome: str) -> Settled:
    """Delivered and parked keep a frozen bottle for the next turn; an end destroys it."""
    await metering.import_usage(house, context.execution)
    released: list[str] = []
    await house.wire.close_of(context.execution)  # those of killed workers stay open until they are told
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
        await _keep(context, house)
    if outcome == "parked":
        await living.stopped(context, house)
    elif outcome in ENDED:
        await living.ended(context, house, outcome)
    await context.emit(TurnEnded(turn=context.turn, outcome=outcome), key=f"t{context.turn}:turn.ended")
    await asyncio.to_thread(house.ledger.signer.sign_head)
    crash.point("turn.ending")
    return Settled(released=tuple(released))


async def _keep(context: Context, house: House) -> None:
    """The bottle as an archive for the next turn, unless a cut said that it goes; then its last saved step stays."""
    cut = await cutting.of(house, context.execution)
    if cut is not None and not cut.done and await _policy(context, house, cut) is CutPolicy.KILL:
        await bottles.destroy(context, house, "cut")
    else:
        await bottles.freeze(context, house)
    if cut is not None:
        await cutting.carried_out(house, cut)


async def _policy(context: Context, house: House, cut: Cut) -> CutPolicy:
    """Where a budget ended while the host itself asked (a plan, a review), the row does not know the bottle's own."""
    if cut.cause is Cause.EXHAUSTED:
        with suppress(errors.BoatwrightError):  # what cannot be read now asked for nothing stricter then
            here = await ground.of_execution(house, context.execution)
            return strictest((cut.policy, here.effective.shutdown))
    return cut.policy
