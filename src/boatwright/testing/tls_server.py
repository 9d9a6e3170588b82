"""A small HTTPS server with an authority of its own, for trying routes: it remembers what it was asked.

It answers every path; some have a behaviour of their own:

``/echo``            says the body back              ``/events``    server-sent events, as ``say`` is fed
``/headers``         says the request's headers      ``/headers-slowly``  the same, byte by byte
``/login``           sets a cookie                   ``/redirect``  leads to another host
``/early``           413 before the body was read    ``/broken``    breaks off its answer
``/last``            closes the connection after it  ``/v1/messages``  what a model's provider says
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USAGE = {"input_tokens": 11, "output_tokens": 7}
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Heard:
    """One answer as a client got it."""

    status: int
    headers: dict[str, str]
    body: bytes


Answer = tuple[int, list[tuple[str, str]], bytes]
Respond = Callable[[Asked], Answer]


class TlsServer:
    """Listens on loopback, with TLS (``port``) and without (``plain_port``). ``ca`` is the file to trust."""

    def __init__(self, folder: Path, *names: str, respond: Respond | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, chain = certificates(folder, names)
        self.asked: list[Asked] = []
        self.connections = 0
        self.say: asyncio.Queue[bytes] = asyncio.Queue()
        self.port = self.plain_port = 0
        self.resolved: list[str] = []
        self._respond = respond or plainly
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, host: str = "127.0.0.1") -> None:
        for context in (self._context, None):
            self._servers.append(await asyncio.start_server(self._accept, host, 0, ssl=context))
        self.port, self.plain_port = (each.sockets[0].getsockname()[1] for each in self._servers)

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError, h11.RemoteProtocolError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        connection = h11.Connection(h11.SERVER)
        head: h11.Request | None = None
        parts: list[bytes] = []
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(_READ))
            elif isinstance(event, h11.Request):
                head = event
                if head.target == b"/early":
                    break
            elif isinstance(event, h11.Data):
                parts.append(bytes(event.data))
            else:
                return False
        if head is None:
            return False
        names = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        asked = Asked(head.method.decode(), head.target.decode(), names, b"".join(parts))
        self.asked.append(asked)
        special = _SPECIAL.get(asked.target)
        if special is not None:
            return await special(self, asked, writer)
        await _write(writer, self._respond(asked), body=asked.method != "HEAD")
        return asked.target != "/last"


async def _write(writer: asyncio.StreamWriter, answer: Answer, *, body: bool = True) -> None:
    status, headers, content = answer
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    writer.write("\r\n".join([*lines, "", ""]).encode() + (content if body else b""))
    await writer.drain()


def plainly(asked: Asked) -> Answer:
    """What it answers where nobody says otherwise."""
    if asked.target == "/echo":
        return 200, [], asked.body
    if asked.target == "/headers":
        return 200, [], json.dumps(asked.headers).encode()
    if asked.target == "/login":
        return 200, [("set-cookie", "session=begun")], b"welcome"
    if asked.target == "/redirect":
        return 302, [("location", "https://elsewhere.example/")], b""
    if asked.target == "/v1/messages":
        said = {"type": "message", "content": [], "stop_reason": "end_turn", "usage": USAGE}
        return 200, [("content-type", "application/json")], json.dumps(said).encode()
    return 200, [("content-type", "text/plain")], b"here"


async def _events(server: TlsServer, _: Asked, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        await writer.drain()
        event = await server.say.get()
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        if not event:
            return True


async def _slowly(_: TlsServer, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    for byte in json.dumps(asked.headers).encode():
        writer.write(b"1\r\n%c\r\n" % byte)
        await writer.drain()
        await asyncio.sleep(0)
    writer.write(b"0\r\n\r\n")
    return True


async def _early(_: TlsServer, __: Asked, writer: asyncio.StreamWriter) -> bool:
    await _write(writer, (413, [("connection", "close")], b"too much"))
    return False


async def _broken(_: TlsServer, __: Asked, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    await writer.drain()
    return False


_SPECIAL: dict[str, Callable[[TlsServer, Asked, asyncio.StreamWriter], Coroutine[Any, Any, bool]]] = {
    "/events": _events,
    "/headers-slowly": _slowly,
    "/early": _early,
    "/broken": _broken,
}


def certificates(folder: Path, names: tuple[str, ...]) -> tuple[Path, Path]:
    """An authority, and a certificate of it for ``names`` with its key: two files."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("authority of a test")
    ca = _certificate(issuer, issuer, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=0))
    leaf = _certificate(
        _name("server of a test"),
        issuer,
        key,
        ca_key,
        x509.SubjectAlternativeName([_general(n) for n in names]),
    )
    ca_file, chain = folder / "ca.pem", folder / "chain.pem"
    ca_file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(private + leaf.public_bytes(serialization.Encoding.PEM))
    return ca_file, chain


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    says: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(says, critical=isinstance(says, x509.BasicConstraints))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
