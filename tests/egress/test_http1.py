"""What we say to providers, and how the head of their answer is read: as strictly as what bottles say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright.egress import http1
from boatwright.egress.upstream import Cut, Link, Origin


def test_a_request_is_one_run_of_bytes() -> None:
    assert http1.post("/v1/messages", [("host", "h"), ("x-api-key", "k é")], b"{}") == (
        b"POST /v1/messages HTTP/1.1\r\nhost: h\r\nx-api-key: k \xe9\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    ("target", "name", "value"),
    [
        ("/v1", "x-api-key", "k\r\nhost: evil"),
        ("/v1", "x-api-key", "k\nx"),
        ("/v1", "x-api-key", "k\rx"),
        ("/v1", "x-api-key", "k\x00x"),
        ("/v1", "x-api-key", "k\u2028"),
        ("/v1", "x api key", "k"),
        ("/v1", "", "k"),
        ("/v1 HTTP/1.1\r\nhost: evil\r\n", "x", "k"),
        ("/with space", "x", "k"),
        ("/v1\x7f", "x", "k"),
    ],
)
def test_nothing_gets_into_a_head_that_may_not_stand_there(target: str, name: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"may not stand|latin-1"):
        http1.post(target, [("host", "h"), (name, value)], b"")


@pytest.mark.parametrize(
    ("raw", "status", "chunked", "length", "keeps"),
    [
        (b"HTTP/1.1 200 OK", 200, False, None, True),
        (b"HTTP/1.1 200", 200, False, None, True),
        (b"HTTP/1.1 529 \r\ncontent-length: 7", 529, False, 7, True),
        (b"HTTP/1.1 200 OK\r\nContent-Length:7\r\ncontent-length: 7 ", 200, False, 7, True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked", 200, True, None, True),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 7", 200, True, 7, False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nConnection: x, Close", 200, False, 7, False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 7", 200, False, 7, False),
        (b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked", 204, False, 0, True),
    ],
)
def test_heads(raw: bytes, status: int, chunked: bool, length: int | None, keeps: bool) -> None:
    head = http1.head(raw)
    assert (head.status, head.chunked, head.length, head.keeps) == (status, chunked, length, keeps)


def test_names_are_lower_case_and_values_are_bare() -> None:
    head = http1.head(b"HTTP/1.1 200 OK\r\nX-A: \t b c \t\r\nx-empty:")
    assert head.headers == [(b"x-a", b"b c"), (b"x-empty", b"")]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"HTTP/2 200 OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 099 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1 200 OK\x00",
        b"HTTP/1.1 200 OK\r\nx-a : b",
        b"HTTP/1.1 200 OK\r\nx-a: b\r\n c: d",
        b"HTTP/1.1 200 OK\r\nx-a: b\ncontent-length: 3",
        b"HTTP/1.1 200 OK\r\nx-a: b\rc",
        b"HTTP/1.1 200 OK\r\n: b",
        b"HTTP/1.1 200 OK\r\nno colon",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3, 3",
        b"HTTP/1.1 200 OK\r\ncontent-length: -3",
        b"HTTP/1.1 200 OK\r\ncontent-length: +3",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0x3",
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 30,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked",
    ],
)
def test_what_two_readers_could_read_differently_is_no_answer(raw: bytes) -> None:
    with pytest.raises(http1.Malformed):
        http1.head(raw)


# --- the connection they come over ---


class Wire:
    """Both ends of a connection to a provider that says ``parts`` one after the other, then ends."""

    async def answer(self, *parts: bytes) -> tuple[Any, bytes, bool]:
        """The status, the body, and whether the connection could carry another call."""

        async def provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            if self.ends:
                writer.close()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(provider, "127.0.0.1", 0)
        address = server.sockets[0].getsockname()
        link = Link(Origin(*address, tls=False), *await asyncio.open_connection(*address))
        try:
            await link.send(http1.post("/", [("host", "h")], b""))
            await link.peek()
            head = await link.head()
            body = b""
            while (data := await link.data()) is not None:
                body += data
            return head.status, body, link.again()
        finally:
            link.close()
            server.close()

    def __init__(self, *, ends: bool) -> None:
        self.ends = ends


def every_cut(raw: bytes) -> list[tuple[bytes, bytes]]:
    return [(raw[:at], raw[at:]) for at in range(1, len(raw), 5)]


WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n"


@pytest.mark.parametrize("raw", [WHOLE, CHUNKED, EARLY + WHOLE], ids=["whole", "chunked", "early"])
async def test_an_answer_is_the_same_wherever_it_is_cut(raw: bytes) -> None:
    for parts in every_cut(raw):
        assert await Wire(ends=False).answer(*parts) == (200, b"hello", True)


async def test_without_a_length_the_body_lasts_until_the_connection_ends() -> None:
    assert await Wire(ends=True).answer(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo") == (200, b"hello", False)


@pytest.mark.parametrize("raw", [WHOLE, CHUNKED], ids=["whole", "chunked"])
async def test_what_comes_after_the_end_is_not_the_next_answer(raw: bytes) -> None:
    assert await Wire(ends=False).answer(raw + b"HTTP/1.1 200 OK\r\n") == (200, b"hello", False)


@pytest.mark.parametrize(
    "raw",
    [
        WHOLE[:-1],
        WHOLE[:20],
        CHUNKED[:-3],
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\nx: y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000,
    ],
)
async def test_an_answer_that_is_not_whole_is_cut(raw: bytes) -> None:
    with pytest.raises(Cut):
        await Wire(ends=True).answer(raw)
