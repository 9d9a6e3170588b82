"""The connections of bottles: each request goes to its lane, each refusal is answered at once and written
down.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

import h11

from boatwright import errors
from boatwright.egress import gateway, services, tunnel
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Denied
from boatwright.egress.cuts import Cut
from boatwright.egress.gateway import Gateway
from boatwright.egress.inbound import Gone, Inbound
from boatwright.egress.listener import Wire
from boatwright.egress.services import Services
from boatwright.egress.tunnel import Tunnel, WrongName


class House(gateway.House, tunnel.House, services.House, Protocol):
    """What the lanes need of the proxy."""

    place: str

    async def exhausted(self, wire: Wire, sentence: str) -> None:
        """A budget is at its end: cut every wire of its account, durably, before the client hears of it."""
        ...

    async def still_cut(self, wire: Wire) -> Cut | None:
        """The cut that stands for a wire that was cut; None when it has been lifted."""
        ...


CUT_MOVES = ("boatwright budget raise EXECUTION 5usd", "boatwright resume EXECUTION")


class Lanes:
    """Gateway, services and tunnel behind the sockets of one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._gateway = Gateway(house)
        self._tunnel = Tunnel(house)
        self._services = Services(house)

    async def serve(self, wire: Wire, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a bottle; the edge where whatever goes wrong ends."""
        client = Inbound(reader, writer)
        try:
            while await self._one(wire, client):
                pass
        except (Gone, WrongName) as error:
            if isinstance(error, WrongName):
                self._deny(wire, Refused("denied", f"a tunnel was closed: {error}", target="tls"))
        except h11.LocalProtocolError:
            self._house.note("broken", wire=wire.spec.id)
        finally:
            client.close()

    async def _one(self, wire: Wire, client: Inbound) -> bool:
        """One request; False when the connection ends with it."""
        try:
            request = await client.request()
            if request is None:
                return False
            if wire.is_cut and (cut := await self._house.still_cut(wire)) is not None:
                raise Refused("cut", cut.sentence, next_moves=CUT_MOVES, target="wire")
            await self._dispatch(wire, request, client)
        except Refused as refused:
            self._deny(wire, refused)
            if refused.exhausted:
                await self._house.exhausted(wire, str(refused))
            await _refuse(client, refused)
        except errors.StoreUnavailable as error:
            self._house.note("store", wire=wire.spec.id, sentence=str(error))
            await _refuse(client, Refused("store", str(error), next_moves=error.next_moves))
        return client.reusable

    async def _dispatch(self, wire: Wire, request: h11.Request, client: Inbound) -> None:
        if request.method == b"CONNECT":
            await self._tunnel.serve(wire.spec, request, client)
        elif request.target.startswith(services.PREFIX):
            await self._services.serve(wire.spec, request, client)
        elif request.target.startswith(b"/"):
            await self._gateway.serve(wire.spec, request, client)
        else:
            raise Refused(
                "denied",
                "this wire forwards no plain http: it takes model calls by path, and CONNECT to hosts",
                allowed=(*gateway.allowed(wire.spec), *(f"CONNECT {host}" for host in wire.spec.hosts)),
                target=request.target.decode("latin-1")[:200],
            )

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
