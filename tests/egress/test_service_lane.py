"""The service lane: a path that leads to a socket of the host, with the wire as the only identity."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import h11
import pytest

from boatwright.egress.spec import Service, from_json, to_json

Answer = Callable[["Asked", "Back"], Awaitable[None]]


class Asked:
    """One request as the service got it."""

    def __init__(self, request: h11.Request, body: bytes) -> None:
        self.method, self.target = request.method.decode(), request.target.decode()
        self.headers = [(name.decode(), value.decode()) for name, value in request.headers]
        self.body = body


class Back:
    """What a service may say."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def say(self, raw: bytes) -> None:
        self._writer.write(raw)
        await self._writer.drain()


async def plainly(asked: Asked, back: Back) -> None:
    await back.say(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nset-cookie: a=b\r\nmcp-session-id: s\r\ncontent-length: 5\r\n\r\nhello"
    )


class Host:
    """A service on a unix socket: answers with ``answer``, remembers what it was asked."""

    def __init__(self, path: Path) -> None:
        self.path, self.asked, self.answer = path, [], plainly
        self.asked: list[Asked]
        self.answer: Answer
        self.gone = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection, request, parts = h11.Connection(h11.SERVER), None, []
        with contextlib.suppress(OSError, h11.RemoteProtocolError):
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    connection.receive_data(await reader.read(65536))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.Data):
                    parts.append(bytes(event.data))
                else:
                    return
            assert request is not None
            self.asked.append(Asked(request, b"".join(parts)))
            try:
                await self.answer(self.asked[-1], Back(writer))
            except asyncio.CancelledError:
                self.gone.set()
                raise
        writer.close()


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    host = Host(Path(f"/tmp/bw-service-{os.getpid()}-{tmp_path.name[-20:]}.sock"))
    server = await asyncio.start_unix_server(host.serve, path=str(host.path))
    yield host
    server.close()
    host.path.unlink(missing_ok=True)


async def opened(bench: Any, host: Host, **more: Any) -> Any:
    return await bench.open(services={"notes": Service(str(host.path), **more)})


async def test_a_request_reaches_its_service_with_the_wires_name_and_no_other(bench: Any, host: Host) -> None:
    await opened(bench, host)
    client = await bench.client()
    heard = await client.call(
        "/boatwright/notes/add?x=1", {"a": 1},
        headers=[("x-boatwright-wire", "another"), ("authorization", "Bearer mine"), ("cookie", "c"),
                 ("x-forwarded-for", "1.2.3.4"), ("mcp-protocol-version", "2025-06-18")],
    )  # fmt: skip
    assert (heard.status, heard.body) == (200, b"hello")
    assert heard.headers["mcp-session-id"] == "s"
    assert "set-cookie" not in heard.headers
    asked = host.asked[0]
    assert (asked.method, asked.target, asked.body) == ("POST", "/add?x=1", b'{"a": 1}')
    assert [value for name, value in asked.headers if name == "x-boatwright-wire"] == ["w1"]
    names = {name for name, _ in asked.headers}
    assert "mcp-protocol-version" in names
    assert not names & {"authorization", "cookie", "x-forwarded-for"}


async def test_an_answer_is_handed_on_while_it_comes(bench: Any, host: Host) -> None:
    first_heard = asyncio.Event()

    async def slowly(asked: Asked, back: Back) -> None:
        await back.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        await first_heard.wait()
        await back.say(b"4\r\nlast\r\n0\r\n\r\n")

    host.answer = slowly
    await opened(bench, host)
    client = await bench.client()
    await client.send("/boatwright/notes/x", {})
    seen = b""
    while b"first" not in seen:
        seen += await client.reader.read(65536)
    assert b"last" not in seen
    first_heard.set()
    while b"last" not in seen:
        seen += await client.reader.read(65536)


