"""One gate round of the agent: it works in the bottle; every step is saved outside before the next begins.

Killed anywhere: the round is open (``build.started`` without ``build.completed``), the workspace is laid anew from the
last ``step.completed``, and the conversation goes on from its transcript. The step in flight is redone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from boatwright import errors
from boatwright.agents.protocol import RoundResult, Stop
from boatwright.rules import prompts, taking_in
from boatwright.stages import working
from boatwright.stages.house import House, last
from boatwright.stages.working import Asked, Round
from boatwright.values.chapters import Analysis, Built, Planned, Work
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import (
    BuildCompleted,
    BuildStarted,
    ChecksFailed,
    CommandReceived,
    GateAnswered,
    StepCompleted,
    VerificationFailed,
)
from boatwright.values.finding import Finding


async def run(
    context: Context, house: House, wanted: Work, analysis: Analysis, planned: Planned, attempt: int
) -> Built:
    """Gate round ``attempt`` of this turn, from its prompt to the agent's last saved step."""
    history = await context.history()
    if not wanted.build or (attempt == 1 and _only_pushed(wanted, history)):
        return standing(history)
    number = round_of(history, context.turn, attempt)
    done = completed(history, number)
    if done is not None:
        return done
    here = await _where(house, history, number, analysis.base_commit)
    view = await house.view(context.execution)
    words, merged = unheard(history), taking_in.untold(history)
    failed = await failed_checks(house, history)
    opening = prompts.build(
        view,
        planned.plan,
        round=number,
        findings=findings_of(history, number - 1),
        words=words,
        note=taking_in.note(merged),
        checks=failed,
    )
    started = BuildStarted(
        round=number, base_commit=analysis.base_commit, prompt=await house.keep("prompt", opening.encode())
    )
    await context.emit(started, key=f"t{context.turn}:a{attempt}:build.started")
    prompt = "" if here.begun and not words and not merged and not failed else opening
    mirror = house.mirror(view)
    asked = Asked(prompt, opening, analysis.base_commit)
    result, commit = await working.work(context, house, view, mirror, here, asked)
    _park_if_it_must(result)
    tree = await asyncio.to_thread(mirror.tree_of, commit)
    return await _complete(context, house, number, result, commit, tree)


def standing(history: Sequence[Event]) -> Built:
    """The agent's work as it stands, for a turn that only asks the gates again."""
    built = last(history, BuildCompleted)
    if built is None:
        raise errors.Parked("there is no work of an agent to judge yet", code="no_change")
    merged = taking_in.merged_since(history, built.round)
    told = _built(built)
    return told if merged is None else told.model_copy(update={"commit": merged.commit, "tree": merged.tree})


def _only_pushed(wanted: Work, history: Sequence[Event]) -> bool:
    """The turn only goes on with what others pushed, and that merged cleanly: the gates are asked before the agent."""
    return wanted.cause == taking_in.PUSHED and not taking_in.conflicted(history)


def _built(told: BuildCompleted) -> Built:
    return Built(
        round=told.round, commit=told.commit, stop=told.stop_reason, summary=told.summary, tree=told.tree
    )


def round_of(history: Sequence[Event], turn: int, attempt: int) -> int:
    """The round this attempt began before it was interrupted; else the one left open; else the next number."""
    for event in history:
        if event.key == f"t{turn}:a{attempt}:build.started" and isinstance(event.payload, BuildStarted):
            return event.payload.round
    closed = {e.payload.round for e in history if isinstance(e.payload, BuildCompleted)}
    opened = {e.payload.round for e in history if isinstance(e.payload, BuildStarted)}
    return max(opened - closed, default=max(closed, default=0) + 1)


def completed(history: Sequence[Event], number: int) -> Built | None:
    for event in history:
        if isinstance(event.payload, BuildCompleted) and event.payload.round == number:
            return _built(event.payload)
    return None


def findings_of(history: Sequence[Event], number: int) -> tuple[Finding, ...]:
    """What the gates said of round ``number``, in the order they said it."""
    found: list[Finding] = []
    for event in history:
        payload = event.payload
        if isinstance(payload, VerificationFailed | GateAnswered) and payload.round == number:
            found.extend(payload.findings)
    return tuple(dict.fromkeys(found))


def unheard(history: Sequence[Event]) -> tuple[str, ...]:
    """Comments that no saved step has heard: those after the last prompt that led to one."""
    received = [e.payload for e in _since_heard(history) if isinstance(e.payload, CommandReceived)]
    return tuple(command.text for command in received if command.kind == "comment")


async def failed_checks(house: House, history: Sequence[Event]) -> str:
    """What checks of others said that failed, and no saved step has heard; empty where nothing did."""
    failed = [e.payload for e in _since_heard(history) if isinstance(e.payload, ChecksFailed)]
    return (await house.read(failed[-1].excerpt)).decode("utf-8", "replace") if failed else ""


def _since_heard(history: Sequence[Event]) -> list[Event]:
    """What happened after the last prompt that led to a saved step."""
    prompted = heard = 0
    for event in history:
        if isinstance(event.payload, BuildStarted):
            prompted = event.sequence
        elif isinstance(event.payload, StepCompleted):
            heard = prompted
    return [event for event in history if event.sequence > heard]


async def _where(house: House, history: Sequence[Event], number: int, base: str) -> Round:
    step = last(history, StepCompleted)
    if step is None:
        return Round(number, 0, base, None, None, begun=False)
    transcript = await house.read(step.transcript)
    session = await house.read(step.session) if step.session else None
    saved = taking_in.saved(history)
    return Round(number, step.step, saved, transcript, session, begun=step.round == number)


_PARKS = {
    Stop.BUDGET: "budget",
    Stop.CREDENTIAL: "credential",
    Stop.MODEL_UNAVAILABLE: "model_unavailable",
    Stop.FAILED: "agent_failed",
    Stop.BLOCKED: "blocked",
    Stop.SILENT: "did_not_report",
}


def _park_if_it_must(result: RoundResult) -> None:
    """Some stops are not the agent's: the round stays open and goes on when a person has helped."""
    code = _PARKS.get(result.stop)
    if code == "budget":
        raise errors.BudgetExhausted(result.detail, next_moves=result.moves)
    if code is not None:
        raise errors.Parked(result.detail or str(result.stop), code=code, next_moves=result.moves)


async def _complete(
    context: Context, house: House, number: int, result: RoundResult, commit: str, tree: str
) -> Built:
    transcript = await house.keep("transcript", result.transcript)
    payload = BuildCompleted(
        round=number,
        stop_reason=str(result.stop),
        summary=result.summary[:4_000],
        steps=result.steps,
        commit=commit,
        transcript=transcript,
        tree=tree,
    )
    await context.emit(payload, key=f"r{number}:build.completed")
    return _built(payload)
