"""What whoever supervises a bottle does when its account is cut: by an empty budget or by a person, no agent asked.

The row of the cut is looked at all the time an agent works, so that it does not matter who wrote it, which proxy was
alive then, or which worker read it first.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Coroutine
from typing import Any

from boatwright import crash, errors
from boatwright.agents.protocol import RoundResult, Stop
from boatwright.bottle.protocol import Bottle
from boatwright.egress.cuts import Cut
from boatwright.stages.house import House
from boatwright.values.cutting import CutPolicy

LOOK_SECONDS = 0.3
SAVE_SECONDS = 120.0
"""How long an agent that was stopped may take to save what it did."""
MOVES = ("boatwright budget raise EXECUTION 5usd", "boatwright resume EXECUTION")


async def of(house: House, account: str) -> Cut | None:
    """The cut that stands for an account."""
    return await asyncio.to_thread(house.wire.cuts().of, account)


async def carried_out(house: House, cut: Cut) -> None:
    """Write down that the bottle is as the cut wants it."""
    crash.point("cut.carried")
    await asyncio.to_thread(house.wire.cuts().carried_out, cut)


async def go_on(house: House, account: str) -> Cut | None:
    """A new run begins: an empty budget that was dealt with is asked again. Returns the cut that stands."""
    return await asyncio.to_thread(house.wire.cuts().go_on, account)


async def refuse(house: House, account: str) -> None:
    """Raise ``errors.BudgetExhausted`` where the account is cut: an agent would only be told the same."""
    cut = await of(house, account)
    if cut is not None:
        raise parked(cut)


def parked(cut: Cut) -> errors.BudgetExhausted:
    return errors.BudgetExhausted(cut.sentence, subject=cut.account, next_moves=MOVES)


async def supervised(
    house: House, account: str, bottle: Bottle, work: Coroutine[Any, Any, RoundResult]
) -> RoundResult:
    """The agent's ``work``, ended early where the account is cut and the policy says so.

    freeze: what runs in the bottle is stopped, and the agent saves what there is. kill: nothing more is saved, and
    ``errors.BudgetExhausted`` is raised. A run that ended unfinished under a cut ended for that reason.
    """
    working = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_ended(house, account))
    try:
        await asyncio.wait({working, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await _stop(watch.result(), bottle, working)
        result = await working
    finally:
        for task in (watch, working):
            task.cancel()
        await asyncio.wait({watch, working})
    return await _told(house, account, result)


async def _ended(house: House, account: str) -> Cut:
    """Return when a cut wants the agent to end. A store that is away says nothing, and is asked again."""
    while True:
        try:
            cut = await of(house, account)
        except errors.StoreUnavailable:
            cut = None
        if cut is not None and cut.policy.ends_the_agent:
            return cut
        await asyncio.sleep(LOOK_SECONDS)


async def _stop(cut: Cut, bottle: Bottle, working: asyncio.Future[RoundResult]) -> None:
    crash.point("cut.seen")
    if cut.policy is CutPolicy.KILL:
        working.cancel()
        await asyncio.wait({working})
        raise parked(cut)
    await bottle.stop()
    done, _ = await asyncio.wait({working}, timeout=SAVE_SECONDS)
    if not done:
        raise parked(cut)
    crash.point("cut.stopped")


async def _told(house: House, account: str, result: RoundResult) -> RoundResult:
    cut = await of(house, account)
    if cut is None or result.stop is Stop.FINISHED:
        return result
    return dataclasses.replace(result, stop=Stop.BUDGET, detail=cut.sentence, moves=MOVES)
