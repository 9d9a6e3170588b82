"""One gate round of the agent: it works in the bottle; every step is saved outside before the next begins.

Killed anywhere: the round is open (``build.started`` without ``build.completed``), the workspace is laid anew from the
last ``step.completed``, and the conversation goes on from its transcript. The step in flight is redone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from boatwright import crash, errors
from boatwright.agents import registry
from boatwright.agents.protocol import RoundLimits, RoundResult, StepRecord, Stop, Task
from boatwright.bottle import checkout, snapshot
from boatwright.bottle.protocol import Bottle
from boatwright.config.policy import Policy
from boatwright.git.mirror import Mirror
from boatwright.rules import paths, prompts
from boatwright.stages import bottles, ground, metering, wiring
from boatwright.stages.house import House, last
from boatwright.values.chapters import Analysis, Built, Planned, Work
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import (
    BuildCompleted,
    BuildStarted,
    CommandReceived,
    GateAnswered,
    StepCompleted,
    VerificationFailed,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Finding


@dataclass(frozen=True, slots=True)
class Round:
    """Where a gate round stands: its number, and what it can go on from."""

    number: int
    step: int
    commit: str
    transcript: bytes | None
    begun: bool
    """The round has saved a step, so its prompt is in the transcript already."""


async def run(
    context: Context, house: House, asked: Work, analysis: Analysis, planned: Planned, attempt: int
) -> Built:
    """Gate round ``attempt`` of this turn, from its prompt to the agent's last saved step."""
    history = await context.history()
    if not asked.build:
        return standing(history)
    number = round_of(history, context.turn, attempt)
    done = completed(history, number)
    if done is not None:
        return done
    here = await _where(house, history, number, analysis.base_commit)
    view = await house.view(context.execution)
    words = unheard(history)
    prompt = prompts.build(
        view, planned.plan, round=number, findings=findings_of(history, number - 1), words=words
    )
    started = BuildStarted(
        round=number, base_commit=analysis.base_commit, prompt=await house.keep("prompt", prompt.encode())
    )
    await context.emit(started, key=f"t{context.turn}:a{attempt}:build.started")
    if here.begun and not words:
        prompt = ""
    mirror = house.mirror(view)
    if here.step:  # a kill between an event and its ref leaves the ref behind
        await asyncio.to_thread(mirror.set_work, context.execution, here.commit)
    bottle = await _bottle(context, house, mirror, analysis, here)
    work = _Work(context, house, mirror, bottle, analysis.base_commit, here)
    policy = (await ground.of_commit(house, view, mirror, analysis.base_commit)).policy
    result = await work.run(view, prompt, policy)
    _park_if_it_must(result)
    tree = await asyncio.to_thread(mirror.tree_of, work.commit)
    return await _complete(context, house, number, result, work.commit, tree)


def standing(history: Sequence[Event]) -> Built:
    """The agent's work as it stands, for a turn that only asks the gates again."""
    built = last(history, BuildCompleted)
    if built is None:
        raise errors.Parked("there is no work of an agent to judge yet", code="no_change")
    return _built(built)


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
    prompted = heard = 0
    for event in history:
        if isinstance(event.payload, BuildStarted):
            prompted = event.sequence
        elif isinstance(event.payload, StepCompleted):
            heard = prompted
    said = (event for event in history if event.sequence > heard)
    received = [e.payload for e in said if isinstance(e.payload, CommandReceived)]
    return tuple(command.text for command in received if command.kind == "comment")


async def _where(house: House, history: Sequence[Event], number: int, base: str) -> Round:
    step = last(history, StepCompleted)
    if step is None:
        return Round(number, 0, base, None, begun=False)
    transcript = await house.read(step.transcript)
    return Round(number, step.step, step.commit, transcript, begun=step.round == number)


async def _bottle(context: Context, house: House, mirror: Mirror, analysis: Analysis, here: Round) -> Bottle:
    """The execution's bottle, thawed if it is frozen, its workspace laid anew from the last completed step."""
    bottle = await bottles.of_agent(context, house, mirror, analysis)
    await bottle.stop()  # what a worker that is gone, or asleep, left running in it
    await checkout.checkout(house.backend, bottle, mirror, commit=here.commit, base=analysis.base_commit)
    return bottle


class _Work:
    """The agent at work in one round: what the provider calls back into."""

    def __init__(
        self, context: Context, house: House, mirror: Mirror, bottle: Bottle, base: str, here: Round
    ) -> None:
        self._context, self._house, self._mirror, self._bottle = context, house, mirror, bottle
        self._base, self._here = base, here
        self._saver = snapshot.StepSaver(house.backend)
        self.commit = here.commit

    async def run(self, view: ExecutionView, prompt: str, policy: Policy) -> RoundResult:
        provider = registry.provider(view.agent)
        async with wiring.model_wire(self._house, view, purpose="build") as wire:
            return await provider.run(
                Task(
                    system=prompts.SYSTEM,
                    prompt=prompt,
                    transcript=self._here.transcript,
                    first_step=self._here.step + 1,
                    bottle=self._bottle,
                    wire=wire,
                    limits=RoundLimits(),
                    before_step=self._context.fence,
                    on_step=self._save,
                    say=self._context.say,
                    may_run=lambda command: paths.command_allowed(command, policy),
                )
            )

    async def _save(self, step: StepRecord) -> None:
        """Save one step: tree into the mirror, transcript into the store, then the event that makes it count."""
        await self._context.fence()
        message = f"step {step.number} of round {self._here.number}"
        saved = await self._saver.save(
            self._bottle,
            self._mirror,
            parent=self.commit,
            base=self._base,
            message=message,
            when=self._context.clock.now(),
        )
        crash.point("step.saved")
        payload = StepCompleted(
            round=self._here.number,
            step=step.number,
            commit=saved.commit,
            tools=step.tools,
            paths=saved.paths,
            transcript=await self._house.keep("transcript", step.transcript),
        )
        await self._context.emit(payload, key=f"step:{step.number}")
        crash.point("step.completed")
        await asyncio.to_thread(self._mirror.set_work, self._context.execution, saved.commit)
        self.commit = saved.commit
        await metering.import_usage(self._house, self._context.execution)


_PARKS = {Stop.BUDGET: "budget", Stop.CREDENTIAL: "credential", Stop.MODEL_UNAVAILABLE: "model_unavailable"}


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
