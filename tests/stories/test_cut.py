"""A person cuts an execution while its agent waits for the model: it parks, and goes on after a raise."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from boatwright.intake import commands, cuts
from boatwright.stages import traffic
from boatwright.values.cutting import CutPolicy
from boatwright.values.state import State
from boatwright.values.usage import Cap


async def test_cut_in_mid_call_it_parks_and_goes_on_after_a_raise(yard: Any) -> None:
    slow = [{"reply": 1, "kind": "slow", "seconds": 600}]
    execution = await yard.ask(yard.script(replies=yard.replies(yard.test, yard.fix), faults=slow))
    working = asyncio.create_task(yard.work(execution))
    async with asyncio.timeout(60):
        while not await _building(yard, execution):
            await asyncio.sleep(0.02)
    done = await cuts.cut(yard.house, yard.engine, execution, CutPolicy.CUTOFF, by="someone")
    assert done.named.view is not None and done.wires == 1
    view = await working
    assert (view.state, view.parked_code) == (State.PARKED, "budget")
    assert "has been cut" in (view.reason or "")
    told = await traffic.of(yard.house, execution)
    assert told.open == () and any(each.estimated for each in told.called)
    cap = Cap(usd=Decimal(6))
    await cuts.raise_budget(yard.house, yard.engine, execution, cap, by="someone")
    await commands.resume(yard.house, yard.engine, execution, by="someone", private=True)
    view = await yard.work(execution)
    assert view.state is State.DELIVERED, view.reason


async def _building(yard: Any, execution: str) -> bool:
    """Whether the agent's wire is open and one of its calls is under way."""
    wires = (await yard.house.wire.status())["wires"]
    open_ = [each for each in wires if each["execution"] == execution and each["purpose"] == "build"]
    return bool(open_) and yard.house.wire.budgets().open_reservations() > 0
