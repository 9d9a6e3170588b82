"""Events of an execution as they happen, as server-sent events: told from the ledger by position, resumed by it.

A reader takes a batch from the ledger, is sent it, and only then takes the next: one who reads slowly holds neither a
transaction nor a queue, and nobody waits for them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Header, Query
from pydantic_core import to_jsonable_python
from starlette.responses import StreamingResponse

from boatwright import errors
from boatwright.server.behind import Behind, Shared
from boatwright.values.event import Event, document

router = APIRouter(prefix="/v1/executions", tags=["executions"])
BATCH = 100
BEAT_SECONDS = 15.0
"""So often something is sent where nothing happens: what lies between keeps the connection open, and learns its end."""
MOST = 64
"""Readers at once."""
_LARGEST = 2**63 - 1
_DIGITS = 20


@router.get(
    "/{execution}/events",
    summary="Its events, live",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(
    shared: Shared,
    execution: str,
    last_event_id: Annotated[str | None, Header()] = None,
    after: Annotated[int, Query(ge=0, le=_LARGEST)] = 0,
    follow: bool = True,
) -> StreamingResponse:
    """From behind ``Last-Event-ID`` (else ``after``), a position of the ledger. ``follow=false``: what there is."""
    view = await asyncio.to_thread(shared.house.ledger.executions.required, execution)
    position = after if last_event_id is None else _position(last_event_id)
    if len(shared.streams) >= MOST:
        raise errors.StoreUnavailable(
            f"{MOST} readers are told events already", subject=view.id, next_moves=("try again later",)
        )
    told = _told(shared, view.id, position, follow=follow)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


def _position(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < _DIGITS) or int(text) > _LARGEST:
        raise errors.BadInput(
            f"Last-Event-ID {text[:40]!r} is no position of the ledger",
            subject="Last-Event-ID",
            next_moves=("send back the id of the last event that came, or leave the header out",),
        )
    return int(text)


async def _told(shared: Behind, execution: str, position: int, *, follow: bool) -> AsyncIterator[str]:
    with _counted(shared):
        while not shared.leaving:
            stood = shared.pulse.position
            try:
                found = await asyncio.to_thread(
                    shared.house.ledger.events.after, position, limit=BATCH, stream=execution
                )
            except errors.StoreUnavailable:
                yield ": the ledger is away; come back with the last id\n\n"
                return
            for event in found:
                yield frame(event)
                position = event.position
            if shared.leaving or not (found or follow):
                return
            if not found and not await shared.pulse.past(stood, BEAT_SECONDS):
                yield ": nothing happened\n\n"


@contextmanager
def _counted(shared: Behind) -> Iterator[None]:
    task = asyncio.current_task()
    assert task is not None
    shared.streams.add(task)
    try:
        yield
    finally:
        shared.streams.discard(task)


def frame(event: Event) -> str:
    """One event: its position, its type, and the whole of it on one line."""
    data = json.dumps(to_jsonable_python(document(event)), sort_keys=True)
    return f"id: {event.position}\nevent: {event.type}\ndata: {data}\n\n"
