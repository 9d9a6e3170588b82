"""Connections to model providers: kept alive, one call at a time each, HTTP/1.1.

What went wrong tells who pays: :class:`Unreachable` was never sent, :class:`NotSent` was not sent whole,
:class:`NoAnswer` answered no byte, :class:`Cut` ended inside an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import select
import socket
import ssl
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from boatwright import errors
from boatwright.egress import detour, http1, sockets
from boatwright.egress.chunks import Broken, Chunks
from boatwright.egress.detour import NoWay, Via
from boatwright.egress.http1 import Head
from boatwright.egress.patience import Patience
from boatwright.egress.spec import CODEX_PATH, COMPATIBLE, Upstream, WireSpec

CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 600.0
"""How long a provider may be silent."""
KEPT = 64
READ_BYTES = 256 * 1024
HEAD_BYTES = 256 * 1024


class Unreachable(Exception):
    """No connection: nothing was sent."""


class NoAnswer(Exception):
    """The connection ended before the first byte of an answer."""


class NotSent(NoAnswer):
    """The connection went away before the whole call had left: nobody can have answered, or billed, it."""


class Cut(Exception):
    """The answer ended too early, took too long, or is not HTTP."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead. ``path`` is a unix socket; else ``host`` and ``port``, with TLS or on
    loopback; ``via`` is the company's proxy that leads there.
    """

    host: str = ""
    port: int = 0
    tls: bool = True
    path: str = ""
    prefix: str = ""
    ca: str = ""
    """A file of authorities to trust; empty: the system's."""
    addresses: tuple[str, ...] = ()
    """Of the host, where they were judged before; empty: whatever its name leads to."""
    via: Via | None = None

    @property
    def away(self) -> bool:
        """Whether it is on another machine."""
        return not self.path and not _loopback(self.host)

    def target(self, path: str) -> str:
        """``path`` below this origin's own path; a base address may or may not say its version itself."""
        if self.prefix.endswith(("/v1", COMPATIBLE, CODEX_PATH)) and path.startswith("/v1/"):
            return self.prefix + path[3:]
        return self.prefix + path

    @property
    def authority(self) -> str:
        if self.path:
            return "localhost"
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == (443 if self.tls else 80) else f"{name}:{self.port}"


@lru_cache(maxsize=1_024)
def origin(upstream: Upstream) -> Origin:
    """The origin of an upstream; ``errors.BadInput`` unless it is https, http on loopback, or a unix
    socket.
    """
    if upstream.socket:
        return Origin(tls=False, path=upstream.socket)
    try:
        parts = urlsplit(upstream.base)
        port = parts.port
    except ValueError as error:
        raise _bad(upstream) from error
    host = parts.hostname or ""
    plain = parts.scheme == "http" and _loopback(host)
    if not host or parts.username or parts.query or parts.fragment or not (parts.scheme == "https" or plain):
        raise _bad(upstream)
    return Origin(
        host, port or (80 if plain else 443), not plain, prefix=parts.path.rstrip("/"), ca=upstream.ca,
        addresses=upstream.addresses,
    )  # fmt: skip


class Ways(Protocol):
    """Who knows which way out of this host's network leads where."""

    async def detour(self, wire: WireSpec, host: str) -> Via | None:
        """The company's proxy that leads to ``host``; None: straight. ``Refused`` while its credential is not here."""


async def reached(ways: Ways, wire: WireSpec, upstream: Upstream) -> Origin:
    """The origin of an upstream, by the way a wire takes to it."""
    where = origin(upstream)
    way = await ways.detour(wire, where.host) if where.away else None
    return replace(where, via=way) if way else where


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bad(upstream: Upstream) -> errors.BadInput:
    return errors.BadInput(
        f"the address of the {upstream.protocol} provider must be https://HOST, or http:// on loopback, "
        "without user, query or fragment",
        subject=upstream.protocol,
    )


