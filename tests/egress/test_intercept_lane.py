"""The intercept lane against a real TLS server of a private authority: what is added, stripped, refused, streamed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Any

import h11
import pytest

from boatwright.egress.scrub import Echoed, Scrub, needles
from boatwright.egress.spec import to_json
from boatwright.testing.tls_server import Heard, TlsServer
from boatwright.values.route import Credential, Form, Route, Scheme
from boatwright.values.usage import Cap

NAME = "api.example"
SECRET = "t0ps3cret-of-the-operator"


@pytest.fixture
async def server(tmp_path: Path, bench: Any) -> AsyncIterator[TlsServer]:
    made = TlsServer(tmp_path / "server", NAME, "other.example", "sub.wild.example", "127.0.0.2")
    await made.start()
    asked: list[str] = []

    async def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    bench.proxy.resolve = resolve
    made.resolved = asked
    yield made
    await made.stop()


def route(server: TlsServer, **changes: Any) -> Route:
    given = {"name": "api", "host": NAME, "port": server.port, "ca": str(server.ca)}
    return Route(**{**given, **changes})


TOKEN = Credential("env:KEY")


class Inside:
    """A client in a bottle that has begun TLS with the wire."""

    def __init__(self, client: Any, place: str) -> None:
        self.client, self.place = client, place
        self.h11 = h11.Connection(h11.CLIENT)

    async def ask(
        self, method: str, path: str, *, body: bytes = b"", headers: list[tuple[str, str]] | None = None
    ) -> Any:
        await self.send(method, path, body=body, headers=headers)
        return await self.hear()

    async def send(
        self, method: str, path: str, *, body: bytes = b"", headers: list[tuple[str, str]] | None = None
    ) -> None:
        if self.h11.our_state is h11.DONE:
            self.h11.start_next_cycle()
        sized = [("content-length", str(len(body)))] if body else []
        named = [] if any(name == "host" for name, _ in headers or ()) else [("host", self.place)]
        request = h11.Request(method=method, target=path, headers=[*named, *sized, *(headers or ())])
        for event in (request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage()):
            self.client.writer.write(self.h11.send(event) or b"")
        await self.client.writer.drain()

    async def event(self) -> Any:
        while (event := self.h11.next_event()) is h11.NEED_DATA:
            self.h11.receive_data(await self.client.reader.read(65536))
        return event

    async def hear(self) -> Heard:
        head, parts = None, []
        while not isinstance(event := await self.event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            else:
                raise EOFError
        assert head is not None
        names = {name.decode(): value.decode() for name, value in head.headers}
        return Heard(head.status_code, names, b"".join(parts))


def trusting(bench: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=bench.proxy.authority.pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


async def inside(bench: Any, place: str, *, name: str = "") -> Inside:
    client = await bench.client()
    client.writer.write(f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n\r\n".encode())
    head = await client.reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    await client.writer.start_tls(trusting(bench), server_hostname=name or place.rpartition(":")[0])
    return Inside(client, place)


async def opened(bench: Any, server: TlsServer, *routes: Route, **changes: Any) -> Inside:
    await bench.open(routes=routes or (route(server),), upstreams=(), **changes)
    for one in routes:
        if one.credential:
            bench.proxy._wires["w1"].hand_over(bench.proxy._wires["w1"].spec, {one.held_as: SECRET})
    return await inside(bench, f"{(routes or (route(server),))[0].host}:{server.port}")


@pytest.mark.parametrize(
    ("credential", "header", "value"),
    [
        (Credential("env:K"), "authorization", f"Bearer {SECRET}"),
        (Credential("env:K", form=Form.BASIC, user="me"), "authorization",
         "Basic " + base64.b64encode(f"me:{SECRET}".encode()).decode()),
        (Credential("env:K", header="private-token", form=Form.PLAIN), "private-token", SECRET),
    ],
)  # fmt: skip
async def test_our_credential_goes_and_the_clients_own_stay(
    bench: Any, server: TlsServer, credential: Credential, header: str, value: str
) -> None:
    client = await opened(bench, server, route(server, credential=credential))
    own = [("authorization", "Bearer mine"), ("x-api-key", "mine"), ("cookie", "session=mine"),
           ("private-token", "mine"), ("x-harmless", "stays"), ("connection", "x-hop, keep-alive"),
           ("x-hop", "1"), ("proxy-authorization", "Basic x")]  # fmt: skip
    answer = await client.ask("GET", "/who?page=2", headers=own)
    assert answer.status == 200
    (asked,) = server.asked
    assert asked.target == "/who?page=2" and asked.headers[header] == value
    assert asked.headers["x-harmless"] == "stays" and asked.headers["host"] == f"{NAME}:{server.port}"
    assert "mine" not in json.dumps(asked.headers)
    assert not {"x-hop", "proxy-authorization", "cookie"} & set(asked.headers)


async def test_without_a_credential_the_clients_own_headers_pass(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, paths=("/open",)))
    assert (await client.ask("GET", "/open/x", headers=[("authorization", "Bearer own")])).status == 200
    assert server.asked[0].headers["authorization"] == "Bearer own"


async def test_only_http_1_is_offered(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    assert client.client.writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_paths_and_methods_are_held(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, paths=("/simple",), methods=("GET",)))
    assert (await client.ask("GET", "/simple/x")).status == 200
    assert (await client.ask("HEAD", "/simple/x")).status == 200
    for method, path in (("GET", "/other"), ("POST", "/simple/x"), ("GET", "/simple/../other"),
                         ("GET", "/simple/%2e%2e/other"), ("GET", "/simple%2f..%2fother")):  # fmt: skip
        refused = await client.ask(method, path)
        assert (refused.status, refused.headers["x-boatwright"]) == (403, "denied"), (method, path)
        assert "GET https://api.example" in refused.body.decode()
    assert [asked.target for asked in server.asked] == ["/simple/x", "/simple/x"]
    denials = await bench.denied()  # the first refusal is written first
    assert f"GET {NAME}:{server.port}/other" in {each.target for each in denials}


async def test_another_host_is_misdirected(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    answer = await client.ask("GET", "/", headers=[("host", "other.example")])
    assert answer.status == 421 and server.asked == []


async def test_another_name_in_tls_ends_the_connection(bench: Any, server: TlsServer) -> None:
    await bench.open(routes=(route(server),), upstreams=())
    with pytest.raises((OSError, EOFError)):
        await inside(bench, f"{NAME}:{server.port}", name="other.example")
    await bench.order({"do": "close", "id": "w1"})
    (denial,) = await bench.denied()
    assert (denial.kind, denial.target) == ("denied", "tls")


async def test_what_is_not_tls_does_not_pass(bench: Any, server: TlsServer) -> None:
    await bench.open(routes=(route(server),), upstreams=())
    client = await bench.client()
    place = f"{NAME}:{server.port}"
    client.writer.write(f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n\r\n".encode())
    await client.reader.readuntil(b"\r\n\r\n")
    assert b"HTTP" not in await client.raw(b"GET / HTTP/1.1\r\nhost: api.example\r\n\r\n")
    assert server.asked == []


async def test_a_client_that_does_not_wait_for_the_connect_is_refused(bench: Any, server: TlsServer) -> None:
    await bench.open(routes=(route(server),), upstreams=())
    client = await bench.client()
    place = f"{NAME}:{server.port}"
    answer = await client.raw(f"CONNECT {place} HTTP/1.1\r\nhost: {place}\r\n\r\n\x16\x03\x01".encode())
    assert answer.startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "raw",
    [
        b"POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        b"GET / HTTP/1.1\r\nhost: HOST\r\nx: a\r\n b\r\nhost: HOST\r\n\r\n",
        b"GET / HTTP/1.1\nhost: HOST\nx : y\n\n",
        b"GET / HTTP/1.1\r\nhost: HOST\r\nx : y\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: HOST\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
    ],
)
async def test_what_two_servers_could_read_differently(bench: Any, server: TlsServer, raw: bytes) -> None:
    client = await opened(bench, server)
    place = f"{NAME}:{server.port}".encode()
    answer = await client.client.raw(
        raw.replace(b"HOST", place) + b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    )
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501")) and answer.count(b"HTTP/1.1 ") == 1
    assert server.asked == []


async def test_websockets_are_refused_at_once(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    answer = await client.ask("GET", "/", headers=[("connection", "upgrade"), ("upgrade", "websocket")])
    assert answer.status == 426 and server.asked == []


async def test_bodies_are_streamed_both_ways(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    large = bytes(range(256)) * 20_000
    _, answer = await asyncio.gather(client.send("PUT", "/echo", body=large), client.hear())
    assert answer.status == 200 and answer.body == large
    client.h11.start_next_cycle()
    head = h11.Request(
        method="POST", target="/echo", headers=[("host", client.place), ("transfer-encoding", "chunked")]
    )
    for event in (head, h11.Data(data=b"one "), h11.Data(data=b"two"), h11.EndOfMessage()):
        client.client.writer.write(client.h11.send(event) or b"")
    assert (await client.hear()).body == b"one two"
    assert server.connections == 1, "one connection of a client is one connection there"


async def test_an_answer_before_the_body_has_come_is_heard(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    head = h11.Request(
        method="PUT", target="/early", headers=[("host", client.place), ("content-length", "1000000")]
    )
    client.client.writer.write(client.h11.send(head) or b"")
    answer = await client.hear()
    assert answer.status == 413
    assert (await (await inside(bench, client.place)).ask("GET", "/")).status == 200


async def test_an_answer_that_breaks_off_is_not_taken_for_whole(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    with pytest.raises((EOFError, OSError, h11.RemoteProtocolError)):
        await client.ask("GET", "/broken")


async def test_events_arrive_as_they_are_said(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, credential=TOKEN))
    await client.send("GET", "/events")
    assert isinstance(await client.event(), h11.Response)
    for number in range(3):
        server.say.put_nowait(b"data: %d\n\n" % number)
        assert bytes((await client.event()).data) == b"data: %d\n\n" % number
    server.say.put_nowait(b"")
    assert isinstance(await client.event(), h11.EndOfMessage)


async def test_a_kept_connection_that_went_away_is_replaced(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    assert (await client.ask("GET", "/last")).status == 200
    assert (await client.ask("GET", "/")).status == 200
    assert server.connections == 2


async def test_redirects_are_the_clients_to_follow(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    answer = await client.ask("GET", "/redirect")
    assert answer.status == 302 and answer.headers["location"] == "https://elsewhere.example/"
    asking = await bench.client()
    denied = await asking.raw(
        b"CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    )
    assert denied.startswith(b"HTTP/1.1 403") and "elsewhere.example" not in server.resolved


async def test_sessions_and_secrets_said_back_stay_here(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, credential=TOKEN))
    answer = await client.ask("GET", "/login")
    assert answer.status == 200 and "set-cookie" not in answer.headers
    echoed = await client.ask("GET", "/headers")
    assert echoed.status == 403 and SECRET not in echoed.body.decode()
    with pytest.raises((EOFError, OSError, h11.RemoteProtocolError)):
        await client.ask("GET", "/headers-slowly")


@pytest.mark.parametrize("said", ['key"/one', 'key\\"/one', 'key\\"\\/one'])
def test_a_secret_said_back_is_known_as_json_writes_it_too(said: str) -> None:
    for cut in range(len(said)):
        scrub = Scrub(needles('key"/one'))
        assert scrub.feed(f"ahead {said[:cut]}".encode()) == b"ahead "
        with pytest.raises(Echoed):
            scrub.feed(f"{said[cut:]} after".encode())


async def test_an_authority_that_is_not_trusted(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, ca="", paths=("/",)))
    answer = await client.ask("GET", "/")
    assert answer.status == 502 and "certificate" in answer.body.decode()


async def test_a_refused_head_hears_why(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, rate=1))
    assert (await client.ask("HEAD", "/")).status == 200
    refused = await client.ask("HEAD", "/")
    assert refused.status == 429 and int(refused.headers["retry-after"]) > 0 and refused.body == b""
    assert (await client.ask("GET", "/")).status == 429  # the connection goes on


async def test_a_rate_is_held_by_wire(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server, route(server, rate=2))
    assert [(await client.ask("GET", "/")).status for _ in range(3)] == [200, 200, 429]
    refused = await client.ask("GET", "/")
    assert int(refused.headers["retry-after"]) > 0 and "2 requests a minute" in refused.body.decode()
    await bench.open(routes=(route(server, rate=2),), upstreams=(), id="w2")
    other = await bench.client("w2")
    other.writer.write(f"CONNECT {client.place} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    assert (await other.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_wildcard_reaches_no_private_address(bench: Any, server: TlsServer) -> None:
    wild = route(server, host="*.wild.example")
    await bench.open(routes=(wild,), upstreams=())
    client = await bench.client()
    answer = await client.raw(
        f"CONNECT sub.wild.example:{server.port} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )
    assert answer.startswith(b"HTTP/1.1 403") and b"private" in answer


async def test_plain_http_needs_a_route_that_says_so(bench: Any, server: TlsServer) -> None:
    plain = Route("plain", NAME, server.plain_port, Scheme.HTTP, paths=("/who",), credential=TOKEN)
    await bench.open(routes=(plain,), upstreams=())
    bench.proxy._wires["w1"].hand_over(bench.proxy._wires["w1"].spec, {"route:plain": SECRET})
    place = f"{NAME}:{server.plain_port}"
    ok = await (await bench.client()).raw(
        f"GET http://{place}/who HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\n\r\n".encode()
    )
    assert ok.startswith(b"HTTP/1.1 200") and server.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    for target, host, status in (
        (f"http://{place}/other", place, 403),
        ("http://elsewhere.example/", "elsewhere.example", 403),
        (f"http://{place}/who", "elsewhere.example", 421),
        (f"http://user@{place}/who", place, 403),
    ):
        answer = await (await bench.client()).raw(
            f"GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 %d" % status), target
    refused = await (await bench.client()).raw(
        f"CONNECT {place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )
    assert refused.startswith(b"HTTP/1.1 403")


async def test_a_key_that_is_not_here_yet(bench: Any, server: TlsServer) -> None:
    await bench.open(routes=(route(server, credential=Credential("env:KEY")),), upstreams=())
    client = await inside(bench, f"{NAME}:{server.port}")
    answer = await client.ask("GET", "/")
    assert (answer.status, answer.headers["x-boatwright"]) == (503, "credential") and server.asked == []


async def test_a_metered_route_is_a_call_like_any_other(bench: Any, server: TlsServer) -> None:
    metered = route(server, meter="anthropic", credential=Credential("env:KEY"))
    client = await opened(bench, server, metered, prices={"m": {"input": "1", "output": "1"}})
    body = json.dumps(
        {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
    ).encode()
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    answer = await client.ask("POST", "/v1/messages", body=body, headers=[("x-api-key", "own")])
    assert answer.status == 200, answer.body
    assert server.asked[-1].headers["x-api-key"] == SECRET
    (row,) = [row for row in await bench.settled(count=1) if row.source == "provider"]
    assert (row.usage.input, row.usage.output) == (11, 7)
    for path in ("/v1/models", "/v1/files", "/anything"):
        assert (await client.ask("GET", path)).status == 404, "no path past the meter"
    asked = len(server.asked)
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=10))
    refused = await client.ask("POST", "/v1/messages", body=body)
    assert refused.headers["x-boatwright"] == "budget" and len(server.asked) == asked


async def test_a_cut_wire_ends_what_runs_in_it(bench: Any, server: TlsServer) -> None:
    client = await opened(bench, server)
    await client.send("GET", "/events")
    assert isinstance(await client.event(), h11.Response)
    await bench.order({"do": "cut", "id": "w1"})
    with contextlib.suppress(OSError, h11.RemoteProtocolError):
        assert isinstance(await client.event(), h11.ConnectionClosed)
    again = await bench.client()
    assert b" 403 " in await again.raw(
        f"CONNECT {client.place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )


async def reload(bench: Any, *routes: Route, **keys: str) -> Any:
    rows = [asdict(each) for each in routes]
    return (await bench.order({"do": "reload", "routes": rows, "keys": keys}))["ok"]["wires"]


async def test_a_reload_denies_from_the_next_request_on_and_drops_no_stream(
    bench: Any, server: TlsServer
) -> None:
    streaming = await opened(bench, server, route(server))
    await streaming.send("GET", "/events")
    assert isinstance(await streaming.event(), h11.Response)
    server.say.put_nowait(b"data: before\n\n")
    assert bytes((await streaming.event()).data) == b"data: before\n\n"
    other = await inside(bench, streaming.place)
    assert (await other.ask("GET", "/who")).status == 200

    assert await reload(bench, route(server, paths=("/events",))) == [
        {"wire": "w1", "execution": "ex-1", "changed": 1, "gone": []}
    ]
    refused = await other.ask("GET", "/who")
    assert (refused.status, refused.headers["x-boatwright"]) == (403, "denied"), "on a connection made before"

    assert (await reload(bench))[0]["gone"] == ["api"]
    assert (await other.ask("GET", "/events")).status == 403
    again = await (await bench.client()).raw(
        f"CONNECT {streaming.place} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
    )
    assert again.startswith(b"HTTP/1.1 403")
    server.say.put_nowait(b"data: after\n\n")
    assert bytes((await streaming.event()).data) == b"data: after\n\n"
    server.say.put_nowait(b"")
    assert isinstance(await streaming.event(), h11.EndOfMessage)
    assert bench.proxy._rows.all()[0].routes == (), "a proxy that restarts follows them too"


async def test_a_worker_that_opens_its_wire_again_takes_back_no_reload(bench: Any, server: TlsServer) -> None:
    await opened(bench, server, route(server, credential=Credential("env:KEY")))
    wire = bench.proxy._wires["w1"]
    before = {"do": "open", "spec": to_json(wire.spec), "keys": {"route:api": "older"}}
    changed = route(server, credential=Credential("env:KEY"), paths=("/narrow",))
    await reload(bench, changed, **{"route:api": "newer"})
    assert (await bench.order({**before, "again": True}))["ok"] == {}
    assert wire.spec.routes == (changed,) and wire.keys["route:api"].reveal() == "newer"
    await reload(bench)
    assert (await bench.order({**before, "again": True}))["ok"] == {}
    assert wire.spec.routes == () == bench.proxy._rows.all()[0].routes
    assert (await bench.order(before))["ok"] == {}
    assert [each.name for each in wire.spec.routes] == ["api"], (
        "who opens it for the first time says what it is"
    )


async def test_a_reload_gives_a_wire_no_route_it_did_not_have(bench: Any, server: TlsServer) -> None:
    await opened(bench, server, route(server, credential=Credential("env:KEY")))
    before = bench.proxy._wires["w1"].keys["route:api"].reveal()
    changed = route(server, credential=Credential("env:KEY"), rate=9)
    await reload(bench, route(server, name="other", host="other.example"), changed)
    spec = bench.proxy._wires["w1"].spec
    assert spec.routes == (changed,) and bench.proxy._wires["w1"].keys["route:api"].reveal() == before
    await reload(bench, changed, **{"route:api": "newer", "route:other": "x"})
    assert bench.proxy._wires["w1"].keys["route:api"].reveal() == "newer"
    assert "route:other" not in bench.proxy._wires["w1"].keys
