"""Open a wire with what may be asked over it beside it: the sidecar of one bottle.

Killed at any point: the row of an open question stands, the sockets are made anew by the next worker, and a route that
was granted is part of the next wire from its beginning.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from boatwright.agents.headless import Headless
from boatwright.agents.protocol import ModelWire, Provider
from boatwright.bottle.protocol import WIRE_URL
from boatwright.egress import wires
from boatwright.egress.spec import WireSpec
from boatwright.rules.composed import Composed
from boatwright.sidecar import beside, supervise
from boatwright.sidecar.beside import Offer
from boatwright.sidecar.desk import Desk
from boatwright.stages.house import House

TOOLS = (
    "You may ask the operator: the tools of the MCP server 'boatwright' (ask_operator, request_budget, request_route). "
    "Often nobody is there; they say so at once, and you go on without."
)
PLAINLY = (
    f"You may ask the operator: POST {WIRE_URL}{supervise.PLAIN} with a JSON object "
    '{"question": "…"}, {"budget": "2usd", "reason": "…"} or {"route": "host:port", "reason": "…"}. '
    "Often nobody is there; it says so at once, and you go on without."
)


class Line:
    """An open wire, and what it is now: what is granted while it is open is part of it when it is opened again."""

    def __init__(self, house: House, spec: WireSpec) -> None:
        self._house = house
        self.spec = spec
        self.socket = wires.directory(house.state, spec.id) / wires.SOCKET

    async def revive(self) -> None:
        """The proxy may have died: have one listen, with this wire on it."""
        await self._house.wire.ensure()
        await self._house.wire.open(self.spec)

    async def reach(self, hosts: Sequence[str]) -> None:
        """Let it lead to ``hosts`` too, which an operator named. What was cut stays cut."""
        self.spec = reaching(self.spec, hosts)
        await self._house.wire.open(self.spec)


def reaching(spec: WireSpec, hosts: Sequence[str]) -> WireSpec:
    return replace(
        spec,
        hosts=tuple(dict.fromkeys((*spec.hosts, *hosts))),
        private_hosts=tuple(dict.fromkeys((*spec.private_hosts, *hosts))),
    )


@contextlib.asynccontextmanager
async def opened(house: House, spec: WireSpec, services: Collection[str]) -> AsyncIterator[Line]:
    """The wire of ``spec``, open while the block runs, with these services of the host."""
    async with contextlib.AsyncExitStack() as stack:
        desk = None
        if supervise.NAME in services:
            desk = Desk(
                house.ledger.asks, spec.execution, spec.bottle, network=spec.network, clock=house.clock
            )
            offer = await stack.enter_async_context(supervise.offered(desk, house.release))
            spec = await _with(house, spec, [offer], stack)
        routes = house.ledger.asks.granted_routes
        granted = await asyncio.to_thread(routes, spec.execution) if desk else ()
        line = Line(house, reaching(spec, granted))
        await line.revive()
        stack.push_async_callback(house.wire.close, spec.id)
        if desk is not None:
            await stack.enter_async_context(desk.manned(line.reach, granted))
        yield line


async def _with(
    house: House, spec: WireSpec, offers: Sequence[Offer], stack: contextlib.AsyncExitStack
) -> WireSpec:
    """The wire, with services that are served from now on."""
    place: Path = await stack.enter_async_context(beside.folder(house.state, spec.id))
    told = await stack.enter_async_context(beside.serving(place, spec.id, offers))
    return replace(spec, services={**spec.services, **told})


def wanted(composed: Composed) -> frozenset[str]:
    """The services an agent's manifest asks for."""
    head = composed.manifest.head if composed.manifest else None
    return frozenset([supervise.NAME] if head and head.supervise else [])


def refuse_unwired(provider: Provider, composed: Composed) -> None:
    """Raise where a manifest asks for a service that its provider has no wire to reach."""
    if provider.wired or not wanted(composed) or composed.manifest is None:
        return
    raise composed.manifest.refuse(
        ("supervise",),
        f"'{provider.name}' thinks on the host: its bottle has no wire over which it could ask",
        "take 'supervise' out",
        "or name a provider that works in its bottle, such as 'provider: claude'",
    )


def notes(provider: Provider, wire: ModelWire) -> tuple[str, ...]:
    """What the agent is told of the services it has."""
    if supervise.NAME not in wire.services:
        return ()
    return (TOOLS if isinstance(provider, Headless) and provider.mcp else PLAINLY,)
