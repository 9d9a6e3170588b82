"""How many tokens a request would take, for a client that asks before it sends: never billed, it decides nothing here.

By default the answer is an estimate of our own. Where the operator says ``models: {count: exact}`` the provider's own
endpoint is asked; what it does not answer well is estimated all the same.
"""

from __future__ import annotations

import asyncio
import json
from typing import Protocol

import h11

from boatwright.egress import call, http1, inbound, meter
from boatwright.egress.answer import Refused
from boatwright.egress.inbound import Inbound
from boatwright.egress.meter import protocol as protocol_module
from boatwright.egress.ordinary import Request
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.egress.upstream import Cut, Link, NoAnswer, Pool, Unreachable, Ways, reached
from boatwright.rules.bound import Refusal as Unbounded

BYTES_A_TOKEN = 3
SECONDS = 15.0
ANSWER_BYTES = 64 * 1024


class House(Ways, Protocol):
    """What counting needs of the proxy."""

    pool: Pool

    async def key(self, wire: WireSpec, upstream: Upstream) -> str | None: ...

    def note(self, what: str, **fields: str | int | float | None) -> None: ...


class Counting:
    """Answers what asks for a count, for one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, wire: WireSpec, request: Request, client: Inbound, field: str, side: str) -> None:
        """Answer with ``{field: tokens}``."""
        raw = inbound.decode(await client.body(), inbound.header(request, b"content-encoding"))
        tokens = await self._exact(wire, request, raw, field, side) if wire.exact_counts else None
        body = json.dumps({field: estimate(raw) if tokens is None else tokens}).encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        await client.send(
            h11.Response(status_code=200, headers=headers), h11.Data(data=body), h11.EndOfMessage()
        )

    async def _exact(self, wire: WireSpec, request: Request, raw: bytes, field: str, side: str) -> int | None:
        """The provider's own figure; None where it gives none."""
        upstream = wire.upstream(side)
        if upstream is None or not _may_ask(wire, request, raw):
            return None
        try:
            async with asyncio.timeout(SECONDS):
                found = await self._asked(wire, upstream, request, raw, side)
        except (Refused, Unreachable, NoAnswer, Cut, TimeoutError, ValueError) as error:
            self._house.note("estimated", wire=wire.id, why=str(error) or type(error).__name__)
            return None
        tokens = found.get(field)
        return tokens if type(tokens) is int and tokens >= 0 else None

    async def _asked(
        self, wire: WireSpec, upstream: Upstream, request: Request, raw: bytes, side: str
    ) -> dict[str, object]:
        metered, key = meter.of_side(side)[0], await self._house.key(wire, upstream)
        where = await reached(self._house, wire, upstream)
        target = where.target(request.target.decode("ascii").partition("?")[0])
        head = call.headers(metered, upstream, call.passed(request, metered), where, key, len(raw))
        link = await self._house.pool.take(where, fresh=True)
        try:
            await link.send(http1.post(target, head, raw))
            return await _answer(link)
        finally:
            link.close()


def estimate(raw: bytes) -> int:
    """Tokens by the size of the request, rounded up."""
    return -(-len(raw) // BYTES_A_TOKEN)


def _may_ask(wire: WireSpec, request: Request, raw: bytes) -> bool:
    """Whether the request is JSON about a model of this wire: nothing else is carried to the provider."""
    try:
        named = protocol_module.parse(raw).get("model")
    except Unbounded:
        return False
    path = request.target.decode("ascii").partition("?")[0]
    model = named if isinstance(named, str) else path.rpartition("/")[2].partition(":")[0]
    return not wire.models or model in wire.models


async def _answer(link: Link) -> dict[str, object]:
    """The provider's answer; ``Cut`` unless it is a small JSON object with status 200."""
    head, body = await link.head(), bytearray()
    while (data := await link.data(SECONDS)) is not None:
        body += data
        if len(body) > ANSWER_BYTES:
            raise Cut("the answer is too long")
    found = json.loads(body) if head.status == 200 else None
    if not isinstance(found, dict):
        raise Cut(f"status {head.status}")
    return found
