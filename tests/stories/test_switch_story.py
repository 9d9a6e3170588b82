"""The kill switch, told whole: what is under way parks, what would begin is refused, and on means on again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright import errors
from boatwright.intake import commands, switches
from boatwright.stages.house import House
from boatwright.values.register import EVERYTHING
from boatwright.values.state import State
from boatwright.workflows.assembly import engine_for

Yard = Any  # tests/stories/conftest.py


async def test_a_live_turn_parks_and_goes_on_from_its_last_step(yard: Yard) -> None:
    slow = yard.replies(yard.test, "sleep 600", yard.fix)
    execution = await yard.ask(yard.script(replies=slow))
    working = asyncio.create_task(yard.work(execution))
    while "step.completed" not in yard.types(execution):
        assert not working.done(), yard.lines
        await asyncio.sleep(0.05)
    done = switches.off(yard.house, None, reason="it burns", by="me")
    assert [view.id for view in done.concerned] == [execution]
    view = await working
    assert (view.state, view.parked_code, view.reason) == (
        State.PARKED, "switched_off", "Boatwright is switched off by me: it burns",
    )  # fmt: skip
    assert f"boatwright resume {execution}" in view.next_moves and "boatwright switch on" in view.next_moves
    assert view.work_commit and await yard.house.backend.list() == []
    assert [each.id for each in switches.on(yard.house, None, by="me").concerned] == [execution]


async def test_off_refuses_and_outlives_the_process(yard: Yard) -> None:
    view = await yard.run(yard.good())
    switches.off(yard.house, str(yard.repository), reason="night", by="me")
    yard.engine.close()
    yard.house.close()
    yard.house = House.open(state=yard.house.state, environment=yard.house.environment, producer="test")
    yard.engine = engine_for(yard.house)
    before = len(yard.house.ledger.executions.list())
    with pytest.raises(errors.Refused, match="switched off by me: night") as refusal:
        await yard.ask(yard.good())
    assert f"boatwright switch on --repo {view.repository}" in refusal.value.next_moves
    for again in (commands.resume, commands.retry):
        more = {"stage": "plan"} if again is commands.retry else {}
        with pytest.raises(errors.Refused, match="nothing is begun"):
            await again(yard.house, yard.engine, view.id, by="me", **more)
    assert len(yard.house.ledger.executions.list()) == before
    switches.on(yard.house, view.repository, by="me")
    assert (await yard.run(yard.good())).state is State.DELIVERED


async def test_what_slipped_in_parks_at_once_and_a_cancel_is_heard(yard: Yard) -> None:
    execution = await yard.ask(yard.good())
    yard.house.ledger.switches.set(EVERYTHING, off=True, reason="", by="me")
    view = await yard.work(execution)
    assert (view.state, view.parked_code) == (State.PARKED, "switched_off")
    assert "analysis.started" not in yard.types(execution) and "model.called" not in yard.types(execution)
    await commands.cancel(yard.house, yard.engine, execution, reason="enough", by="me")
    assert (await yard.work(execution)).state is State.CANCELLED
