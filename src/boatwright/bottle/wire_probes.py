"""The probes of the wire: a bottle with a live one, whose route leads to a bait server of this host, tries to get more
out of it. ``boatwright bottle verify`` prints them below the escape probes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from boatwright.bottle import probes
from boatwright.bottle.probes import Outcome, Probe, ProbeResult
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir
from boatwright.egress.authority import Authority
from boatwright.egress.spec import WireSpec
from boatwright.rules.destinations import Network
from boatwright.values.clock import Clock
from boatwright.values.route import Credential, Route

if TYPE_CHECKING:
    from boatwright.bottle.backends.host import HostBackend

PROBES: tuple[Probe, ...] = (
    Probe(73, "smuggle a request past Transfer-Encoding and Content-Length"),
    Probe(74, "smuggle a request past two Content-Lengths"),
    Probe(75, "smuggle a request past a bare line feed"),
    Probe(76, "smuggle a request past a folded header"),
    Probe(77, "CONNECT to this host's addresses, however they are spelled"),
    Probe(78, "ask for another name inside TLS than the CONNECT named"),
    Probe(79, "name another Host than the CONNECT did"),
    Probe(80, "reach private and reserved addresses"),
    Probe(81, "be redirected to a host that is denied"),
    Probe(82, "use names as a channel out"),
    Probe(83, "reach another bottle's wire"),
    Probe(84, "have plain http carried"),
    Probe(85, "upgrade to a WebSocket"),
    Probe(86, "have the credential of a route said back"),
    Probe(87, "get round the paths of a route"),
)
LISTED = (
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "127.0.0.1",
    "[fd00::1]",
    "[fe80::1]",
)
_SMUGGLED = {f"/smuggled-{number}": number for number in range(73, 77)}
_CLOSED = {"/other-host": 79, "/plain": 84, "/socket": 85}


class Wires(Protocol):
    """What opens a wire, as ``egress.client.WireClient`` does."""

    async def open(self, spec: WireSpec) -> Path: ...

    async def close(self, wire: str) -> None: ...


@dataclass(slots=True)
class Server:
    """The bait: answers anything, remembers the first line of every request, and the name of what was hidden."""

    asked: list[str] = field(default_factory=list)
    port: int = 0
    plain: int = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.LimitOverrunError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                path = [*head.split(" "), "", ""][1]
                self.asked.append(path)
                moved = path == "/redirect"
                body = head.encode("latin-1") if path == "/headers" else b""
                start = "302 Found\r\nlocation: https://elsewhere.invalid/" if moved else "200 OK"
                writer.write(f"HTTP/1.1 {start}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        writer.close()


async def run(backend: HostBackend, wires: Wires, state: StateDir, clock: Clock) -> list[ProbeResult]:
    """Every probe, in the order of the table, over a wire opened for it. Leaves nothing behind."""
    token = os.urandom(6).hex()
    slug = f"verify-wire-{token}"
    async with _bait(state, clock) as (server, place):
        spec, other = _specs(token, server, place)
        try:
            directory, beside = await wires.open(spec), await wires.open(other)
            bottle = await backend.create(BottleSpec(slug, "verify", wire=directory))
            told = {
                "authority": Authority.open(state, clock).pem.decode("ascii"),
                "listed": LISTED,
                "other": str(beside / "wire.sock"),
                "plain": server.plain,
                "port": server.port,
            }
            tried = await probes.tried(bottle, "wire_escape", told)
        finally:
            await asyncio.shield(asyncio.ensure_future(_leave(backend, wires, slug, spec, other)))
        return [_result(each, tried.get(each.number), server) for each in PROBES]


def _specs(token: str, server: Server, place: Path) -> tuple[WireSpec, WireSpec]:
    """The bottle's wire, and one that is another's."""
    ca, key = str(place / "ca.pem"), f"file:{place / 'key'}"
    rest = {"host": "localhost", "port": server.port, "ca": ca, "credential": Credential(key)}
    bait = Route("bait", methods=("GET", "POST"), **rest)  # type: ignore[arg-type]
    opened = Route("opened", methods=("DELETE",), paths=("/open",), **rest)  # type: ignore[arg-type]
    spec = WireSpec(
        id=f"verify-{token}",
        execution=f"verify-{token}",
        repository="verify",
        purpose="verify",
        network=Network.ALLOW_LIST,
        hosts=LISTED,
        routes=(bait, opened),
    )
    return spec, WireSpec(id=f"verify-{token}-other", execution=f"verify-{token}", repository="verify")


async def _leave(backend: HostBackend, wires: Wires, slug: str, *specs: WireSpec) -> None:
    await backend.destroy(slug)
    for spec in specs:
        await wires.close(spec.id)


def _result(probe: Probe, tried: tuple[Outcome, str] | None, server: Server) -> ProbeResult:
    """What the bottle says, unless the bait knows better."""
    seen = {**_SMUGGLED, **_CLOSED}
    arrived = next((path for path in server.asked if seen.get(path) == probe.number), None)
    if arrived is not None:
        return ProbeResult(probe, Outcome.OPEN, f"{arrived} arrived")
    if not server.asked:
        return ProbeResult(probe, Outcome.FAILED, "the wire carried nothing at all")
    outcome, detail = tried or (Outcome.FAILED, "it gave no answer")
    return ProbeResult(probe, outcome, detail)


@contextlib.asynccontextmanager
async def _bait(state: StateDir, clock: Clock) -> AsyncIterator[tuple[Server, Path]]:
    """The server, with and without TLS on loopback, and a directory with its authority and a credential for it."""
    place = Path(tempfile.mkdtemp(prefix="bait-"))
    authority = Authority.open(state, clock)
    (place / "ca.pem").write_bytes(authority.pem)
    (place / "key").touch(0o600)
    (place / "key").write_text(os.urandom(16).hex())
    server = Server()
    secure = await asyncio.start_server(server.accept, "127.0.0.1", 0, ssl=authority.context("localhost"))
    plain = await asyncio.start_server(server.accept, "127.0.0.1", 0)
    server.port, server.plain = (each.sockets[0].getsockname()[1] for each in (secure, plain))
    try:
        yield server, place
    finally:
        secure.close()
        plain.close()
        shutil.rmtree(place, ignore_errors=True)


def verdict(results: list[ProbeResult]) -> bool:
    """Whether the wires of this machine hold."""
    return len(results) == len(PROBES) and all(each.fine for each in results)