async def test_several_requests_share_a_connection(bench: Any, host: Host) -> None:
    await opened(bench, host)
    client = await bench.client()
    for _ in range(3):
        assert (await client.call("/boatwright/notes/x", {})).status == 200
    assert len(host.asked) == 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/boatwright/other/x", 404, "unknown"),
        ("/boatwright/notes", 404, "unknown"),
        ("/boatwright//x", 404, "unknown"),
        ("/boatwright/no%74es/x", 404, "unknown"),
        ("/boatwright/../boatwright/notes/x", 404, "unknown"),
    ],
)
async def test_what_is_no_service_is_answered_with_those_there_are(
    bench: Any, host: Host, path: str, status: int, code: str
) -> None:
    await opened(bench, host)
    heard = await bench.call(path, {})
    assert (heard.status, heard.code) == (status, code)
    assert heard.json["error"]["allowed"] == ["/boatwright/notes/"]
    assert not host.asked


async def test_a_wire_without_services_has_none(bench: Any) -> None:
    await bench.open()
    assert (await bench.call("/boatwright/supervise/ask", {})).status == 404


async def test_only_the_methods_that_are_declared_are_taken(bench: Any, host: Host) -> None:
    await opened(bench, host, methods=("GET",))
    assert (await bench.call("/boatwright/notes/x", {})).code == "method"
    assert not host.asked


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_past_its_bound_is_refused(bench: Any, host: Host, chunked: bool) -> None:
    await opened(bench, host, most_bytes=10)
    client = await bench.client()
    body = b"b\r\n" + b"x" * 11 + b"\r\n0\r\n\r\n" if chunked else b"x" * 11
    length = b"transfer-encoding: chunked" if chunked else b"content-length: 11"
    said = await client.raw(
        b"POST /boatwright/notes/x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n" + length + b"\r\n\r\n" + body
    )
    assert said.startswith(b"HTTP/1.1 413 ")
    assert not host.asked


async def test_a_request_with_two_lengths_never_reaches_a_service(bench: Any, host: Host) -> None:
    await opened(bench, host)
    client = await bench.client()
    said = await client.raw(
        b"POST /boatwright/notes/x HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 400 ")
    assert not host.asked


async def test_a_cut_wire_cuts_its_services_and_ends_calls_under_way(bench: Any, host: Host) -> None:
    reached = asyncio.Event()

    async def never(asked: Asked, back: Back) -> None:
        reached.set()
        await asyncio.Event().wait()

    host.answer = never
    await opened(bench, host)
    client = await bench.client()
    await client.send("/boatwright/notes/x", {})
    await reached.wait()
    await bench.order({"do": "cut", "id": "w1"})
    assert not (await client.hear()).whole
    assert (await bench.call("/boatwright/notes/x", {})).code == "cut"


async def test_a_service_that_is_away_is_said_to_be(bench: Any, host: Host) -> None:
    await bench.open(services={"notes": Service(f"{host.path}-none")})
    heard = await bench.call("/boatwright/notes/x", {})
    assert (heard.status, heard.code) == (502, "upstream")


async def test_a_service_that_breaks_off_never_passes_for_whole(bench: Any, host: Host) -> None:
    async def half(asked: Asked, back: Back) -> None:
        await back.say(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    host.answer = half
    await opened(bench, host)
    assert not (await bench.call("/boatwright/notes/x", {})).whole


async def test_every_request_is_counted_and_none_metered(bench: Any, host: Host) -> None:
    await opened(bench, host)
    await bench.call("/boatwright/notes/x", {"a": 1})
    served = [line for line in bench.log() if line["what"] == "served"]
    assert [(s["service"], s["status"], s["sent"], s["received"]) for s in served] == [("notes", 200, 8, 5)]
    assert await asyncio.to_thread(bench.budgets.usage, "ex-1") == []


async def test_services_come_back_from_rows_with_their_wire(bench: Any, host: Host) -> None:
    spec = bench.spec(services={"notes": Service(str(host.path), ("GET",), 7)})
    assert from_json(to_json(spec)) == spec


async def test_a_spec_of_before_services_is_read(bench: Any) -> None:
    old = to_json(bench.spec()).replace('"services":{},', "")
    assert old != to_json(bench.spec())
    assert from_json(old) == bench.spec()
