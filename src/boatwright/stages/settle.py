"""First of a turn: read the inbox rows that woke it and decide what is left to do."""

from __future__ import annotations

from collections.abc import Sequence

from boatwright.ledger.inbox import Command
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
    PullRequestClosed,
    TurnStarted,
)
from boatwright.values.state import State
from boatwright.values.usage import Cap

CAUSES = ("comment", "retry", "approve", "resume", "raise", "upgrade", "request")
"""Strongest first: what a turn woken by several rows is for."""


async def run(context: Context, house: House, commands: Sequence[Command]) -> Work:
    """Record each row, apply what needs no agent, and say what this turn is for."""
    view = await house.view(context.execution)
    kinds = {command.kind for command in commands}
    cause = next((kind for kind in CAUSES if kind in kinds), "resume")
    started = TurnStarted(turn=context.turn, cause=cause, release=house.release, from_stage="settle")
    await context.emit(started, key=f"t{context.turn}:turn.started")
    outcome = ""
    for command in commands:
        await _record(context, command)
        outcome = await _apply(context, command, pull_request=view.pull_request) or outcome
    if not outcome and view.state in {State.FAILED, State.CANCELLED}:
        resumed = FeatureResumed(cause=cause, by=commands[-1].author if commands else "")
        await context.emit(resumed, key=f"t{context.turn}:feature.resumed")
    return Work(
        outcome=outcome,
        cause=cause,
        build=cause != "approve",
        only_plan=cause == "request" and view.only_plan,
        fresh_from=next((str(c.payload.get("from", "")) for c in commands if c.kind == "retry"), ""),
        words=tuple(str(c.payload["text"]) for c in commands if c.kind == "comment"),
    )


async def _record(context: Context, command: Command) -> None:
    received = CommandReceived(
        kind=command.kind,
        sender_key=command.sender_key,
        author=command.author,
        text=str(command.payload.get("text", ""))[:2_000],
    )
    await context.emit(received, key=f"command:{command.id}")


async def _apply(context: Context, command: Command, *, pull_request: int | None) -> str:
    """What a row changes by itself; returns an outcome word when nothing more is to be done."""
    payload, key = command.payload, f"command:{command.id}:done"
    match command.kind:
        case "cancel" | "stop":
            reason = str(payload.get("reason") or "cancelled by a person")
            await context.emit(FeatureCancelled(reason=reason, by=command.author), key=key)
            return "cancelled"
        case "close":
            closed = PullRequestClosed(
                number=pull_request or 0,
                merged=False,
                commit=str(payload.get("commit", "")),
                by=command.author,
            )
            await context.emit(closed, key=key)
            await context.emit(
                FeatureCancelled(reason="the pull request was closed", by=command.author),
                key=f"{key}:cancelled",
            )
            return "cancelled"
        case "merge":
            commit = str(payload.get("commit", ""))
            merged = PullRequestClosed(
                number=pull_request or 0, merged=True, commit=commit, by=command.author
            )
            await context.emit(merged, key=key)
            await context.emit(
                FeatureCompleted(pull_request=pull_request or 0, commit=commit), key=f"{key}:completed"
            )
            return "completed"
        case "approve":
            approved = HeadApproved(
                number=pull_request or 0, commit=str(payload["commit"]), by=command.author
            )
            await context.emit(approved, key=key)
        case "raise":
            raised = BudgetRaised(budget=Cap.model_validate(payload["budget"]), by=command.author)
            await context.emit(raised, key=key)
    return ""
