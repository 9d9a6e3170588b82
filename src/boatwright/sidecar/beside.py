"""The services of one wire: a directory of sockets that only this user may enter, each served while the wire is open.

A worker that is killed leaves a directory nobody holds; the next one that opens services clears it away. What a service
keeps for longer than a wire is a row, or a ref, and never here.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatwright.config.paths import StateDir
from boatwright.egress import services, sockets
from boatwright.egress.spec import Service

FOLDER = "services"
ENDING_SECONDS = 2
"""How long answers under way may take when the wire is closed."""

Scope = MutableMapping[str, Any]
Application = Callable[
    [Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]


@dataclass(frozen=True, slots=True)
class Offer:
    """One service: an ASGI application, the methods it takes, and the most bytes of a request's body."""

    name: str
    application: Application
    methods: tuple[str, ...] = ("GET", "POST")
    most_bytes: int = 1 << 20


@contextlib.asynccontextmanager
async def folder(state: StateDir, wire: str) -> AsyncIterator[Path]:
    """The wire's own directory (0700), held by a lock for as long as it is open; those of the dead are removed."""
    place = state.run / FOLDER
    await asyncio.to_thread(_sweep, place)
    held = await asyncio.to_thread(_hold, place, wire)
    try:
        yield place / wire
    finally:
        await asyncio.to_thread(shutil.rmtree, place / wire, True)
        held.free(remove=True)


def _sweep(place: Path) -> None:
    place.mkdir(mode=0o700, exist_ok=True)
    for file in place.glob("*.held"):
        left = sockets.Lock(file)
        if left.take():
            shutil.rmtree(file.with_suffix(""), ignore_errors=True)
            left.free(remove=True)


def _hold(place: Path, wire: str) -> sockets.Lock:
    """Take the lock, then make the directory: one without a lock that is held belongs to nobody."""
    file = place / f"{wire}.held"
    held = sockets.Lock(file)
    while not (held.take() and file.exists()):  # a sweep in between took it for a dead one's
        held.free()
    shutil.rmtree(place / wire, ignore_errors=True)
    (place / wire).mkdir(mode=0o700)
    return held


@contextlib.asynccontextmanager
async def serving(
    directory: Path, wire: str, offers: Sequence[Offer]
) -> AsyncIterator[Mapping[str, Service]]:
    """Serve ``offers`` in ``directory``; what the wire must be told of them."""
    async with contextlib.AsyncExitStack() as stack:
        told = {}
        for offer in offers:
            await stack.enter_async_context(_served(directory, wire, offer))
            socket = str(directory / f"{offer.name}.sock")
            told[offer.name] = Service(socket, offer.methods, offer.most_bytes)
        yield told


@contextlib.asynccontextmanager
async def _served(directory: Path, wire: str, offer: Offer) -> AsyncIterator[None]:
    import uvicorn  # noqa: PLC0415 - slow to import, and most commands serve nothing

    class _Server(uvicorn.Server):
        """Signals belong to whoever runs the worker."""

        @contextlib.contextmanager
        def capture_signals(self) -> Any:
            yield

    listener = sockets.listen(directory, f"{offer.name}.sock", mode=0o600)
    server = _Server(
        uvicorn.Config(
            _of_wire(offer.application, wire), http="h11", ws="none", lifespan="off", log_config=None,
            log_level="critical", access_log=False, proxy_headers=False, server_header=False, date_header=False,
            timeout_graceful_shutdown=ENDING_SECONDS,
        )
    )  # fmt: skip
    running = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait({running})
        listener.close()


def _of_wire(application: Application, wire: str) -> Application:
    """Nobody but this wire's proxy knows the socket; a request that says it came over another is answered with no."""
    name, value = services.WIRE_HEADER.encode(), wire.encode()

    async def guarded(scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (name, value) not in scope["headers"]:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"this is the service of another wire\n"})
            return
        await application(scope, receive, send)

    return guarded
