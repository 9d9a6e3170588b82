"""A model provider under the test's control, a proxy inside the test's event loop, and a bottle's view of
a wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h11
import pytest

from boatwright.config.paths import StateDir
from boatwright.egress import control, wires
from boatwright.egress.budget import Budgets
from boatwright.egress.proxy import Proxy
from boatwright.egress.spec import Upstream, WireSpec, to_json
from boatwright.egress.upstream import open_unix
from boatwright.values.clock import SystemClock, SystemIds

OnCall = Callable[["Asked", "Say"], Awaitable[None]]


@dataclass
class Asked:
    """One request as the provider got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: Any
    connection: int


class Say:
    """What a provider may do with a call."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.open = True

    async def whole(self, body: Any, status: int = 200, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        kind = headers.pop("content_type", "application/json")
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(raw)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
        await self.writer.drain()

    async def stream(self, events: Sequence[bytes], *, end: bool = True, **headers: str) -> None:
        lines = ["HTTP/1.1 200 OK", "content-type: text/event-stream", "transfer-encoding: chunked"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        for event in events:
            await self.chunk(event)
        if end:
            self.writer.write(b"0\r\n\r\n")
            await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        self.writer.write(b"%x\r\n%s\r\n" % (len(data), data))
        await self.writer.drain()

    def hang_up(self) -> None:
        self.writer.transport.abort()
        self.open = False


class Provider:
    """A fake provider on a unix socket: answers with ``on_call``, remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[Asked] = []
        self.on_call: OnCall = answer_plainly
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, path=str(self.path))

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        with contextlib.suppress(OSError, asyncio.CancelledError, EOFError):
            while asked := await _hear(reader, number):
                self.asked.append(asked)
                say = Say(writer)
                await self.on_call(asked, say)
                if not say.open:
                    break
        writer.close()


async def _hear(reader: asyncio.StreamReader, number: int) -> Asked | None:
    connection = h11.Connection(h11.SERVER)
    parts: list[bytes] = []
    request: h11.Request | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            connection.receive_data(data)
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            assert request is not None
            headers = {name.decode(): value.decode() for name, value in request.headers}
            body = json.loads(b"".join(parts))
            return Asked(request.method.decode(), request.target.decode(), headers, body, number)
        else:
            return None


ANTHROPIC_USAGE = {"input_tokens": 11, "output_tokens": 7}
OPENAI_USAGE = {"prompt_tokens": 13, "completion_tokens": 5, "total_tokens": 18}


def sse(data: Any, event: str = "") -> bytes:
    raw = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {event}\n" if event else "").encode() + f"data: {raw}\n\n".encode()


def anthropic_events(text: str = "hello", usage: dict[str, Any] | None = None) -> list[bytes]:
    usage = usage or ANTHROPIC_USAGE
    start = {**usage, "output_tokens": 1}
    return [
        sse({"type": "message_start", "message": {"id": "m", "usage": start}}, "message_start"),
        sse(
            {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}},
            "content_block_delta",
        ),
        sse(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            "message_delta",
        ),
        sse({"type": "message_stop"}, "message_stop"),
    ]


def openai_events(text: str = "hello", usage: dict[str, Any] | None = None) -> list[bytes]:
    return [
        sse({"choices": [{"index": 0, "delta": {"content": text}}], "usage": None}),
        sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None}),
        sse({"choices": [], "usage": usage or OPENAI_USAGE}),
        sse("[DONE]"),
    ]


async def answer_plainly(asked: Asked, say: Say) -> None:
    """What a provider in good health answers, in either protocol, streamed if asked."""
    if "messages" in asked.target:
        if asked.body.get("stream"):
            await say.stream(anthropic_events())
        else:
            await say.whole({"type": "message", "stop_reason": "end_turn", "usage": ANTHROPIC_USAGE})
    elif asked.body.get("stream"):
        await say.stream(openai_events())
    else:
        await say.whole({"choices": [{"message": {"content": "hello"}}], "usage": OPENAI_USAGE})


@dataclass
class Heard:
    """One answer as a client in a bottle got it. ``whole`` is False when it broke off."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Client:
    """A client in a bottle: one connection to a wire."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._h11 = h11.Connection(h11.CLIENT)

    async def call(self, path: str, body: Any, *, headers: Sequence[tuple[str, str]] = ()) -> Heard:
        await self.send(path, body, headers=headers)
        return await self.hear()

    async def send(self, path: str, body: Any, *, headers: Sequence[tuple[str, str]] = ()) -> None:
        if self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [
            ("host", "wire.local"),
            ("content-type", "application/json"),
            ("content-length", str(len(raw))),
        ]
        request = h11.Request(method="POST", target=path, headers=[*lines, *headers])
        for event in (request, h11.Data(data=raw), h11.EndOfMessage()):
            self.writer.write(self._h11.send(event) or b"")
        await self.writer.drain()

    async def hear(self) -> Heard:
        head: h11.Response | None = None
        parts: list[bytes] = []
        while True:
            try:
                event = self._h11.next_event()
                if event is h11.NEED_DATA:
                    self._h11.receive_data(await self.reader.read(65536))
                    continue
            except (h11.RemoteProtocolError, OSError):
                return _heard(head, parts, whole=False)
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return _heard(head, parts, whole=True)
            else:
                return _heard(head, parts, whole=False)

    async def raw(self, data: bytes) -> bytes:
        """Send bytes as they are; what comes back until the proxy closes."""
        self.writer.write(data)
        await self.writer.drain()
        parts = []
        with contextlib.suppress(OSError):
            while part := await self.reader.read(65536):
                parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        self.writer.transport.abort()


