"""The ordinary request: what is taken here is what h11 reads, and whatever else becomes of it is h11's."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.egress import ordinary
from boatwright.egress.inbound import Inbound

GET = b"GET /simple/ HTTP/1.1\r\nhost: h\r\n\r\n"
POST = b"POST /v1?a=b HTTP/1.1\r\nHost: h\r\nX-A:  b c\t\r\ncontent-length: 2\r\n\r\n{}"
CALL = json.dumps({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}).encode()


@pytest.mark.parametrize("raw", [GET, POST, GET.replace(b"host: h", b"host: h\r\nconnection: Keep-Alive")])
def test_taken(raw: bytes) -> None:
    assert ordinary.read(raw) is not None


@pytest.mark.parametrize(
    "raw",
    [
        GET[:-1],
        GET + GET,
        GET + b"x",
        POST[:-1],
        POST + b"x",
        GET.replace(b"\r\n", b"\n"),
        GET.replace(b"host: h\r\n", b""),
        GET.replace(b"host: h", b"host: h\r\nhost: h"),
        GET.replace(b"host: h", b"host : h"),
        GET.replace(b"host: h", b"host: h\r\n folded"),
        GET.replace(b"host: h", b"host: h\x00"),
        GET.replace(b"host: h", b"host: h\r\nconnection: close"),
        GET.replace(b"host: h", b"host: h\r\nconnection: keep-alive, x-a"),
        GET.replace(b"host: h", b"host: h\r\nupgrade: websocket"),
        GET.replace(b"host: h", b"host: h\r\nexpect: 100-continue"),
        GET.replace(b"host: h", b"host: h\r\ntransfer-encoding: chunked"),
        GET.replace(b"host: h", b"host: h\r\n" + b"x: y\r\n" * ordinary.MOST_HEADERS + b"z: z"),
        GET.replace(b"/simple/", b"/a b"),
        GET.replace(b"/simple/", b"/\x0b"),
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET.replace(b"GET", b"CONNECT"),
        GET.replace(b"GET", b"get"),
        POST.replace(b"content-length: 2", b"content-length: 2\r\ncontent-length: 2"),
        POST.replace(b"content-length: 2", b"content-length: +2"),
        POST.replace(b"content-length: 2", b"content-length: 2, 2"),
        POST.replace(b"content-length: 2", b"content-length: 0x2"),
        POST.replace(b"content-length: 2", b"content-length: 2\r\ntransfer-encoding: chunked"),
        b"",
        b"\r\n\r\n",
    ],
)
def test_left_to_h11(raw: bytes) -> None:
    assert ordinary.read(raw) is None


ODD = st.sampled_from([
    b" ", b"\t", b":", b"\r", b"\n", b"\r\n", b"\x00", b"\x0b", b"\x7f", b"\xa0", b"\xff", b",", b";", b"0", b"chunked", b"\r\n\r\n",
])  # fmt: skip
LINES = st.sampled_from([
    b"host: h", b"Host:h", b"host: other", b"content-length: 3", b"content-length: 03", b"Content-Length: 3 ",
    b"transfer-encoding: chunked", b"connection: keep-alive", b"connection: close", b"x-a: b", b"x-a:\xe9", b"x-a:", b": x",
    b"expect: 100-continue", b" folded", b"upgrade: x", b"content-length: 3\t",
])  # fmt: skip
STARTS = st.sampled_from([
    b"GET / HTTP/1.1", b"POST /a?b=c HTTP/1.1", b"HEAD /%2e HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b"CONNECT h:1 HTTP/1.1",
])  # fmt: skip


@st.composite
def heads(draw: st.DrawFn) -> bytes:
    """A request, often nearly right, sometimes with something odd at any place."""
    raw = b"\r\n".join(
        [draw(STARTS), *draw(st.lists(LINES, max_size=5)), b"", draw(st.sampled_from([b"", b"abc", b"ab"]))]
    )
    if draw(st.booleans()):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(ODD) + raw[at + draw(st.integers(0, 1)) :]
    return raw


@given(heads())
def test_h11_reads_the_same_in_all_that_is_taken(raw: bytes) -> None:
    whole = ordinary.read(raw)
    if whole is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (whole.request.method, whole.request.target)
    assert list(request.headers) == list(whole.request.headers)
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage) and body == whole.body
    assert connection.trailing_data == (b"", False)


@pytest.mark.parametrize(
    "field", [(b"x-a", b"b\r\nset-cookie: c"), (b"x-a", b"b\n"), (b"x a", b"b"), (b"", b"b"), (b"x", b"\x00")]
)
def test_nothing_gets_into_the_head_of_an_answer(field: tuple[bytes, bytes]) -> None:
    assert ordinary.answer(200, [(b"x-a", b"b")]) == b"HTTP/1.1 200 \r\nx-a: b\r\n\r\n"
    with pytest.raises(ValueError, match="may not stand"):
        ordinary.answer(200, [field])


async def test_a_connection_goes_from_the_ordinary_to_the_odd_and_back(bench: Any) -> None:
    await bench.open()
    plain = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (len(CALL), CALL)
    odd = b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (
        len(CALL), CALL,
    )  # fmt: skip
    refused = b"POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
    client = await bench.client()
    statuses = []
    for data in (plain, odd, refused, plain, odd, plain + plain):
        client.writer.write(data)
        for _ in range(1 + (data == plain + plain)):
            head = await client.reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
            await client.reader.readexactly(length)
            statuses.append(int(head.split()[1]))
    assert statuses == [200, 200, 404, 200, 200, 200, 200]
    assert len(bench.budgets.usage("ex-1")) == 6


@pytest.mark.parametrize("more", [b"", b"te: trailers\r\n"])
async def test_the_end_of_a_request_is_heard_again_at_once(more: bytes) -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=ours)
    client = Inbound(reader, writer)
    theirs.sendall(GET.replace(b"host: h\r\n", b"host: h\r\n" + more))
    assert await client.request() is not None
    async with asyncio.timeout(30):  # a second try at the other side asks once more whether it has ended
        await client.end()
        await client.end()
    client.close()
    theirs.close()
