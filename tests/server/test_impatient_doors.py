"""A door and those who say little: real sockets, and in each test one limit that is short; the others are an hour."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from boatwright.rules.listening import Place
from boatwright.server import front
from boatwright.server.listener import Door, Listener
from boatwright.server.patience import Limits, Patient

pytestmark = pytest.mark.timeout(60)
HOUR = Limits(head=3_600.0, body=3_600.0, idle=3_600, taking=3_600.0)
SHORT = 0.05
GET = b"GET /ok HTTP/1.1\r\nHost: a\r\n\r\n"
HEAD = b"POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\n"


class App:
    """What stands behind the door."""

    def __init__(self) -> None:
        self.left, self.go, self.waits = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.fast = FastAPI()
        self.fast.add_route("/ok", self.ok)
        self.fast.add_route("/read", self.read, methods=["POST"])
        self.fast.add_route("/later", self.later, methods=["POST"])
        self.fast.add_route("/much", self.much)

    async def ok(self, request: Request) -> Response:
        return Response("ok")

    async def read(self, request: Request) -> Response:
        try:
            return Response(str(len(await request.body())))
        except ClientDisconnect:
            self.left.set()
            raise

    async def later(self, request: Request) -> Response:
        self.waits.set()
        await self.go.wait()
        return await self.read(request)

    async def much(self, request: Request) -> Response:
        return Response(b"x" * (8 << 20))


@asynccontextmanager
async def standing(app: App, limits: Limits) -> AsyncIterator[Listener]:
    listener = Listener(Door(app.fast, Place("127.0.0.1", 0), "--public"), limits)
    listener.open()
    try:
        yield listener
    finally:
        await listener.close()


async def called(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(listener.place.host, listener.place.port)


async def cut(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has ended the connection, whatever it says before."""
    try:
        while await reader.read(1 << 16):
            pass
    except ConnectionError:
        pass


async def trickled(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Say a little, again and again, until nobody is there to hear it."""
    try:
        while True:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(SHORT / 5)
    except ConnectionError:
        pass


async def test_who_says_nothing_is_cut() -> None:
    async with standing(App(), replace(HOUR, head=SHORT)) as listener:
        reader, writer = await called(listener)
        await cut(reader)
        writer.close()


@pytest.mark.parametrize("before", [b"", GET])
async def test_who_never_ends_a_head_is_cut_however_busily(before: bytes) -> None:
    async with standing(App(), replace(HOUR, head=SHORT)) as listener:
        reader, writer = await called(listener)
        if before:
            writer.write(before)
            assert b"200 OK" in await reader.readuntil(b"ok")
        writer.write(b"GET /ok HTTP/1.1\r\n")
        await trickled(writer, b"A: b\r\n")
        await cut(reader)


@pytest.mark.parametrize("path", [b"/read", b"/nowhere"])
async def test_who_never_ends_a_body_is_cut_whether_it_is_read_or_not(path: bytes) -> None:
    app = App()
    async with standing(app, replace(HOUR, body=SHORT)) as listener:
        reader, writer = await called(listener)
        writer.write(HEAD % path)
        await trickled(writer, b"x")
        await cut(reader)
        if path == b"/read":
            await app.left.wait()


async def test_between_two_requests_a_connection_is_kept_for_a_while_only() -> None:
    async with standing(App(), replace(HOUR, idle=0)) as listener:
        reader, writer = await called(listener)
        writer.write(GET)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 OK") and answer.endswith(b"ok")
        writer.close()


async def test_who_does_not_take_the_answer_is_cut() -> None:
    async with standing(App(), replace(HOUR, taking=SHORT)) as listener:
        reader, writer = await called(listener)
        writer.write(GET.replace(b"/ok", b"/much"))
        held = listener._server.server_state.connections
        while not held:
            await asyncio.sleep(0)
        while held:
            await asyncio.sleep(SHORT)
        writer.close()
        assert len(await asyncio.wait_for(_rest(reader), 30)) < 8 << 20


async def _rest(reader: asyncio.StreamReader) -> bytes:
    found = b""
    try:
        while part := await reader.read(1 << 20):
            found += part
    except ConnectionError:
        pass
    return found


async def test_what_waits_for_us_is_not_cut() -> None:
    """A body that we do not read yet: its time may be over, and it is not the other side's fault."""
    app = App()
    async with (
        standing(app, HOUR) as listener,
        httpx2.AsyncClient(base_url=f"http://{listener.place}") as client,
    ):
        asked = asyncio.create_task(client.post("/later", content=b"x" * 400_000))
        await app.waits.wait()
        (held,) = listener._server.server_state.connections
        assert isinstance(held, Patient)
        while not held.flow.read_paused:
            await asyncio.sleep(0)
        held._over()
        app.go.set()
        assert (await asked).text == "400000"


async def test_an_answer_may_take_its_time() -> None:
    app = App()
    async with (
        standing(app, HOUR) as listener,
        httpx2.AsyncClient(base_url=f"http://{listener.place}") as client,
    ):
        asked = asyncio.create_task(client.post("/later", content=b"x"))
        await app.waits.wait()
        (held,) = listener._server.server_state.connections
        assert isinstance(held, Patient) and held._timer is None
        app.go.set()
        assert (await asked).text == "1"


async def test_a_large_body_waits_for_its_turn_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "TURN_SECONDS", SHORT)
    request = Request({"type": "http", "path": "/webhooks/github", "headers": []})
    answer = await front._webhook(None, asyncio.Semaphore(0), request)  # type: ignore[arg-type]
    assert answer.status_code == 503 and answer.headers["retry-after"] == str(front.RETRY_SECONDS)