def _heard(head: h11.Response | None, parts: list[bytes], *, whole: bool) -> Heard:
    headers = {name.decode(): value.decode() for name, value in head.headers} if head else {}
    return Heard(head.status_code if head else 0, headers, b"".join(parts), whole)


@dataclass
class Bench:
    """A proxy in this event loop, a provider behind it, and ways to use both."""

    state: StateDir
    budgets: Budgets
    proxy: Proxy
    provider: Provider
    task: asyncio.Task[bool]
    clients: list[Client] = field(default_factory=list)

    async def open(self, spec: WireSpec | None = None, **changes: Any) -> WireSpec:
        spec = spec or self.spec(**changes)
        keys = {one.protocol: "sk-real" for one in spec.upstreams if one.secret}
        answer = await self.order({"do": "open", "spec": to_json(spec), "keys": keys})
        assert "ok" in answer, answer
        return spec

    def spec(self, **changes: Any) -> WireSpec:
        socket = str(self.provider.path)
        given: dict[str, Any] = {
            "id": "w1",
            "execution": "ex-1",
            "repository": "repo",
            "provider": "scripted",
            "upstreams": (
                Upstream("anthropic", socket=socket, secret="env:KEY"),
                Upstream("openai", socket=socket, secret="env:KEY"),
            ),
        }
        return WireSpec(**{**given, **changes})

    async def order(self, request: dict[str, Any]) -> dict[str, Any]:
        reader, writer = await open_unix(self.state.run / control.SOCKET)
        try:
            await reader.readline()
            writer.write(json.dumps(request).encode() + b"\n")
            return dict(json.loads(await reader.readline()))
        finally:
            writer.close()

    async def client(self, wire: str = "w1") -> Client:
        client = Client(*await open_unix(wires.directory(self.state, wire) / wires.SOCKET))
        self.clients.append(client)
        return client

    async def call(self, path: str, body: Any, *, wire: str = "w1") -> Heard:
        return await (await self.client(wire)).call(path, body)

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.state.logs / "proxy.log").read_text().splitlines()]

    async def settled(self, execution: str = "ex-1", count: int = 1) -> list[Any]:
        """The usage rows, once there are ``count`` of them."""
        async with asyncio.timeout(20):
            while len(rows := await asyncio.to_thread(self.budgets.usage, execution)) < count:
                await asyncio.sleep(0.005)
        return rows

    async def denied(self, wire: str = "w1") -> list[Any]:
        """What was refused, once there is something: it is written after the answer."""
        async with asyncio.timeout(20):
            while not (rows := await asyncio.to_thread(self.proxy._rows.denials, wire)):
                await asyncio.sleep(0.005)
        return rows


async def started(state: StateDir, budgets: Budgets, **changes: Any) -> tuple[Proxy, asyncio.Task[bool]]:
    """A proxy in this loop that has begun to listen."""
    clock = SystemClock()
    given: dict[str, Any] = {"clock": clock, "ids": SystemIds(clock), "release": "test", "grace": 3600.0}
    proxy = Proxy(state, budgets, **{**given, **changes})
    task = asyncio.create_task(proxy.run())
    async with asyncio.timeout(20):
        while not (state.run / control.SOCKET).exists() and not task.done():
            await asyncio.sleep(0.005)
    return proxy, task


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").create()


@pytest.fixture
async def bench(state: StateDir, tmp_path: Path) -> AsyncIterator[Bench]:
    budgets = Budgets.open(f"sqlite:///{state.root / 'budgets.db'}")
    provider = Provider(Path(f"/tmp/bw-provider-{os.getpid()}-{tmp_path.name[-20:]}.sock"))
    await provider.start()
    proxy, task = await started(state, budgets)
    made = Bench(state, budgets, proxy, provider, task)
    yield made
    for client in made.clients:
        client.close()
    proxy.stop()
    await task
    await provider.stop()
    provider.path.unlink(missing_ok=True)
    budgets.database.dispose()


@pytest.fixture
def helpers() -> Any:
    """This module's own helpers, for tests that write their provider by hand."""

    class Helpers:
        sse = staticmethod(sse)
        anthropic_events = staticmethod(anthropic_events)
        openai_events = staticmethod(openai_events)
        started = staticmethod(started)
        ANTHROPIC_USAGE = ANTHROPIC_USAGE
        OPENAI_USAGE = OPENAI_USAGE
        Provider = Provider

    return Helpers
