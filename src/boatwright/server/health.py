"""``boatwright serve``: a worker, and ``GET /health`` for whoever supervises it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI, Response

from boatwright import errors
from boatwright.intake import patrol
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine


def doors(house: House) -> FastAPI:
    """The doors of this release: health only. 200 when the ledger answers, 503 when it does not."""
    app = FastAPI(title="Boatwright", version=house.release, docs_url=None, redoc_url=None)

    @app.get("/health")
    def health(response: Response) -> dict[str, str]:
        try:
            house.ledger.events.after(0, limit=1)
        except errors.StoreUnavailable as gone:
            response.status_code = 503
            return {"status": "unavailable", "reason": str(gone), "release": house.release}
        return {"status": "ok", "release": house.release}

    return app


async def serve(house: House, engine: Engine, *, host: str, port: int, say: Callable[[str], None]) -> None:
    """Run the doors and a worker until told to stop; the worker drains first."""
    _only_loopback(host)
    config = uvicorn.Config(doors(house), host=host, port=port, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    hello = f"health on http://{host}:{port}/health; worker of release {house.release}"
    answering = asyncio.create_task(_answer(server))
    try:
        async with patrol.walking(house, engine):
            await engine.run_worker(
                lambda execution, line: say(f"{execution}  {line}"),
                until=answering.done,
                begun=lambda: say(hello),
            )
    finally:
        server.should_exit = True
        await answering


async def _answer(server: uvicorn.Server) -> None:
    try:
        await server._serve()
    except SystemExit as left:  # uvicorn leaves the process when it cannot bind
        taken = f"{server.config.host}:{server.config.port} cannot be listened on: it is taken, or not ours"
        raise errors.BadInput(taken, subject=taken, next_moves=("--port N",)) from left


def _only_loopback(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise errors.Refused(
            f"{host} is not a loopback address: these doors have no authentication yet",
            subject=host,
            next_moves=("--host 127.0.0.1",),
        )
