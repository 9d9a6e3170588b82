"""The connections of bottles: each request goes to its lane, each refusal is answered at once and written
down.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Protocol

import h11

from boatwright import errors
from boatwright.egress import gateway, intercept, services, tunnel
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Denied
from boatwright.egress.cuts import Cut
from boatwright.egress.gateway import Gateway
from boatwright.egress.inbound import Gone, Inbound
from boatwright.egress.intercept import Intercept
from boatwright.egress.listener import Wire
from boatwright.egress.ordinary import Request
from boatwright.egress.services import Services
from boatwright.egress.tunnel import Tunnel, WrongName
from boatwright.rules import routes as routing
from boatwright.rules.routes import Lane

Handle = Callable[[Wire, Request, Inbound], Awaitable[None]]


class House(gateway.House, intercept.House, services.House, Protocol):
    """What the lanes need of the proxy."""

    place: str

    async def exhausted(self, wire: Wire, sentence: str) -> None:
        """A budget is at its end: cut every wire of its account, durably, before the client hears of it."""
        ...

    async def still_cut(self, wire: Wire) -> Cut | None:
        """The cut that stands for a wire that was cut; None when it has been lifted."""
        ...


REPLAYED = "a replay leads nowhere but to its tape, and what went over a route is not replayed"
CUT_MOVES = ("boatwright budget raise EXECUTION 5usd", "boatwright resume EXECUTION")


class Lanes:
    """Gateway, services, tunnel and intercept lane behind the sockets of one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._gateway = Gateway(house)
        self._tunnel = Tunnel(house)
        self._intercept = Intercept(house, self._gateway)
        self._services = Services(house)

    async def serve(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a bottle; the edge where whatever goes wrong ends."""
        client = Inbound(reader, writer)
        try:
            await self._converse(wire, client, self._dispatch)
        except (Gone, WrongName) as error:
            if isinstance(error, WrongName):
                self._deny(wire, Refused("denied", f"a tunnel was closed: {error}", target="tls"))
        except h11.LocalProtocolError:
            self._house.note("broken", wire=wire.spec.id)
        finally:
            client.close()

    async def _converse(self, wire: Wire, client: Inbound, handle: Handle) -> None:
        while await self._one(wire, client, handle):
            pass

    async def _one(self, wire: Wire, client: Inbound, handle: Handle) -> bool:
        """One request; False when the connection ends with it."""
        try:
            request = await client.request()
            if request is None:
                return False
            if wire.is_cut and (cut := await self._house.still_cut(wire)) is not None:
                raise Refused("cut", cut.sentence, next_moves=CUT_MOVES, target="wire")
            await handle(wire, request, client)
        except Refused as refused:
            self._deny(wire, refused)
            if refused.exhausted:
                await self._house.exhausted(wire, str(refused))
            await _refuse(client, refused)
        except errors.StoreUnavailable as error:
            self._house.note("store", wire=wire.spec.id, sentence=str(error))
            await _refuse(client, Refused("store", str(error), next_moves=error.next_moves))
        return client.reusable

    async def _dispatch(self, wire: Wire, request: Request, client: Inbound) -> None:
        if request.method == b"CONNECT":
            await self._connect(wire, request, client)
        elif request.target.startswith(services.PREFIX):
            await self._services.serve(wire.spec, request, client)
        elif request.target.startswith(b"/"):
            await self._gateway.serve(wire.spec, request, client)
        else:
            await self._intercept.plain(wire, request, client)

    async def _connect(self, wire: Wire, request: Request, client: Inbound) -> None:
        """A CONNECT, judged before its host is resolved."""
        spec = wire.spec
        host, port = tunnel.place(request)
        decision = routing.connect(spec.network, spec.hosts, spec.routes, host, port)
        if decision.lane is Lane.DENIED:
            reason = REPLAYED if any(one.tape for one in spec.upstreams) else decision.reason
            raise Refused("denied", reason, allowed=decision.instead, target=f"{host}:{port}")
        if decision.lane is Lane.TUNNEL:
            route = decision.routes[0].name if decision.routes else ""
            await self._tunnel.serve(spec, host, port, client, route)
            return
        async with self._intercept.opened(spec, host, port, client) as (way, inner):
            await self._converse(wire, inner, functools.partial(self._intercept.serve, way))

    def _deny(self, wire: Wire, refused: Refused) -> None:
        """Write a refusal down: the log has every one, the rows count them by target."""
        self._house.note(
            "refused", wire=wire.spec.id, code=refused.code, reason=str(refused), target=refused.target
        )
        if not refused.target:
            return
        denied = Denied(
            place=self._house.place,
            wire=wire.spec.id,
            execution=wire.spec.execution,
            kind=refused.code,
            target=wire.worth_a_row(refused.target),
            reason=str(refused),
            at=self._house.clock.now(),
        )
        self._house.keep(self._house.journal.submit(denied))


async def _refuse(client: Inbound, refused: Refused) -> None:
    if client.answering:
        raise Gone  # too late for an answer: the connection ends instead
    with contextlib.suppress(h11.LocalProtocolError):
        await client.refuse(refused)
