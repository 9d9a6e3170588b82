"""Do a recorded execution again, its tape in place of the model, and say where the two part first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from boatwright import errors
from boatwright.egress import tape
from boatwright.egress.tape import Tape
from boatwright.intake import commands, request
from boatwright.rules import replaying
from boatwright.rules.replaying import Asked
from boatwright.stages import switching
from boatwright.stages.house import House
from boatwright.values.event import Event
from boatwright.values.events import (
    DeliverableCreated,
    FeatureParked,
    FeatureRequested,
    TurnEnded,
    VerificationFailed,
    VerificationPassed,
)
from boatwright.values.state import FINISHED
from boatwright.workflows.engine import Engine


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a replay compares: ``difference`` is the first one, in a sentence; empty when there is none."""

    execution: str
    calls: int
    tree: str
    difference: str
    notes: tuple[str, ...]


async def start(house: House, engine: Engine, recorded: str, *, base: str | None, by: str) -> str:
    """Ask for the same change again, answered from the tape of ``recorded``; returns the new execution.

    On the commit the recorded one began from, or on ``base``. Raises ``errors.NotFound`` without a tape and
    ``errors.Refused`` for one that was changed.
    """
    await asyncio.to_thread(tape.of_execution, house.state.tapes, recorded)
    history = await asyncio.to_thread(house.ledger.events.stream, recorded)
    asked = history[0].payload
    if not isinstance(asked, FeatureRequested):  # pragma: no cover - the fold refuses such a stream
        raise errors.BadInput(f"{recorded} begins with something else than a request", subject=recorded)
    if asked.replays:
        raise errors.BadInput(
            f"{recorded} is a replay itself",
            subject=recorded,
            next_moves=(f"boatwright replay {asked.replays}",),
        )
    await switching.refuse(house, asked.repository)
    ref, commit = asked.base_ref, asked.base_commit
    if base is not None:
        mirror = await asyncio.to_thread(house.mirror_of, asked.repository, asked.source)
        ref, commit = await asyncio.to_thread(mirror.fetch_base, base)
    again = asked.model_copy(
        update={
            "issue": None, "base_ref": ref, "base_commit": commit, "base_pinned": True, "requested_by": by,
            "recorded": False, "replays": recorded,
        }
    )  # fmt: skip
    execution = house.ids.execution_id()
    await asyncio.to_thread(request.set_caps, house, execution, again.budget)
    await asyncio.to_thread(engine.request, execution, again, private=True)
    return execution


async def outcome(house: House, recorded: str, execution: str) -> Outcome:
    """Hold the two against each other: the calls that were made, then what came of them."""
    taped = await asyncio.to_thread(tape.of_execution, house.state.tapes, recorded)
    now = await asyncio.to_thread(_tapes_of, house, execution)
    first, turns = await asyncio.to_thread(_first_turn, house, recorded)
    second, _ = await asyncio.to_thread(_first_turn, house, execution)
    until = max(event.time for event in first).isoformat()
    made = _calls(now)
    found = replaying.compare(_calls(taped, until), made)
    difference = f"{found}{_early(second)}" if found is not None else _parted(first, second)
    return Outcome(execution, len(made), _tree(second), difference, _notes(taped, turns))


async def let_go(house: House, engine: Engine, execution: str, *, by: str) -> None:
    """End the replaying execution: it has told what it had to tell, and its bottle is of no use."""
    view = await house.view(execution)
    if view.state not in FINISHED:
        await commands.cancel(house, engine, execution, reason="a replay that has come to its end", by=by)


def _tapes_of(house: House, execution: str) -> list[Tape]:
    try:
        return tape.of_execution(house.state.tapes, execution)
    except errors.NotFound:
        return []  # it parked before it asked anything


def _calls(tapes: Sequence[Tape], until: str = "9999") -> list[Asked]:
    made = [each for one in tapes for each in one.exchanges if each.at <= until]
    return [each.asked for each in sorted(made, key=lambda each: each.at)]


def _first_turn(house: House, execution: str) -> tuple[list[Event], int]:
    """The events of the first turn, and how many turns there were."""
    history = list(house.ledger.events.stream(execution))
    ends = [at for at, event in enumerate(history) if isinstance(event.payload, TurnEnded)]
    return (history[: ends[0] + 1] if ends else history), max(len(ends), 1)


def _tree(history: Sequence[Event]) -> str:
    return next((e.payload.tree for e in reversed(history) if isinstance(e.payload, DeliverableCreated)), "")


def _word(history: Sequence[Event]) -> str:
    for event in reversed(history):
        if isinstance(event.payload, VerificationPassed | VerificationFailed) and event.payload.proof:
            return str(event.payload.proof.word)
    return ""


def _parted(first: Sequence[Event], second: Sequence[Event]) -> str:
    """How the ends differ although the calls were the same; empty when they do not."""
    for what, one, other in (
        ("the tree", _tree(first)[:12], _tree(second)[:12]),
        ("the proof", _word(first), _word(second)),
    ):
        if one != other:
            now = f"{one or 'none'} then, {other or 'none'} now{_early(second)}"
            return f"the calls are the same, {what} is not: {now}"
    return ""


def _early(history: Sequence[Event]) -> str:
    """Why the replay parked before it came to its end, on one line; empty when it came there."""
    why = next((e.payload for e in reversed(history) if isinstance(e.payload, FeatureParked)), None)
    early = why is not None and why.code != "replayed"
    return f"; this run parked: {' '.join(why.reason.split())}" if why is not None and early else ""


def _notes(tapes: Sequence[Tape], turns: int) -> tuple[str, ...]:
    said = [f"the tape {one.path.name} is not whole: {one.broken}" for one in tapes if one.broken]
    if turns > 1:
        said.append(f"{turns} turns were recorded, and the first is replayed")
    return tuple(said)
