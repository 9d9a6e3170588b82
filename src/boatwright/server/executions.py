"""``/v1/executions``: list, ask for a new one, look at one, and tell it what to do. What the commands do, over HTTP."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from boatwright.intake import commands, request
from boatwright.intake.orchestrate import Wanted
from boatwright.intake.request import Ask
from boatwright.rules import keyed
from boatwright.server.behind import Caller, Shared
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

router = APIRouter(prefix="/v1/executions", tags=["executions"])
MOST = 200
"""Executions on a page."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewExecution(Wanted):
    """What is asked for, as ``boatwright run`` takes it: words, or an issue of the repository; never both."""


class Accepted(Strict):
    execution: str
    notices: tuple[str, ...]


BEFORE: dict[int | str, dict[str, Any]] = {
    200: {"model": Accepted, "description": "It was asked for before under this key: the execution of then"},
    409: {"description": "The issue has a live execution, or the key was sent with another request"},
}
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="The same request, sent again under it, begins no second execution",
        min_length=1,
        max_length=keyed.LONGEST,
        pattern=keyed.SHAPE,
    ),
]


class Cancel(Strict):
    reason: str = Field(default="cancelled by a person", max_length=2_000)


class Stage(StrEnum):
    ANALYZE = "analyze"
    PLAN = "plan"
    BUILD = "build"
    VERIFY = "verify"
    DELIVER = "deliver"


class Retry(Strict):
    first: Stage = Field(default=Stage.BUILD, alias="from")


class Told(Strict):
    """It is written down; a worker acts on it."""

    execution: str
    told: str


class Page(Strict):
    """Newest first. ``next`` goes into ``after`` for the page behind this one; none: this was the last."""

    executions: tuple[ExecutionView, ...]
    next: str | None


@router.get(
    "", response_model_exclude={"executions": {"__all__": {"body"}}}, summary="Executions, newest first"
)
async def list_(
    shared: Shared,
    repository: str | None = None,
    state: Annotated[list[State] | None, Query()] = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> Page:
    find = shared.house.ledger.executions.page
    found = await asyncio.to_thread(find, repository=repository, states=state, after=after, limit=limit + 1)
    more = len(found) > limit
    return Page(executions=tuple(found[:limit]), next=found[limit - 1].id if more else None)


@router.post("", status_code=201, summary="Ask for a change", responses=BEFORE)
async def create(
    shared: Shared, caller: Caller, wanted: NewExecution, response: Response, key: Key = None
) -> Accepted:
    ask = Ask(**wanted.model_dump(), by=caller, key=key)
    accepted = await request.accept(shared.house, shared.engine, ask, private=False)
    if not accepted.new:
        response.status_code = 200
    response.headers["Location"] = f"/v1/executions/{accepted.execution}"
    return Accepted(execution=accepted.execution, notices=accepted.notices)


@router.get("/{execution}", summary="One execution")
async def show(shared: Shared, execution: str) -> ExecutionView:
    return await asyncio.to_thread(shared.house.ledger.executions.required, execution)


@router.post("/{execution}/cancel", status_code=202, summary="Stop it for good, at its next step")
async def cancel(shared: Shared, caller: Caller, execution: str, said: Cancel | None = None) -> Told:
    view = await show(shared, execution)
    reason = (said or Cancel()).reason
    await commands.cancel(shared.house, shared.engine, view.id, reason=reason, by=caller)
    return Told(execution=view.id, told="cancel")


@router.post("/{execution}/resume", status_code=202, summary="Go on from the last completed step")
async def resume(shared: Shared, caller: Caller, execution: str) -> Told:
    view = await show(shared, execution)
    await commands.resume(shared.house, shared.engine, view.id, by=caller)
    return Told(execution=view.id, told="resume")


@router.post("/{execution}/retry", status_code=202, summary="Do a stage, and what follows it, afresh")
async def retry(shared: Shared, caller: Caller, execution: str, said: Retry | None = None) -> Told:
    view = await show(shared, execution)
    first = (said or Retry()).first
    await commands.retry(shared.house, shared.engine, view.id, stage=first.value, by=caller)
    return Told(execution=view.id, told="retry")
