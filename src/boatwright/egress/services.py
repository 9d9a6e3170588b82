"""The service lane: ``/boatwright/NAME/…`` leads to a socket of this host, where something answers what a bottle asks.

The proxy knows names and sockets, and nothing of what is behind them. The wire is the identity: what a request says
about itself, in a header, stays here, and the wire's own name goes along. Nothing is metered; every request is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import h11

from boatwright.egress import inbound as inbound_module
from boatwright.egress import sockets
from boatwright.egress.answer import Refused
from boatwright.egress.inbound import Inbound
from boatwright.egress.ordinary import Request
from boatwright.egress.spec import Service, WireSpec
from boatwright.egress.upstream import CONNECT_SECONDS, HEAD_BYTES, READ_BYTES, open_unix
from boatwright.values.clock import Clock

PREFIX = b"/boatwright/"
WIRE_HEADER = "x-boatwright-wire"
"""In which a service is told the wire's id."""
ANSWER_SECONDS = 900.0
"""How long a service may be silent: some of them wait for a person."""

_TARGET = re.compile(r"/boatwright/(?P<name>[a-z][a-z0-9-]{0,62})(?P<rest>/[\x21-\x7e]*)")
_PASSED = frozenset({
    b"accept", b"accept-encoding", b"content-encoding", b"content-length", b"content-type", b"git-protocol",
    b"transfer-encoding", b"user-agent",
})  # fmt: skip
_ANSWERED = frozenset({
    b"allow", b"cache-control", b"content-encoding", b"content-length", b"content-type", b"retry-after",
})  # fmt: skip
_PREFIXES = (b"mcp-",)

_Headers = list[tuple[bytes, bytes]]


class House(Protocol):
    """What the lane needs of the proxy."""

    clock: Clock

    def note(self, what: str, **fields: str | int | float | None) -> None: ...


@dataclass(slots=True)
class _Count:
    """One request, for the log: bytes of its body and of the answer's."""

    status: int = 0
    sent: int = 0
    received: int = 0


def allowed(wire: WireSpec) -> tuple[str, ...]:
    """The services of a wire, for people."""
    return tuple(f"{PREFIX.decode()}{name}/" for name in wire.services)


class Services:
    """The lane, for one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, wire: WireSpec, request: Request, client: Inbound) -> None:
        """Carry one request to its service and the answer back; ``Refused`` says why not."""
        name, rest = _parse(wire, request)
        service = wire.services[name]
        if request.method.decode("ascii") not in service.methods:
            raise Refused("method", f"the service {name} takes {' and '.join(service.methods)}")
        if int(inbound_module.header(request, b"content-length") or 0) > service.most_bytes:
            raise inbound_module.too_large(service.most_bytes)
        count, started = _Count(), self._house.clock.monotonic()
        try:
            async with _connected(name, service) as line:
                await line.ask(wire, request, rest, client, service.most_bytes, count)
                await line.answer(client, count)
        finally:
            self._house.note(
                "served", wire=wire.id, execution=wire.execution, service=name, status=count.status,
                sent=count.sent, received=count.received,
                seconds=round(self._house.clock.monotonic() - started, 3),
            )  # fmt: skip


def _parse(wire: WireSpec, request: Request) -> tuple[str, str]:
    """The service, and the path it is asked for; ``Refused`` with those there are."""
    target = request.target.decode("latin-1")
    matched = _TARGET.fullmatch(target)
    if matched is None or matched["name"] not in wire.services:
        raise Refused("unknown", "this wire has no such service", allowed=allowed(wire), target=target[:200])
    return matched["name"], matched["rest"]


@contextlib.asynccontextmanager
async def _connected(name: str, service: Service) -> AsyncIterator[_Line]:
    """A connection of its own for each request: what a service keeps of it ends with it."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await open_unix(Path(service.socket))
    except (OSError, TimeoutError) as error:
        raise Refused("upstream", f"the service {name} is not there just now: ask again") from error
    try:
        yield _Line(name, reader, writer)
    finally:
        writer.transport.abort()


class _Line:
    """One request on its way to a service."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name, self._reader, self._writer = name, reader, writer
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)

    async def ask(
        self, wire: WireSpec, request: Request, rest: str, client: Inbound, most: int, count: _Count
    ) -> None:
        """Send the request. A service that has heard enough of it may close: then its answer says why."""
        headers = [
            *((name, value) for name, value in request.headers if name in _PASSED or _ours(name)),
            (b"host", b"localhost"),
            (WIRE_HEADER.encode(), wire.id.encode()),
            (b"connection", b"close"),
        ]
        told = await self._send(h11.Request(method=request.method, target=rest, headers=headers))
        async for part in client.parts(most):
            count.sent += len(part)
            told = told and await self._send(h11.Data(data=part))
        if told:
            await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> bool:
        """Whether it is still heard."""
        self._writer.write(self._h11.send(event) or b"")
        try:
            await sockets.drain(self._writer, ANSWER_SECONDS)
        except (OSError, TimeoutError):
            return False
        return True

    async def answer(self, client: Inbound, count: _Count) -> None:
        """Hand the answer on as it comes; one that breaks off ends the client's connection in the middle."""
        while not isinstance(event := await self._next(client), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                count.status = event.status_code
                passed = [(name, value) for name, value in event.headers if name in _ANSWERED or _ours(name)]
                await client.send(h11.Response(status_code=event.status_code, headers=passed))
            elif isinstance(event, h11.Data):
                count.received += len(event.data)
                await client.send(h11.Data(data=event.data))
        await client.send(h11.EndOfMessage())

    async def _next(self, client: Inbound) -> h11.Event:
        try:
            while (event := self._h11.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(ANSWER_SECONDS):
                    self._h11.receive_data(await self._reader.read(READ_BYTES))
        except (h11.RemoteProtocolError, OSError, TimeoutError) as error:
            if client.answering:
                raise inbound_module.Gone from error
            raise Refused("upstream", f"the service {self._name} broke off: ask again") from error
        if not isinstance(event, h11.Event):
            raise Refused("upstream", f"the service {self._name} broke off: ask again")
        return event


def _ours(name: bytes) -> bool:
    return name.startswith(_PREFIXES)
