"""The private doors: everything an operator may ask of a running Boatwright, behind a token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Security
from fastapi.security import HTTPBearer

from boatwright.server import executions, figures, health, problems, stream
from boatwright.server.behind import Behind, Pulse
from boatwright.server.guard import Guard
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

DOCUMENT = "/v1/openapi.json"
_SHOWN = HTTPBearer(auto_error=False, description="A token of `boatwright api-token create NAME`.")
"""For the document alone: the guard asks before any route is found."""


def doors(house: House, engine: Engine) -> FastAPI:
    """The application. ``app.state.behind.leave()`` ends what is told live, before its server is stopped."""
    app = FastAPI(
        title="Boatwright", version=house.release, docs_url=None, redoc_url=None, openapi_url=DOCUMENT,
        lifespan=_beating,
    )  # fmt: skip
    app.state.behind = Behind(house, engine, Pulse(house))
    problems.install(app)
    app.add_middleware(Guard, tokens=house.ledger.tokens)
    health.add(app, house)
    for each in (figures.router, executions.router, stream.router):
        app.include_router(each, dependencies=[Security(_SHOWN)])
    return app


@asynccontextmanager
async def _beating(app: FastAPI) -> AsyncIterator[None]:
    beat = asyncio.create_task(app.state.behind.pulse.beat())
    try:
        yield
    finally:
        beat.cancel()
        with suppress(asyncio.CancelledError):
            await beat
