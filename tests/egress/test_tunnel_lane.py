"""The tunnel lane against a real TLS server on loopback: policy, addresses, the name inside TLS."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright.egress import clienthello
from boatwright.testing.tls_server import certificates

NAME = "files.example"


@pytest.fixture
async def server(tmp_path: Path, bench: Any) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    """A TLS echo server; ``bench`` resolves every name to it. Its port, and a context that trusts it."""
    authority, chain = certificates(tmp_path, (NAME,))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)

    async def resolve(_: str, __: int) -> list[str]:
        return ["127.0.0.1"]

    bench.proxy.resolve = resolve
    yield listening.sockets[0].getsockname()[1], ssl.create_default_context(cafile=str(authority))
    listening.close()


async def connect(bench: Any, target: str) -> tuple[Any, bytes]:
    client = await bench.client()
    client.writer.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
    return client, await client.reader.readuntil(b"\r\n\r\n")


async def test_bytes_go_both_ways_under_the_clients_own_tls(bench: Any, server: Any) -> None:
    port, trusted = server
    entry = f"{NAME}:{port}"
    await bench.open(network="allow_list", hosts=(entry,), private_hosts=(entry,))
    client, head = await connect(bench, entry)
    assert head.startswith(b"HTTP/1.1 200")
    await client.writer.start_tls(trusted, server_hostname=NAME)
    client.writer.write(b"x" * 300_000)
    assert await client.reader.readexactly(300_000) == b"x" * 300_000


async def test_the_name_inside_tls_must_be_the_one_asked_for(bench: Any, server: Any) -> None:
    port, trusted = server
    trusted.check_hostname = False
    entry = f"{NAME}:{port}"
    await bench.open(network="allow_list", hosts=(entry,), private_hosts=(entry,))
    client, _ = await connect(bench, entry)
    with pytest.raises((OSError, EOFError)):
        await client.writer.start_tls(trusted, server_hostname="elsewhere.example")
    await bench.order({"do": "close", "id": "w1"})
    (denial,) = await bench.denied()
    assert (denial.kind, denial.target) == ("denied", "tls") and "elsewhere.example" in denial.reason


async def test_what_is_not_tls_does_not_pass(bench: Any, server: Any) -> None:
    port, _ = server
    entry = f"{NAME}:{port}"
    await bench.open(network="allow_list", hosts=(entry,), private_hosts=(entry,))
    client, _ = await connect(bench, entry)
    assert await client.raw(b"GET / HTTP/1.1\r\nhost: files.example\r\n\r\n") == b""


async def test_a_private_address_is_refused_unless_an_operator_named_the_host(
    bench: Any, server: Any
) -> None:
    port, _ = server
    await bench.open(network="allow_list", hosts=(f"{NAME}:{port}",))
    _, head = await connect(bench, f"{NAME}:{port}")
    assert head.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "100.64.0.1", "0.0.0.0", "::1", "fd00::1",
     "fe80::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "224.0.0.1", "240.0.0.1"],
)  # fmt: skip
async def test_names_that_lead_to_reserved_addresses(bench: Any, address: str) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        return ["93.184.216.34", address]  # one good address among them helps nobody

    bench.proxy.resolve = resolve
    await bench.open(network="allow_list", hosts=(NAME,))
    _, head = await connect(bench, f"{NAME}:443")
    assert head.startswith(b"HTTP/1.1 403")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("other.example:443", 403),
        ("files.example:22", 403),
        ("files.example.evil.example:443", 403),
        ("127.0.0.1:443", 403),
        ("[::1]:443", 403),
        ("2130706433:443", 400),
        ("0x7f000001:443", 400),
        ("files.example", 400),
        ("files.example:99999", 400),
        ("files.example:0", 400),
        ("a@files.example:443", 400),
    ],
)
async def test_connect_elsewhere(bench: Any, target: str, status: int) -> None:
    await bench.open(network="allow_list", hosts=(NAME,))
    _, head = await connect(bench, target)
    assert head.startswith(b"HTTP/1.1 %d" % status)


async def test_deny_all_leads_nowhere_and_nothing_is_resolved(bench: Any) -> None:
    asked = []

    async def resolve(host: str, _: int) -> list[str]:
        asked.append(host)
        return []

    bench.proxy.resolve = resolve
    await bench.open(hosts=(NAME,))
    _, head = await connect(bench, f"{NAME}:443")
    assert head.startswith(b"HTTP/1.1 403") and asked == []


async def test_the_connection_can_be_used_again_after_a_denial(bench: Any) -> None:
    await bench.open()
    client, _ = await connect(bench, f"{NAME}:443")
    await client.reader.readuntil(b"}}")
    client.writer.write(b"CONNECT other.example:443 HTTP/1.1\r\nhost: x\r\n\r\n")
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 403")


def hello(name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def test_a_hello_is_read_whole_in_pieces_and_over_records() -> None:
    whole = hello("Files.Example")
    assert clienthello.server_name(whole) == "files.example"
    assert all(clienthello.server_name(whole[:cut]) is None for cut in range(len(whole)))
    payload = whole[5:]
    split = b"".join(
        b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
        for part in (payload[start : start + 7] for start in range(0, len(payload), 7))
    )
    assert clienthello.server_name(split) == "files.example"


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x02\x00\x00\x05abcde", b"\x16\x03\x01\x00\x04\x02\x00\x00\x00"]
)
def test_what_is_no_hello(data: bytes) -> None:
    with pytest.raises(clienthello.NotTls):
        clienthello.server_name(data)