class Link:
    """One connection to an origin."""

    def __init__(self, origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.origin = origin
        self.reused = False
        self._reader = reader
        self._writer = writer
        self._patience = Patience()
        self._heard = False
        self._told: Head | None = None
        # A drained writer has given everything to the kernel: what fails before that was not sent whole.
        sockets.write_at_once(writer)
        self._rest = b""
        """What has come and is not taken yet."""
        self._chunks: Chunks | None = None
        self._left: int | None = 0
        """Of the body; None is until the connection ends."""
        self._keeps = False

    async def send(self, request: bytes) -> None:
        """Send one request whole; ``NotSent`` when the connection goes away before all of it has left."""
        self._heard = False
        self._told = None
        await self.write(request)

    async def peek(self) -> None:
        """Wait for the first byte of the answer; ``NoAnswer`` when none comes."""
        if not self._heard:
            self._rest = await self._read(ANSWER_SECONDS)
        if not self._heard:
            raise NoAnswer

    async def write(self, data: bytes) -> None:
        """Send a part of a request's body; ``NotSent`` when the connection goes away before."""
        try:
            self._writer.write(data)
            await sockets.drain(self._writer, ANSWER_SECONDS)
        except TimeoutError as error:
            raise Cut from error
        except OSError as error:
            raise NotSent from error

    async def head(self, *, empty: bool = False) -> Head:
        """The answer's status and headers; asked again, the same. ``empty``: HEAD was asked, no body follows."""
        if self._told is not None:
            return self._told
        while (head := await self._head()).status < 200:
            if head.status == 101:
                raise Cut  # nobody asked for another protocol
        self._chunks = Chunks() if head.chunked and not empty else None
        self._left = 0 if empty else None if head.chunked else head.length
        self._keeps = head.keeps and (empty or head.chunked or head.length is not None)
        self._told = head
        return head

    async def _head(self) -> Head:
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            if len(self._rest) > HEAD_BYTES or not (more := await self._read(ANSWER_SECONDS)):
                raise Cut
            self._rest += more
        raw, self._rest = self._rest[:end], self._rest[end + 4 :]
        try:
            return http1.head(raw)
        except http1.Malformed as error:
            raise Cut from error

    async def data(self, seconds: float = ANSWER_SECONDS) -> bytes | None:
        """The next bytes of the body; None at its end."""
        if self._chunks is not None:
            return await self._chunked(self._chunks, seconds)
        if self._left == 0:
            return None
        raw, self._rest = self._rest or await self._read(seconds), b""
        if self._left is None:
            return raw or None
        if not raw:
            raise Cut
        body, self._rest = raw[: self._left], raw[self._left :]
        self._left -= len(body)
        return body

    async def _chunked(self, chunks: Chunks, seconds: float) -> bytes | None:
        """As much of a chunked body as has come, at once."""
        raw, self._rest = self._rest, b""
        while not chunks.done:
            if not raw and not (raw := await self._read(seconds)):
                raise Cut
            try:
                body = chunks.feed(raw)
            except Broken as error:
                raise Cut from error
            if body:
                return body
            raw = b""
        return None

    async def _read(self, seconds: float) -> bytes:
        try:
            data = await self._patience.read(self._reader, READ_BYTES, seconds)
        except TimeoutError as error:
            raise Cut from error
        except OSError as error:
            raise (Cut if self._heard else NoAnswer) from error
        self._heard = self._heard or bool(data)
        return data

    @property
    def ready(self) -> bool:
        """Whether more of the body is here already, or its end is known: the next ``data`` does not wait."""
        done = self._chunks.done if self._chunks is not None else self._left == 0
        return bool(self._rest) or done

    def again(self) -> bool:
        """Get ready for another call; False when this connection cannot carry one. Whether it went away meanwhile is
        asked when the call comes.
        """
        ended = self._left == 0 if self._chunks is None else self._chunks.clean
        self.reused = True
        return ended and self._keeps and not self._rest and not self._writer.is_closing()

    @property
    def stale(self) -> bool:
        """Whether it ended, or something came that nobody asked for: both are to be read on its socket."""
        if self._writer.is_closing() or self._reader.at_eof():
            return True
        kept = select.poll()
        kept.register(self._writer.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(kept.poll(0))

    def close(self) -> None:
        self._patience.close()
        self._writer.transport.abort()


class Pool:
    """Idle connections by origin, newest first."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Link]] = {}
        self._tls: dict[str, tuple[int, ssl.SSLContext]] = {}
        """By the file of its authorities, with that file's time; "" are the system's."""

    async def take(self, where: Origin, *, fresh: bool = False) -> Link:
        """A connection to ``where``; ``Unreachable`` when there is none."""
        while not fresh and (kept := self._idle.get(where)):
            link = kept.pop()
            if not link.stale:
                return link
            link.close()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return Link(where, *await self._connect(where))
        except (OSError, TimeoutError, NoWay) as error:
            raise Unreachable(_why(error)) from error

    def give_back(self, link: Link) -> None:
        """Keep a connection whose answer was read to its end; close any other."""
        kept = self._idle.setdefault(link.origin, [])
        if len(kept) < KEPT and link.again():
            kept.append(link)
        else:
            link.close()

    def close(self) -> None:
        for kept in self._idle.values():
            for link in kept:
                link.close()
        self._idle.clear()

    async def _connect(self, where: Origin) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if where.path:
            return await open_unix(Path(where.path))
        secure = self._secure(where.ca) if where.tls else None
        name = where.host if where.tls else None
        if where.via is not None:
            return await _through(where.via, where, secure)
        failure: OSError | None = None
        for address in where.addresses or (where.host,):
            try:
                return await asyncio.open_connection(
                    address, where.port, ssl=secure, server_hostname=name, limit=READ_BYTES
                )
            except OSError as error:
                failure = error
        raise failure or OSError("no address")

    def _secure(self, ca: str) -> ssl.SSLContext:
        """The system's authorities (SSL_CERT_FILE is honoured), or those of a file, read anew when it changes."""
        try:
            changed = Path(ca).stat().st_mtime_ns if ca else 0
            when, made = self._tls.get(ca, (None, None))
            if made is None or when != changed:
                made = ssl.create_default_context(cafile=ca or None)
                made.set_alpn_protocols(["http/1.1"])
                self._tls[ca] = changed, made
        except OSError as error:
            raise Unreachable("the file of authorities for it cannot be used on this host") from error
        return made


async def _through(
    way: Via, where: Origin, secure: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await detour.through(way, where.host, where.port)
    if secure is not None:
        with contextlib.ExitStack() as undo:
            undo.callback(writer.transport.abort)
            await writer.start_tls(secure, server_hostname=where.host)
            undo.pop_all()
    return reader, writer


async def open_unix(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a unix socket whose path may be longer than the 108 bytes an address holds."""
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with contextlib.ExitStack() as undo:
        undo.callback(connected.close)
        directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            await asyncio.get_running_loop().sock_connect(connected, f"/proc/self/fd/{directory}/{path.name}")
        finally:
            os.close(directory)
        streams = await asyncio.open_unix_connection(sock=connected, limit=READ_BYTES)
        undo.pop_all()
        return streams


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, NoWay):
        return str(error)
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return str(getattr(error, "strerror", None) or type(error).__name__)
