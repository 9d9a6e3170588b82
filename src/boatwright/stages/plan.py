"""Ask the model for a plan; compute the risk ourselves. Unchanged input gives the recorded plan, without a call."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence

from boatwright import crash
from boatwright.agents import planner
from boatwright.rules import context_pick, prompts, risk
from boatwright.stages import ground, metering, wiring
from boatwright.stages.house import House
from boatwright.values.chapters import Analysis, Planned, Work
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import PlanGenerated, PlanningStarted
from boatwright.values.execution import ExecutionView
from boatwright.values.plan import Plan

CONTEXT_BYTES = 60_000
READ_CAP = 1 << 20
"""Bytes of a file worth looking into; a larger one is listed and not read."""


async def run(context: Context, house: House, asked: Work, analysis: Analysis) -> Planned:
    view = await house.view(context.execution)
    digest = input_hash(view, analysis)
    await context.emit(PlanningStarted(input_hash=digest), key=f"t{context.turn}:planning.started")
    known = recorded(
        await context.history(), digest, since=context.turn if asked.fresh_from in AFRESH else None
    )
    if known is not None:
        return known
    prompt = await _prompt(house, view, analysis)
    await context.fence()
    async with wiring.model_wire(house, view, purpose="plan") as wire:
        answer = await planner.ask_plan(wire, system=prompts.PLANNER, prompt=prompt)
    crash.point("plan.generated")
    await metering.import_usage(house, context.execution)
    return await _record(context, house, answer.plan, digest, prompt)


AFRESH = frozenset({"analyze", "plan"})


def input_hash(view: ExecutionView, analysis: Analysis) -> str:
    """What the plan depends on: the words, the base, the model. Not the time, not the attempt."""
    parts = [view.title, view.body, analysis.base_commit, view.model, analysis.test_line]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def recorded(history: Sequence[Event], digest: str, *, since: int | None) -> Planned | None:
    """The newest plan for this input; after a retry from here, only one of this very turn."""
    for event in reversed(history):
        payload = event.payload
        if isinstance(payload, PlanGenerated) and payload.input_hash == digest:
            if since is not None and event.key != f"t{since}:plan.generated":
                return None
            return Planned(
                plan=payload.plan, plan_hash=payload.plan_hash, risk=payload.risk, drivers=payload.drivers
            )
    return None


async def _prompt(house: House, view: ExecutionView, analysis: Analysis) -> str:
    mirror = house.mirror(view)
    picked = await asyncio.to_thread(
        context_pick.pick,
        paths=[path for path in mirror.paths(analysis.base_commit) if _is_text(path)],
        words=f"{view.title}\n{view.body}",
        read=ground.reader(mirror, analysis.base_commit, READ_CAP),
        budget=CONTEXT_BYTES,
    )
    return prompts.plan(view, picked, test_line=analysis.test_line, failing=analysis.failing_before)


def _is_text(path: str) -> bool:
    """Whether a model can be told this name: git takes any bytes for one."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in path)


async def _record(context: Context, house: House, plan: Plan, digest: str, prompt: str) -> Planned:
    level, drivers = risk.of_paths(plan.touch_paths)
    canonical = json.dumps(plan.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    plan_hash = hashlib.sha256(canonical.encode()).hexdigest()
    generated = PlanGenerated(
        plan=plan,
        plan_hash=plan_hash,
        input_hash=digest,
        risk=level,
        drivers=drivers,
        cached=False,
        context_bytes=len(prompt.encode()),
        prompt=await house.keep("prompt", prompt.encode()),
    )
    await context.emit(generated, key=f"t{context.turn}:plan.generated")
    return Planned(plan=plan, plan_hash=plan_hash, risk=level, drivers=drivers)
