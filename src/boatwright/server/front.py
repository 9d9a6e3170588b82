"""The public door: ``POST /webhooks/{forge}`` for forges, ``GET /health`` for supervisors. Nothing else is here.

A delivery is capped, checked, kept and then answered; no forge is called and nothing is decided in between, because a
forge gives up after seconds. What is merely ignored is never answered with an error: forges switch such hooks off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from boatwright import errors
from boatwright.config.forges import KINDS
from boatwright.intake.door import LARGEST, Door, Forged
from boatwright.values.delivery import Stored

BODY_SECONDS = 30.0
"""How long a forge may take to send one body."""
RETRY_SECONDS = 30
LARGE = 1 << 20
LARGE_AT_ONCE = 8
"""So many bodies of more than :data:`LARGE` bytes are held at a time; the next ones wait their turn."""
TURN_SECONDS = 30.0
"""How long one waits for its turn; then the forge has to send it again."""

Healthy = Callable[[], Awaitable[str]]


class TooLarge(errors.BadInput):
    """More bytes than a delivery may have."""


class Crowded(errors.BoatwrightError):
    """Too many large bodies are under way."""


def front(door: Door, *, release: str, healthy: Healthy) -> FastAPI:
    """The application. ``healthy`` says why the ledger does not answer; an empty string when it does."""

    app = FastAPI(title="Boatwright", version=release, docs_url=None, redoc_url=None, openapi_url=None)
    large = asyncio.Semaphore(LARGE_AT_ONCE)

    async def webhook(request: Request) -> Response:
        return await _webhook(door, large, request)

    for forge in KINDS:
        app.add_route(f"/webhooks/{forge}", webhook, methods=["POST"])

    @app.get("/health")
    async def health(response: Response) -> dict[str, str]:
        why = await healthy()
        if why:
            response.status_code = 503
            return {"status": "unavailable", "release": release}  # why is told at the private door
        return {"status": "ok", "release": release}

    return app


async def _webhook(door: Door, large: asyncio.Semaphore, request: Request) -> Response:
    forge = request.url.path.rpartition("/")[2]
    try:
        stored = await _taken(door, large, forge, request)
    except TooLarge as error:
        return _refused(413, error, close=True)
    except Forged as error:
        return _refused(401, error)
    except (errors.StoreUnavailable, errors.Parked, Crowded) as error:
        return _away(error)
    except (TimeoutError, ClientDisconnect):
        return _refused(408, errors.BadInput("the body did not arrive"), close=True)
    return JSONResponse({"status": _WORDS[stored]}, 200 if stored is Stored.PROCESSED else 202)


_WORDS = {Stored.NEW: "accepted", Stored.AGAIN: "accepted", Stored.PROCESSED: "already_processed"}


async def _taken(door: Door, large: asyncio.Semaphore, forge: str, request: Request) -> Stored:
    said = request.headers.get("content-length", "")
    if said.isdecimal() and len(said) <= 12 and int(said) <= LARGE:
        return await _read_and_take(door, forge, request)
    if said and (not said.isdecimal() or int(said[:13]) > LARGEST):
        raise _too_large()
    try:
        async with asyncio.timeout(TURN_SECONDS):
            await large.acquire()
    except TimeoutError:
        raise Crowded("other large deliveries are under way") from None
    try:
        return await _read_and_take(door, forge, request)
    finally:
        large.release()


async def _read_and_take(door: Door, forge: str, request: Request) -> Stored:
    async with asyncio.timeout(BODY_SECONDS):
        body = await _body(request)
    return await door.take(forge, request.headers, body)


async def _body(request: Request) -> bytes:
    """All bytes, or as many as are too many: then reading ends there."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LARGEST:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _too_large() -> TooLarge:
    return TooLarge(f"a delivery has at most {LARGEST} bytes")


def _refused(status: int, error: errors.BoatwrightError, *, close: bool = False) -> Response:
    headers = {"connection": "close"} if close else {}
    return JSONResponse({"status": "error", "error": str(error)}, status, headers=headers)


def _away(error: errors.BoatwrightError) -> Response:
    """Without the error's words: they name places of this host, and this door is open to everybody."""
    what = "the ledger is away" if isinstance(error, errors.StoreUnavailable) else "a secret cannot be had"
    headers = {"retry-after": str(RETRY_SECONDS)}
    if isinstance(error, Crowded):
        what, headers = str(error), {**headers, "connection": "close"}
    return JSONResponse({"status": "error", "error": what}, 503, headers=headers)
