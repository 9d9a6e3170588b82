"""The tunnel lane: CONNECT to a host the wire's policy allows, resolved here, its TLS name checked, never
decrypted.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from boatwright.egress import clienthello, detour
from boatwright.egress.answer import Refused
from boatwright.egress.detour import Via
from boatwright.egress.inbound import Gone, Inbound
from boatwright.egress.ordinary import Request
from boatwright.egress.spec import WireSpec
from boatwright.rules import destinations, routes

CONNECT_SECONDS = 10.0
HELLO_SECONDS = 15.0
IDLE_SECONDS = 300.0
READ_BYTES = 64 * 1024

_TARGET = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})\Z")

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class House(Protocol):
    """What the lane needs of the proxy."""

    resolve: Resolve

    async def detour(self, wire: WireSpec, host: str) -> Via | None:
        """The company's proxy that leads to ``host``; None: straight."""
        ...

    def note(self, what: str, **fields: str | int | float | None) -> None: ...


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this host knows it."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Tunnel:
    """The lane, for one proxy."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def serve(self, wire: WireSpec, host: str, port: int, client: Inbound, route: str = "") -> None:
        """Carry one CONNECT that was allowed to its end; ``Refused`` says why not."""
        reader, writer = await self._open(wire, host, port)
        sent = received = 0
        try:
            first = await client.tunnel()
            hello = await _hello(client, first, host)
            sent, received = await _pipe(client, reader, writer, hello)
        finally:
            writer.transport.abort()
            named = {"route": route} if route else {}
            self._house.note(
                "tunnelled", wire=wire.id, host=host, port=port, sent=sent, received=received, **named
            )  # fmt: skip

    async def _open(
        self, wire: WireSpec, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to one address of the host. The address that was checked is the one that is used."""
        way, found = await led(self._house, wire, host, port)
        if way is not None:
            return await _through(way, host, port)
        failure: Exception | None = None
        for one in found:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection(one, port, limit=READ_BYTES)
            except (OSError, TimeoutError) as error:
                failure = error
        raise Refused("upstream", f"{host}:{port} cannot be reached from this host") from failure


async def led(house: House, wire: WireSpec, host: str, port: int) -> tuple[Via | None, tuple[str, ...]]:
    """How a host is reached: through the company's proxy, or at its addresses. ``Refused`` where it may not be.

    The company's proxy looks names up itself: what is private is then told by the name alone.
    """
    named = destinations.named(wire.private_hosts, host, port) or routes.private(wire.routes, host, port)
    way = await house.detour(wire, host)
    if way is not None:
        if destinations.is_local(host) and not named:
            raise _private(host, port)
        return way, ()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = list(dict.fromkeys(await house.resolve(host, port)))
    except (OSError, TimeoutError, UnicodeError) as error:
        raise Refused("upstream", f"{host} has no address that this host knows") from error
    if not named and not all(destinations.public(one) for one in found):
        raise _private(host, port)
    return None, tuple(found[:4])


async def _through(way: Via, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await detour.through(way, host, port)
    except detour.NoWay as error:
        raise Refused("upstream", f"{host}:{port} cannot be reached: {error}") from error
    except TimeoutError as error:
        raise Refused("upstream", f"{host}:{port} cannot be reached: {way} did not answer in time") from error


def _private(host: str, port: int) -> Refused:
    return Refused(
        "denied",
        f"{host} leads to a private or reserved address",
        next_moves=("an operator may name that host in settings.yml",),
        target=f"{host}:{port}",
    )


def place(request: Request) -> tuple[str, int]:
    """Host and port of a CONNECT; ``Refused`` for anything else."""
    matched = _TARGET.match(request.target.decode("latin-1"))
    host = destinations.canonical(matched["host"]) if matched else None
    if matched is None or host is None or not 0 < int(matched["port"]) < 1 << 16:
        raise Refused("invalid", "CONNECT takes HOST:PORT")
    return host, int(matched["port"])


async def _hello(client: Inbound, first: bytes, host: str) -> bytes:
    """The client's first TLS message; ``Gone`` unless it names the host of the CONNECT."""
    data = first
    try:
        async with asyncio.timeout(HELLO_SECONDS):
            while (name := clienthello.server_name(data)) is None:
                more = await client.reader.read(READ_BYTES)
                if not more or len(data) > clienthello.MOST_BYTES:
                    raise Gone
                data += more
    except (clienthello.NotTls, OSError, TimeoutError) as error:
        raise WrongName("it is not TLS") from error
    if name.removesuffix(".") != host and not (name == "" and destinations.address(host) is not None):
        raise WrongName(f"its TLS asks for {name[:100]!r}")
    return data


class WrongName(Exception):
    """The tunnel was opened for one host and used for another, or without TLS."""


class _Flow:
    """What moved, in both directions; a tunnel is idle only when neither side says anything."""

    def __init__(self) -> None:
        self.bytes = [0, 0]
        self.moved = asyncio.get_running_loop().time()

    def count(self, which: int, size: int) -> None:
        self.bytes[which] += size
        self.moved = asyncio.get_running_loop().time()

    @property
    def idle(self) -> bool:
        return asyncio.get_running_loop().time() - self.moved >= IDLE_SECONDS


async def _pipe(
    client: Inbound, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes
) -> tuple[int, int]:
    """Both directions until one ends and the other follows, or nothing moves for long. Bytes sent,
    received.
    """
    flow = _Flow()
    writer.write(first)
    flow.count(0, len(first))
    out = asyncio.create_task(_copy(client.reader, writer, flow, 0))
    back = asyncio.create_task(_copy(reader, client.writer, flow, 1))
    try:
        await asyncio.wait({out, back}, return_when=asyncio.FIRST_COMPLETED)
        if not back.done():
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()
            await asyncio.wait({back}, timeout=IDLE_SECONDS)
    finally:
        for task in (out, back):
            task.cancel()
        await asyncio.gather(out, back, return_exceptions=True)
    return flow.bytes[0], flow.bytes[1]


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter, flow: _Flow, which: int) -> None:
    with contextlib.suppress(OSError):
        while not flow.idle:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    data = await source.read(READ_BYTES)
            except TimeoutError:
                continue
            if not data:
                return
            flow.count(which, len(data))
            target.write(data)
            await target.drain()
