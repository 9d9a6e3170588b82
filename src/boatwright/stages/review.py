"""A model reads the diff as a colleague would. Its word can send the work back; it cannot make it green."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from boatwright.agents import reviewer
from boatwright.rules import prompts
from boatwright.stages import metering, wiring
from boatwright.stages.house import House
from boatwright.values.chapters import Gated, Planned, Verified
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import GateAnswered
from boatwright.values.finding import Outcome, Verdict

DIFF_CAP = 80_000
"""Bytes of diff a reviewer is shown; past it the text says that it was cut."""


async def run(context: Context, house: House, planned: Planned, verified: Verified) -> Gated:
    """Only what passed verification is read: a review of what goes back anyway is money for nothing."""
    if not verified.ready:
        return Gated(
            verdict=Verdict(
                gate="review", outcome=Outcome.COULD_NOT_CHECK, summary="not read: verification is not green"
            )
        )
    key = f"r{verified.round}:review:{verified.commit}"
    known = recorded(await context.history(), key)
    if known is not None:
        return Gated(verdict=known)
    view = await house.view(context.execution)
    diff = await asyncio.to_thread(
        house.mirror(view).diff_text, verified.base_commit, verified.commit, DIFF_CAP
    )
    await context.fence()
    async with wiring.model_wire(house, view, purpose="review") as wire:
        answer = await reviewer.ask_review(
            wire, system=prompts.REVIEWER, prompt=prompts.review(view, planned.plan, diff)
        )
    verdict = answer.verdict
    await metering.import_usage(house, context.execution)
    answered = GateAnswered(
        round=verified.round,
        gate="review",
        outcome=verdict.outcome,
        summary=verdict.summary,
        findings=verdict.findings,
    )
    await context.emit(answered, key=key)
    return Gated(verdict=verdict)


def recorded(history: Sequence[Event], key: str) -> Verdict | None:
    """The answer already given for this commit, so that a redo or an approval does not ask (and pay) again."""
    for event in history:
        if event.key == key and isinstance(event.payload, GateAnswered):
            given = event.payload
            return Verdict(
                gate=given.gate, outcome=given.outcome, summary=given.summary, findings=given.findings
            )
    return None
