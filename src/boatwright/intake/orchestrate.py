"""For programs that orchestrate: begin, go on, and how it stands, each as one document with the addresses of its pages."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boatwright import errors
from boatwright.intake import commands, request
from boatwright.intake.request import Ask
from boatwright.rules import exit_codes, forge_place
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State
from boatwright.workflows.engine import Engine

VERSION = 1
LARGEST = 1 << 20
"""Bytes of a request."""


class Wanted(BaseModel):
    """A request as a program writes it: words, or an issue of the repository; never both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str = Field(min_length=1, max_length=4_096)
    """A path of this host, or a URL."""
    text: str | None = None
    issue: int | None = Field(default=None, ge=1)
    base: str | None = None
    setup: str | None = None
    test: str | None = None
    model: str | None = None
    agent: str | None = None
    bottles: tuple[str, ...] | None = None
    budget: str | None = None
    only_plan: bool = False
    record: bool = False


class Standing(BaseModel):
    """How one execution stands."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = VERSION
    execution: str
    state: State
    at_work: bool
    """Whether a turn is live, or waits for a worker."""
    exit_code: int
    new: bool | None = None
    """Of ``start``: False where the issue had a live execution already, or the key one, which this is."""
    repository: str
    title: str
    stage: str
    turn: int
    issue: int | None
    issue_url: str
    pull_request: int | None
    pull_request_url: str
    branch: str | None
    commit: str | None
    """The delivered one."""
    ready: bool
    word: str
    code: str
    reason: str
    next_moves: tuple[str, ...]
    budget: str
    usd: Decimal
    tokens: int
    worker: bool
    """Whether any worker of this host is alive to take up what waits."""
    notices: tuple[str, ...] = ()


def parse(raw: bytes) -> Wanted:
    """A request from JSON. ``errors.BadInput`` with the field, never repeating what was sent."""
    if len(raw) > LARGEST:
        raise errors.BadInput(f"the request is longer than {LARGEST >> 20} MiB")
    try:
        return Wanted.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        raise errors.BadInput(
            f"the request cannot be taken: {f'{field}: ' if field else ''}{first['msg'][:200]}",
            subject=field,
            next_moves=('{"repository": "PATH or URL", "issue": 7}', 'or {"repository": …, "text": "…"}'),
        ) from None


async def start(
    house: House, engine: Engine, wanted: Wanted, *, by: str, private: bool, key: str | None = None
) -> Standing:
    """Begin an execution. An issue that has a live one gets no second: that one's standing is the answer.

    Nor does a request that was sent under ``key`` before. ``private`` keeps its turn for this process, which works on it.
    """
    ask = Ask(**wanted.model_dump(), by=by, key=key)
    try:
        accepted = await request.accept(house, engine, ask, private=private)
    except errors.KeyTaken:
        raise
    except errors.Conflict as conflict:
        other = await asyncio.to_thread(house.ledger.executions.get, conflict.subject)
        if wanted.issue is None or other is None or other.issue != wanted.issue:
            raise
        return await _standing(house, engine, other, new=False)
    view = await house.view(accepted.execution)
    return await _standing(house, engine, view, new=accepted.new, notices=accepted.notices)


async def resume(
    house: House, engine: Engine, execution: str, *, text: str | None, by: str, private: bool
) -> Standing:
    """Go on from the last completed step; with ``text``, as a comment on its pull request that starts the next turn."""
    view = await house.view(execution)
    if text is None:
        await commands.resume(house, engine, view.id, by=by, private=private)
    else:
        await _say(house, engine, view, text, by)
    return await _standing(house, engine, await house.view(execution))


async def _say(house: House, engine: Engine, view: ExecutionView, text: str, by: str) -> None:
    if view.pull_request is None or view.finished:
        why = "is over" if view.finished else "has no pull request yet"
        raise errors.Conflict(
            f"{view.id} {why}: there is nothing to say anything to",
            subject=view.id,
            next_moves=(
                f"boatwright orchestrate status {view.id}",
                f"boatwright orchestrate resume {view.id}",
            ),
        )
    await commands.comment(house, engine, view.repository, view.pull_request, text=text, by=by)


async def status(house: House, engine: Engine, execution: str) -> Standing:
    return await _standing(house, engine, await house.view(execution))


async def all_active(house: House, engine: Engine) -> list[Standing]:
    """Every execution that is not over, newest first."""
    live = [state for state in State if state not in {State.COMPLETED, State.FAILED, State.CANCELLED}]
    views = await asyncio.to_thread(house.ledger.executions.list, states=live, limit=commands.EVERY)
    return [await _standing(house, engine, view) for view in views]


async def _standing(house: House, engine: Engine, view: ExecutionView, **more: Any) -> Standing:
    return await asyncio.to_thread(_look, house, engine, view, more)


def _look(house: House, engine: Engine, view: ExecutionView, more: dict[str, Any]) -> Standing:
    place = house.ledger.repositories.place(view.repository)
    at_work = bool(engine.turns.live(view.id) or engine.inbox.waking(view.id))
    return Standing(
        execution=view.id,
        state=view.state,
        at_work=at_work,
        exit_code=exit_codes.AT_WORK if at_work else exit_codes.asked(view),
        repository=view.repository,
        title=view.title,
        stage=view.stage,
        turn=view.turn,
        issue=view.issue,
        issue_url=forge_place.issue_url(place, view.issue),
        pull_request=view.pull_request,
        pull_request_url=forge_place.pull_url(place, view.pull_request),
        branch=view.branch,
        commit=view.head,
        ready=view.ready,
        word=view.word or "",
        code=view.parked_code or "",
        reason=view.reason or "",
        next_moves=view.next_moves,
        budget=str(view.budget),
        usd=view.usd,
        tokens=view.tokens,
        worker=engine.has_worker(),
        **more,
    )
