"""An execution whose calls are cut: it parks with its last saved step, and the policy says what becomes of its bottle."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boatwright.intake import commands, cuts
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.events import BottleDestroyed, BottleFrozen, StepCompleted
from boatwright.values.state import State
from boatwright.values.usage import Cap

pytestmark = pytest.mark.timeout(600)
PROGRAM = Path(sys.executable).with_name("boatwright")
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "providers"
MANIFEST = """---
provider: command
command:
  run: [tiny, "{model}"]
  resume: [tiny, "{model}", --resume]
  keeps: [.tiny]
---
"""


async def goes_on(yard: Any, execution: str) -> None:
    raised = await cuts.raise_budget(
        yard.house, yard.engine, execution, Cap.parse("4usd,2Mtok"), by="someone"
    )
    assert raised.named.account == execution and yard.house.wire.cuts().of(execution) is None
    await commands.resume(yard.house, yard.engine, execution, by="someone", private=True)
    view = await yard.work(execution)
    assert view.state is State.DELIVERED, view.reason


def carried_out(yard: Any, execution: str, policy: CutPolicy, cause: Cause) -> None:
    cut = yard.house.wire.cuts().of(execution)
    assert cut is not None and (cut.policy, cut.cause, cut.done) == (policy, cause, True)
    frozen = yard.payloads(execution, BottleFrozen)
    gone = [each.reason for each in yard.payloads(execution, BottleDestroyed)]
    assert (bool(frozen), gone) == ((False, ["cut"]) if policy is CutPolicy.KILL else (True, []))


async def _open(yard: Any, execution: str) -> object:
    return await yard.house.backend.open(f"{execution}-agent")


@pytest.mark.parametrize("policy", list(CutPolicy))
async def test_an_empty_budget_parks_it_and_a_raise_brings_it_home(yard: Any, policy: CutPolicy) -> None:
    """The repository asks for a stricter policy than its host; the plan and a first step still fit."""
    yard.commit(".boatwright.yml", f"schema_version: 1\nshutdown: {policy}\n")
    steps = [f"true {number}" for number in range(6)]
    script = yard.script(replies=yard.replies(*steps, yard.test, yard.fix))
    view = await yard.run(script, budget="12500tok")
    assert (view.state, view.parked_code) == (State.PARKED, "budget"), view.reason
    assert "needed" in (view.reason or "") and "cap 12,500" in (view.reason or "")
    assert yard.payloads(view.id, StepCompleted)
    carried_out(yard, view.id, policy, Cause.EXHAUSTED)
    assert await _open(yard, view.id) is None
    await goes_on(yard, view.id)


@pytest.mark.parametrize("policy", [CutPolicy.FREEZE, CutPolicy.KILL])
async def test_a_program_in_the_middle_of_a_command_is_not_asked(yard: Any, policy: CutPolicy) -> None:
    place = yard.repository.parent / "bin"
    place.mkdir()
    (place / "tiny").write_bytes((EXAMPLE / "tiny").read_bytes())
    (place / "tiny").chmod(0o755)
    yard.house.environment["PATH"] = f"{place}:{os.environ['PATH']}"
    (yard.house.state.root / "agents").mkdir(exist_ok=True)
    (yard.house.state.root / "agents" / "helper.md").write_text(MANIFEST)
    script = yard.script(replies=yard.replies("echo made > made.txt; sleep 600"))
    execution = await yard.ask(script, agent="helper")
    working = asyncio.create_task(yard.work(execution))
    async with asyncio.timeout(300):
        while not await _made(yard, execution):
            assert not working.done()
            await asyncio.sleep(0.05)
    await cuts.cut(yard.house, yard.engine, execution, policy, by="someone")
    view = await working
    assert (view.state, view.parked_code) == (State.PARKED, "budget"), view.reason
    assert "has been cut" in (view.reason or "")
    carried_out(yard, execution, policy, Cause.COMMAND)
    saved = [step for step in yard.payloads(execution, StepCompleted) if step.session]
    assert bool(saved) is (policy is CutPolicy.FREEZE)


async def _made(yard: Any, execution: str) -> bool:
    bottle = await yard.house.backend.open(f"{execution}-agent")
    return bottle is not None and (bottle.workspace / "made.txt").exists()


@pytest.mark.parametrize(
    ("point", "policy"),
    [("cut.seen", CutPolicy.KILL), ("cut.stopped", CutPolicy.FREEZE), ("cut.carried", CutPolicy.KILL)],
)
async def test_killed_between_any_two_steps_the_next_owner_finishes_it(
    yard: Any, tmp_path: Path, point: str, policy: CutPolicy
) -> None:
    script = yard.script(replies=yard.replies("echo made > made.txt; sleep 600"))
    died = tmp_path / "died"
    environment = {
        **os.environ, "BOATWRIGHT_STATE": str(yard.house.state.root),
        "BOATWRIGHT_CRASH": point, "BOATWRIGHT_CRASH_ONCE": str(died),
    }  # fmt: skip
    words = ["run", "--repo", str(yard.repository), "--text", "Mend it", "--model", script]
    process = subprocess.Popen([str(PROGRAM), *words], env=environment, stdout=subprocess.DEVNULL)
    try:
        async with asyncio.timeout(300):
            while not (listed := yard.house.ledger.executions.list()) or not await _made(yard, listed[0].id):
                assert process.poll() is None
                await asyncio.sleep(0.05)
        execution = listed[0].id
        await cuts.cut(yard.house, yard.engine, execution, policy, by="someone")
        assert await asyncio.to_thread(process.wait, 300) == -signal.SIGKILL and died.exists()
    finally:
        process.kill()
        process.wait()
    view = await yard.work(execution)
    assert (view.state, view.parked_code) == (State.PARKED, "budget"), view.reason
    carried_out(yard, execution, policy, Cause.COMMAND)
    assert await _open(yard, execution) is None
