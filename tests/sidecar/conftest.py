"""A desk over a fresh ledger, its service on a real socket, and a client that says it came over a wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.egress.upstream import open_unix
from boatwright.ledger import Ledger
from boatwright.sidecar import beside, supervise
from boatwright.sidecar.desk import Desk, Patience
from boatwright.values.asking import Ask, AskState
from boatwright.values.clock import SystemClock, SystemIds

QUICK = Patience(wait=30.0, look=0.01)


@contextlib.contextmanager
def killed_at(point: str) -> Iterator[None]:
    """What is in the block dies at that crash point, as a process does: nothing after it is done."""

    class Killed(BaseException):
        """The process is gone."""

    def die(name: str) -> None:
        if name == point:
            raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(crash, "point", die)
        yield


async def post(socket: str, path: str, body: bytes, *headers: str, wire: str = "w1") -> tuple[int, str]:
    """Status and body of one request."""
    reader, writer = await open_unix(Path(socket))
    lines = [
        f"POST {path} HTTP/1.1", "host: localhost", f"x-boatwright-wire: {wire}", "connection: close",
        "accept: application/json, text/event-stream", "content-type: application/json",
        f"content-length: {len(body)}", *headers, "", "",
    ]  # fmt: skip
    writer.write("\r\n".join(lines).encode() + body)
    try:
        head, _, said = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    return int(head.split()[1]), said.decode()


@dataclass
class Office:
    """A desk, its socket, and an operator of the test's own."""

    state: StateDir
    ledger: Ledger
    desk: Desk
    socket: str = ""
    reached: list[Sequence[str]] = field(default_factory=list)

    async def reach(self, hosts: Sequence[str]) -> None:
        self.reached.append(tuple(hosts))

    async def say(self, **form: Any) -> str:
        return (await post(self.socket, "/ask", json.dumps(form).encode()))[1].strip()

    async def rpc(self, method: str, **params: Any) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, said = await post(
            self.socket, "/mcp", json.dumps(body).encode(), "mcp-protocol-version: 2025-06-18"
        )
        assert status == 200, said
        return json.loads(said)["result"]

    async def waiting(self) -> Ask:
        """The first question that waits, once there is one."""
        while not (found := await asyncio.to_thread(self.ledger.asks.open)):
            await asyncio.sleep(0.005)
        return found[0]

    def close(self, ask: Ask, state: AskState, answer: str = "") -> Ask:
        return self.ledger.asks.close(ask.id, state, answer, by="me")

    def new_desk(self, **more: Any) -> Desk:
        given: dict[str, Any] = {"network": "allow_list", "clock": SystemClock(), "patience": QUICK}
        return Desk(self.ledger.asks, "ex-1", "b", **{**given, **more})

    @contextlib.asynccontextmanager
    async def served(self, wire: str = "w1") -> AsyncIterator[str]:
        async with (
            supervise.offered(self.desk, "1") as offer,
            beside.folder(self.state, wire) as directory,
            beside.serving(directory, wire, [offer]) as told,
            self.desk.manned(self.reach, ()),
        ):
            self.socket = told["supervise"].socket
            yield self.socket


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    clock = SystemClock()
    ledger = Ledger.open(StateDir(tmp_path / "s").create(), clock=clock, ids=SystemIds(), producer="test")
    yield ledger
    ledger.close()


@pytest.fixture
def office(ledger: Ledger, tmp_path: Path) -> Office:
    made = Office(StateDir(tmp_path / "s"), ledger, desk=None)  # type: ignore[arg-type]
    made.desk = made.new_desk()
    return made
