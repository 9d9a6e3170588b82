"""How workers speak to the proxy: one JSON object a line over a socket only this user (and root) may use.

The proxy greets first, with its release; then each request is answered in turn.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from boatwright import errors
from boatwright.egress import sockets

SOCKET = "proxy.sock"
PROTOCOL_VERSION = 1
"""Of these orders and their answers; the greeting tells it."""

LONGEST = 1 << 20

Request = dict[str, Any]
Answer = dict[str, Any]
Handler = Callable[[Request], Awaitable[Answer]]


def allowed(uid: int) -> bool:
    """Whether a process of ``uid`` may give orders: our own user, or root."""
    return uid in {os.geteuid(), 0}


async def serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, greeting: Answer, handle: Handler
) -> None:
    """One worker's connection: greeting, then requests until it leaves."""
    try:
        if not allowed(sockets.peer_uid(writer.get_extra_info("socket"))):
            return
        await _write(writer, greeting)
        while line := await reader.readline():
            await _write(writer, await _answer(line, handle))
    except (OSError, ValueError):
        return  # a line that is too long, or a worker that left
    finally:
        writer.close()


async def _answer(line: bytes, handle: Handler) -> Answer:
    try:
        request = json.loads(line)
        return {"ok": await handle(dict(request))}
    except errors.BoatwrightError as error:
        return {"error": describe(error)}
    except (KeyError, TypeError, ValueError) as error:
        return {
            "error": {"kind": "BadInput", "sentence": f"the request is malformed ({type(error).__name__})"}
        }


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    writer.write(json.dumps(answer).encode() + b"\n")
    await writer.drain()


def describe(error: errors.BoatwrightError) -> Answer:
    """An error of ours as it travels."""
    return {
        "kind": type(error).__name__,
        "sentence": str(error),
        "subject": error.subject,
        "code": getattr(error, "code", ""),
        "next_moves": list(error.next_moves),
    }


_KINDS: dict[str, type[errors.BoatwrightError]] = {
    kind.__name__: kind
    for kind in (errors.BadInput, errors.NotFound, errors.Refused, errors.Conflict, errors.StoreUnavailable)
}


def revive(told: Answer) -> errors.BoatwrightError:
    """The error the proxy described, as one of ours."""
    sentence, subject, moves = (
        str(told.get("sentence")),
        str(told.get("subject", "")),
        told.get("next_moves", ()),
    )
    if told.get("code"):
        return errors.Parked(sentence, code=str(told["code"]), subject=subject, next_moves=tuple(moves))
    kind = _KINDS.get(str(told.get("kind")), errors.BoatwrightError)
    return kind(sentence, subject=subject, next_moves=tuple(moves))
