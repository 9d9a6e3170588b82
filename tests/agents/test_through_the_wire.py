"""The agent over a real proxy to the scripted model: what was metered is what was billed, and a kill changes nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.agents import planner
from boatwright.agents.protocol import ModelWire, Stop
from boatwright.config.paths import StateDir
from boatwright.egress.client import WireClient
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.testing.scripted_process import ScriptedModel, serving
from boatwright.values.usage import Cap, ModelRef

SCRIPT = """\
plan: {goal: mend, steps: [{id: P1, action: edit, path: a.py, acceptance: ok}]}
replies:
  - tools: [{bash: "echo one >> log"}]
  - tools: [{bash: "echo two >> log"}]
  - say: "Done."
"""
PROTOCOLS = pytest.mark.parametrize("protocol", ["anthropic", "openai"])


class Through:
    """A wire to a scripted model, opened anew by ``revive``."""

    def __init__(self, client: WireClient, model: ScriptedModel, protocol: str) -> None:
        self.client, self.model = client, model
        upstream = Upstream(protocol=protocol, socket=str(model.socket))
        self._spec = WireSpec(
            id="x-build", execution="ex-1", repository="r", provider="scripted", upstreams=(upstream,)
        )
        self._protocol = protocol

    async def wire(self) -> ModelWire:
        directory = await self.client.open(self._spec)
        ref = ModelRef(provider="scripted", name="s.yml")
        return ModelWire(directory / "wire.sock", self._protocol, ref, revive=self._revive)

    async def _revive(self) -> None:
        await self.client.open(self._spec)

    def metered(self) -> list[tuple[str, int, int]]:
        rows = self.client.budgets().usage("ex-1")
        return [(row.source, row.usage.tokens, row.usage.output) for row in rows]

    def billed(self) -> list[tuple[int, int]]:
        entries = [entry for entry in self.model.ledger() if entry["billed"]]
        return [(e["input"] + e["cache_read"] + e["cache_write"] + e["output"], e["output"]) for e in entries]


@asynccontextmanager
async def through(
    tmp_path: Path, protocol: str, script: str = SCRIPT, cap: str = "5usd"
) -> AsyncIterator[Through]:
    client = WireClient(
        StateDir(tmp_path / "state").create(), environment={"PATH": os.environ["PATH"]}, grace=2.0
    )
    client.budgets().set_cap("execution", "ex-1", Cap.parse(cap))
    async with serving(script, tmp_path) as model:
        it = Through(client, model, protocol)
        try:
            yield it
        finally:
            await client.close("x-build")


@PROTOCOLS
async def test_metered_is_billed(bench: Any, tmp_path: Path, protocol: str) -> None:
    async with through(tmp_path, protocol) as it:
        wire = await it.wire()
        await planner.ask_plan(wire, system="s", prompt="p")
        result = await bench.run(wire)
        assert result.stop is Stop.FINISHED
        assert [row[1:] for row in it.metered()] == it.billed() and len(it.billed()) == 4


@pytest.mark.filterwarnings("ignore:Failed to extract usage")
async def test_what_goes_wrong_is_never_metered_below_the_bill(bench: Any, tmp_path: Path) -> None:
    faults = """\
faults:
  - {reply: 1, kind: cut_stream}
  - {reply: 1, kind: http_529}
  - {reply: 2, kind: no_usage}
  - {reply: 3, kind: garbage}
"""
    async with through(tmp_path, "anthropic", SCRIPT + faults) as it:
        result = await bench.run(await it.wire())
        assert (result.stop, result.summary) == (Stop.FINISHED, "Done.")
        assert sum(row[1] for row in it.metered()) >= sum(one[0] for one in it.billed())


async def test_too_small_a_budget_stops_with_the_wires_own_sentence(bench: Any, tmp_path: Path) -> None:
    async with through(tmp_path, "anthropic", cap="10tok") as it:
        wire = await it.wire()
        result = await bench.run(wire)
        assert (result.stop, result.steps) == (Stop.BUDGET, 0) and "cap" in result.detail
        with pytest.raises(errors.BudgetExhausted) as caught:
            await planner.ask_plan(wire, system="s", prompt="p")
        assert caught.value.next_moves
        assert it.billed() == []


async def test_a_killed_proxy_is_started_again_and_the_round_goes_on(bench: Any, tmp_path: Path) -> None:
    async with through(tmp_path, "anthropic") as it:
        task = bench.task(await it.wire())

        async def save(record: Any) -> None:
            bench.saved.append(record)
            if record.number == 1:
                os.kill((await it.client.status())["pid"], signal.SIGKILL)

        object.__setattr__(task, "on_step", save)
        result = await bench.builtin().run(task)
        assert (result.stop, result.steps, result.summary) == (Stop.FINISHED, 3, "Done.")
        assert [row[1:] for row in it.metered()] == it.billed() and len(it.billed()) == 3
