"""First of a turn: read the inbox rows that woke it and decide what is left to do."""

from __future__ import annotations

from collections.abc import Sequence

from boatwright.ledger.inbox import Command
from boatwright.rules.transitions import refusal
from boatwright.stages import cutting, their_checks
from boatwright.stages.house import House
from boatwright.values.chapters import Work
from boatwright.values.context import Context
from boatwright.values.events import (
    BudgetRaised,
    CommandReceived,
    FeatureCancelled,
    FeatureCompleted,
    FeatureResumed,
    HeadApproved,
    Payload,
    PullRequestClosed,
    TurnStarted,
)
from boatwright.values.state import State
from boatwright.values.usage import Cap

CAUSES = ("comment", "retry", "approve", "resume", "checks", "raise", "upgrade", "pushed", "request")
"""Strongest first: what a turn woken by several rows is for."""


async def run(context: Context, house: House, commands: Sequence[Command]) -> Work:
    """Record each row, apply what needs no agent, and say what this turn is for.

    A row that comes too late (a cancel after the merge, a comment on what is over) is recorded and changes nothing.
    """
    kinds = {command.kind for command in commands}
    cause = next((kind for kind in CAUSES if kind in kinds), "resume")
    started = TurnStarted(turn=context.turn, cause=cause, release=house.release, from_stage="settle")
    await context.emit(started, key=f"t{context.turn}:turn.started")
    await cutting.go_on(house, context.execution)
    for command in commands:
        await _record(context, command)
        await _apply(context, house, command)
    view = await house.view(context.execution)
    if view.finished and kinds & REVIVING and view.state is not State.COMPLETED and not kinds & ENDING:
        resumed = FeatureResumed(cause=cause, by=commands[-1].author)
        await context.emit(resumed, key=f"t{context.turn}:feature.resumed")
        view = await house.view(context.execution)
    outcome = view.state.lower() if view.finished else ""
    if not outcome and their_checks.KIND in kinds:
        outcome = await their_checks.settle(context, house, cause)
    return Work(
        outcome=outcome,
        cause=cause,
        build=cause != "approve",
        only_plan="request" in kinds and view.only_plan,
        fresh_from=next((str(c.payload.get("from", "")) for c in commands if c.kind == "retry"), ""),
    )


WORD_CAP = 8_000
"""Characters of a comment that are kept."""
REVIVING = frozenset({"retry", "resume"})
"""What takes a failed or cancelled execution up again. A comment does not: closed means do not ask again."""
ENDING = frozenset({"cancel", "stop", "close", "merge"})


async def _record(context: Context, command: Command) -> None:
    received = CommandReceived(
        kind=command.kind,
        sender_key=command.sender_key,
        author=command.author,
        text=str(command.payload.get("text", ""))[:WORD_CAP],
    )
    await context.emit(received, key=f"command:{command.id}")


async def _apply(context: Context, house: House, command: Command) -> None:
    """What a row changes by itself, as far as the state still allows it."""
    view = await house.view(context.execution)
    for number, payload in enumerate(_facts(command, view.pull_request or 0)):
        if refusal(await house.view(context.execution), payload) is None:
            await context.emit(payload, key=f"command:{command.id}:{number}")


def _facts(command: Command, pull: int) -> Sequence[Payload]:
    """The facts a row stands for, in order; none for what only wakes the agent."""
    payload, by = command.payload, command.author
    match command.kind:
        case "cancel" | "stop":
            return [FeatureCancelled(reason=str(payload.get("reason") or "cancelled by a person"), by=by)]
        case "close":
            closed = PullRequestClosed(
                number=pull, merged=False, commit=str(payload.get("commit", "")), by=by
            )
            return [closed, FeatureCancelled(reason="the pull request was closed", by=by)]
        case "merge":
            commit = str(payload.get("commit", ""))
            merged = PullRequestClosed(number=pull, merged=True, commit=commit, by=by)
            return [merged, FeatureCompleted(pull_request=pull, commit=commit)]
        case "approve":
            return [HeadApproved(number=pull, commit=str(payload["commit"]), by=by)]
        case "raise":
            return [BudgetRaised(budget=Cap.model_validate(payload["budget"]), by=by)]
    return []
