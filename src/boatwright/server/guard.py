"""The guard of the private doors: nobody passes without a token, whatever they ask for; health alone is open."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

from boatwright import errors
from boatwright.ledger.tokens import Tokens
from boatwright.rules import tokens as rule
from boatwright.server import health, problems
from boatwright.values.register import ApiToken

LARGEST = 256 << 10
"""Bytes of a body; a request's text is at most a quarter of it."""
OPEN = frozenset({health.PATH})


class Guard:
    """Wraps an application. Who calls is in ``scope["state"]["caller"]`` from here on: the name of the token."""

    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope.get("path") in OPEN:
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            caller = await self._caller(scope)
        except errors.StoreUnavailable as gone:
            await problems.of(gone)(scope, receive, send)
            return
        refusal = _nobody() if caller is None else _too_large(scope)
        if caller is None or refusal is not None:
            await (refusal or _nobody())(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller.name
        await self._app(scope, receive, send)

    async def _caller(self, scope: Scope) -> ApiToken | None:
        said = _header(scope, b"authorization")
        token = rule.bearer(said[0]) if len(said) == 1 else None
        return await asyncio.to_thread(self._tokens.holder, token) if token else None


def _nobody() -> ASGIApp:
    return problems.answer(
        401,
        "this door needs a token: Authorization: Bearer TOKEN",
        "Authorization",
        "boatwright api-token create NAME",
        headers={"WWW-Authenticate": 'Bearer realm="boatwright"'},
    )


def _too_large(scope: Scope) -> ASGIApp | None:
    """Nothing is read to find out: who sends a body says how long it is."""
    if _header(scope, b"transfer-encoding"):
        return problems.answer(411, "a body needs its length: Content-Length", "Content-Length")
    length = "".join(_header(scope, b"content-length"))
    if length and (not length.isdecimal() or int(length[:20]) > LARGEST):
        return problems.answer(413, f"a body may have {LARGEST:,} bytes", "Content-Length")
    return None


def _header(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
