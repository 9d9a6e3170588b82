"""What a hostile client may try on a wire: requests two parsers would read differently, floods, other
lanes.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

GOOD = json.dumps({"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}).encode()


def request(head: str, body: bytes = b"") -> bytes:
    return head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body


REFUSED = {
    "length twice": (
        request("POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 4\ntransfer-encoding: chunked"),
        400,
    ),
    "two lengths": (request("POST /v1 HTTP/1.1\nhost: x\ncontent-length: 3\ncontent-length: 4"), 400),
    "two hosts": (request("POST /v1/messages HTTP/1.1\nhost: x\nhost: y\ncontent-length: 0"), 400),
    "space before colon": (request("POST /v1/messages HTTP/1.1\nhost : x"), 400),
    "folded header": (request("POST /v1/messages HTTP/1.1\nhost: x\nx-a: b\n c: d\ncontent-length : 1"), 400),
    "not http": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "http2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "bare control in target": (b"GET /\x0b HTTP/1.1\r\nhost: x\r\n\r\n", 400),
    "endless header": (b"GET / HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 200_000 + b"\r\n\r\n", 400),
    "many headers": (request("GET / HTTP/1.1\nhost: x\n" + "\n".join(f"x-{n}: 1" for n in range(150))), 400),
    "upgrade": (
        request("GET /v1/responses HTTP/1.1\nhost: x\nconnection: upgrade\nupgrade: websocket"),
        426,
    ),
    "unknown path": (request("POST /v1/files HTTP/1.1\nhost: x\ncontent-length: 0"), 404),
    "path with dots": (request("POST /v1/../v1/messages HTTP/1.1\nhost: x\ncontent-length: 0"), 404),
    "doubled slash": (request("POST //v1/messages HTTP/1.1\nhost: x\ncontent-length: 0"), 404),
    "strange query": (request("POST /v1/messages?x=y HTTP/1.1\nhost: x\ncontent-length: 0"), 404),
    "wrong method": (request("GET /v1/messages HTTP/1.1\nhost: x"), 405),
    "absolute form": (request("GET http://example.com/ HTTP/1.1\nhost: example.com"), 403),
    "metadata service": (request("GET http://169.254.169.254/ HTTP/1.1\nhost: x"), 403),
    "too large": (request(f"POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: {33 << 20}"), 413),
    "not json": (request("POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 2", b"hi"), 400),
    "a list": (request("POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 2", b"[]"), 400),
    "not a number": (request("POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 9", b'{"a":NaN}'), 400),
    "field twice": (request("POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: 15", b'{"a":1, "a":99}'), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_refused_at_once_with_a_reason(bench: Any, name: str) -> None:
    await bench.open()
    data, status = REFUSED[name]
    if name == "too large":
        data += b"x" * (33 << 20)
    if name == "field twice":
        body = b'{"max_tokens":1,"max_tokens":9}'
        data = request(f"POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: {len(body)}", body)
    client = await bench.client()
    if (
        name in {"wrong method", "unknown path", "path with dots", "doubled slash", "strange query"}
        or status == 403
    ):
        data = data.replace(b"\r\nhost:", b"\r\nconnection: close\r\nhost:", 1)
    if status == 400 and name in {"not json", "a list", "not a number", "field twice"}:
        data = data.replace(b"\r\nhost:", b"\r\nconnection: close\r\nhost:", 1)
    answer = await client.raw(data)
    assert answer.startswith(b"HTTP/1.1 %d" % status), answer[:300]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]
    assert bench.provider.asked == []


async def test_a_denial_names_what_is_allowed(bench: Any) -> None:
    await bench.open(network="allow_list", hosts=("files.example",))
    client = await bench.client()
    answer = await client.raw(request("GET http://example.com/ HTTP/1.1\nhost: x\nconnection: close"))
    error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
    assert error["allowed"] == [
        "POST /v1/messages",
        "POST /v1/chat/completions",
        "POST /v1/responses",
        "CONNECT files.example",
    ]


async def test_two_requests_in_one_write_are_two_calls(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    one = request(f"POST /v1/messages HTTP/1.1\nhost: x\ncontent-length: {len(GOOD)}", GOOD)
    last = request(
        f"POST /v1/messages HTTP/1.1\nhost: x\nconnection: close\ncontent-length: {len(GOOD)}", GOOD
    )
    answer = await client.raw(one + last)
    assert answer.count(b"HTTP/1.1 200") == 2
    assert len(bench.budgets.usage("ex-1")) == 2


async def test_a_smuggled_second_request_in_a_body_stays_a_body(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    inner = request("GET http://evil.example/ HTTP/1.1\nhost: evil")
    body = json.dumps({**json.loads(GOOD), "system": inner.decode()}).encode()
    answer = await client.raw(
        request(f"POST /v1/messages HTTP/1.1\nhost: x\nconnection: close\ncontent-length: {len(body)}", body)
    )
    assert answer.count(b"HTTP/1.1 ") == 1
    (asked,) = bench.provider.asked
    assert asked.target == "/v1/messages"


async def test_a_header_cannot_choose_the_upstream(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    heard = await client.call(
        "/v1/messages", GOOD, headers=[("x-forwarded-host", "evil"), ("forwarded", "host=evil")]
    )
    assert heard.status == 200
    assert bench.provider.asked[0].headers["host"] == "localhost"


async def test_a_gzip_bomb_is_refused(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    bomb = gzip.compress(b" " * (200 << 20), 9)
    heard = await client.call("/v1/messages", bomb, headers=[("content-encoding", "gzip")])
    assert (heard.status, heard.code) == (413, "too_large")


async def test_expect_continue_is_answered(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    head = "POST /v1/messages HTTP/1.1\nhost: x\nexpect: 100-continue\nconnection: close"
    client.writer.write(request(f"{head}\ncontent-length: {len(GOOD)}"))
    assert b"100" in await client.reader.readuntil(b"\r\n\r\n")
    assert b"HTTP/1.1 200" in await client.raw(GOOD)


async def test_denials_are_counted_not_piled_up(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    for _ in range(3):
        await client.call("/nope", {})
    for number in range(230):
        await client.call(f"/nope/{number}", {})
    await bench.order({"do": "close", "id": "w1"})
    denials = await bench.denied()
    counts = {denial.target: denial.count for denial in denials}
    assert counts["/nope"] == 3
    assert len(denials) == 201 and counts["(others)"] == 31
