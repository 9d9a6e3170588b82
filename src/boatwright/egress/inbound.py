"""The client's side of a wire: strict HTTP/1.1 over its socket. Nothing from inside is believed.

The ordinary request (``ordinary``) and its whole answer pass by h11. Whatever else becomes of one is h11's: it is told
then what was said, and goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import zlib
from collections.abc import AsyncIterator, Sequence

import h11

from boatwright.egress import answer, ordinary, sockets
from boatwright.egress.answer import Refused
from boatwright.egress.ordinary import HEAD_BYTES, MOST_HEADERS, Request, Whole
from boatwright.egress.patience import Patience

BODY_BYTES = 32 << 20
READ_BYTES = 64 * 1024
IDLE_SECONDS = 300.0
BODY_SECONDS = 120.0
LINGER_SECONDS = 2.0
WRITE_SECONDS = 120.0
"""A client that does not read for this long counts as gone."""


_BODILESS = frozenset({204, 304})
_Event = h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]


class Gone(Exception):
    """The client is not there any more."""


class Inbound:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        sockets.write_at_once(writer)
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._patience = Patience()
        self.answering = False
        """Whether an answer has begun, so that a refusal can no longer be sent."""
        self._suspect = False
        self._method = b""
        self._whole: Whole | None = None
        """The request under way, where it is an ordinary one."""
        self._untold = b""
        """Of it: what h11 does not know of. Nothing, once it was answered, or h11 had to be told."""

    async def request(self) -> Request | None:
        """The next request; None when the client is done. ``Refused`` for one that two parsers could read
        differently.
        """
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
        self.answering = False
        self._method = b""
        self._whole = await self._ordinary()
        if self._whole is not None:
            self._method = self._whole.request.method
            return self._whole.request
        event = await self._next(IDLE_SECONDS)
        if not isinstance(event, h11.Request):
            return None
        self._suspect = True
        self._method = event.method
        _check(event)
        self._suspect = False
        return Request(event.method, event.target, tuple(event.headers))

    async def _ordinary(self) -> Whole | None:
        """The next request where it comes as one run of bytes; what comes otherwise is given to h11."""
        if self._h11.trailing_data[0] or self._h11.their_state is not h11.IDLE:
            return None
        data = await self._read(IDLE_SECONDS)
        whole = ordinary.read(data)
        if whole is None:
            self._h11.receive_data(data)
        else:
            self._untold = data
        return whole

    def _tell(self) -> None:
        """Have h11 know the request that was read without it."""
        if self._untold:
            self._h11.receive_data(self._untold)
            self._untold = b""
            while self._h11.their_state is not h11.DONE:
                self._event()

    @property
    def here(self) -> bytes | None:
        """The whole body, where it came with its head."""
        return self._whole.body if self._whole is not None else None

    async def body(self) -> bytes:
        """The whole body, decoded; ``Refused`` when it is too large."""
        if self._whole is not None:
            return self._whole.body
        if self._h11.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        body = bytearray()
        if self._here(body):
            return bytes(body)  # it came with its head, as small ones do
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not self._here(body):
                    await self._more(IDLE_SECONDS)
        except TimeoutError as error:
            raise Gone from error
        return bytes(body)

    async def end(self) -> None:
        """Take note that a request without a body has ended; again: nothing."""
        waits = self._whole is None and self._h11.their_state is h11.SEND_BODY
        if waits and not isinstance(await self._next(IDLE_SECONDS), h11.EndOfMessage):
            raise Gone

    def _here(self, body: bytearray) -> bool:
        """Take what has come of the body; whether that was its end."""
        while isinstance(event := self._event(), h11.Data):
            body += event.data
            if len(body) > BODY_BYTES:
                raise too_large(BODY_BYTES)
        if event is not h11.NEED_DATA and not isinstance(event, h11.EndOfMessage):
            raise Gone
        return event is not h11.NEED_DATA

    async def parts(self, most: int) -> AsyncIterator[bytes]:
        """The body as it comes; ``Refused`` once it is larger than ``most`` bytes."""
        if self._whole is not None:
            if len(self._whole.body) > most:
                raise too_large(most)
            if self._whole.body:
                yield self._whole.body
            return
        if self._h11.they_are_waiting_for_100_continue:
            await self.send(h11.InformationalResponse(status_code=100, headers=[]))
        size = 0
        while isinstance(event := await self._next(IDLE_SECONDS), h11.Data):
            size += len(event.data)
            if size > most:
                raise too_large(most)
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise Gone

    async def _next(self, seconds: float) -> _Event:
        while (event := self._event()) is h11.NEED_DATA:
            await self._more(seconds)
        return event

    def _event(self) -> _Event:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise Refused("invalid", "this is not a request in HTTP/1.1") from error

    async def _more(self, seconds: float) -> None:
        self._h11.receive_data(await self._read(seconds))

    async def _read(self, seconds: float) -> bytes:
        try:
            return await self._patience.read(self.reader, READ_BYTES, seconds)
        except (OSError, TimeoutError) as error:
            raise Gone from error

    async def answer(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a whole answer in one write; how long its body is, is said here. ``Gone`` when nobody reads it."""
        if self._bodiless(status):
            body = b""
        else:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        if not self._untold:
            await self.send(
                h11.Response(status_code=status, headers=list(headers)),
                h11.Data(data=body),
                h11.EndOfMessage(),
            )
            return
        try:
            head = ordinary.answer(status, headers)
        except ValueError as error:
            raise h11.LocalProtocolError("an answer that cannot be passed on") from error
        self._untold = b""
        self.answering = True
        await self._write(head + body)

    def _bodiless(self, status: int) -> bool:
        return self._method == b"HEAD" or status in _BODILESS

    async def send(self, *events: h11.Event) -> None:
        """Send parts of an answer in one write; ``Gone`` when nobody reads it."""
        self._tell()
        data = b"".join(part for event in events if (part := self._h11.send(event)))
        if any(isinstance(event, h11.Response) for event in events):
            self.answering = True
        await self._write(data)

    async def _write(self, data: bytes) -> None:
        self.writer.write(data)
        try:
            await sockets.drain(self.writer, WRITE_SECONDS)
        except (OSError, TimeoutError) as error:
            raise Gone from error

    async def refuse(self, refused: Refused) -> None:
        """Answer with a refusal. The rest of the request is thrown away, so that the client hears the
        answer.
        """
        body = refused.body()
        self._tell()
        unread = self._suspect or not self._heard_all()
        shown = () if self._method == b"HEAD" else (h11.Data(data=body),)
        await self.send(answer.head(refused, len(body), close=unread), *shown, h11.EndOfMessage())
        if unread:
            with contextlib.suppress(Gone, OSError, TimeoutError):
                await self._throw_away()

    def _heard_all(self) -> bool:
        """Whether the request has come whole, as far as it is here already."""
        if self._h11.their_state is h11.SEND_BODY and not self._h11.they_are_waiting_for_100_continue:
            with contextlib.suppress(h11.RemoteProtocolError):
                while isinstance(self._h11.next_event(), h11.Data):
                    pass
        return self._h11.their_state not in {h11.IDLE, h11.SEND_BODY, h11.ERROR}

    async def _throw_away(self) -> None:
        """Closing with bytes unread would reset the connection, and the answer with it."""
        if self.writer.can_write_eof():  # under TLS there is no half of an end
            self.writer.write_eof()
        size = 0
        async with asyncio.timeout(LINGER_SECONDS):
            while size < BODY_BYTES and (data := await self.reader.read(READ_BYTES)):
                size += len(data)

    async def tunnel(self) -> bytes:
        """Answer a CONNECT: from here the bytes are the client's own. Returns those that came already."""
        await self.send(h11.Response(status_code=200, headers=[]))
        return bytes(self._h11.trailing_data[0])

    def hold(self) -> None:
        """Take in nothing more for now: what comes next is not for this side of TLS."""
        self.writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def secure(self, context: ssl.SSLContext, seconds: float) -> Inbound:
        """Answer a CONNECT that is on :meth:`hold`, and end its TLS; what is said inside it.

        ``Gone`` when the client leaves; ``ssl.SSLError`` or ``ValueError`` when what it says is not the TLS
        that ``context`` takes.
        """
        if self._h11.trailing_data[0]:
            raise Refused("invalid", "a client waits for the answer to its CONNECT before it goes on")
        await self.send(h11.Response(status_code=200, headers=[]))
        try:
            async with asyncio.timeout(seconds):
                await self.writer.start_tls(context)
        except ssl.SSLError:
            raise
        except (OSError, EOFError, TimeoutError) as error:
            raise Gone from error
        self._patience.close()
        return Inbound(self.reader, self.writer)

    def go_on(self) -> None:
        """Undo :meth:`hold`."""
        self.writer.transport.resume_reading()  # type: ignore[attr-defined]

    @property
    def gone(self) -> bool:
        """Whether the client has hung up, as far as can be seen without reading."""
        return self.reader.at_eof() or self.writer.is_closing()

    @property
    def reusable(self) -> bool:
        if self._whole is not None and self._h11.their_state is h11.IDLE:
            return not self._untold
        return not self._suspect and self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    def close(self) -> None:
        """End the connection: what was said is delivered; an answer that is not whole is broken off
        audibly.
        """
        self._patience.close()
        if self._h11.our_state is h11.SEND_BODY:
            self.writer.transport.abort()
        else:
            self.writer.close()


def too_large(most: int) -> Refused:
    return Refused("too_large", f"a request body may have {most / (1 << 20):g} MiB")


def header(request: Request, name: bytes) -> bytes:
    """The one value of a header; empty when absent."""
    return next((value for key, value in request.headers if key == name), b"")


def decode(body: bytes, encoding: bytes) -> bytes:
    """A compressed request body as what it says; the bound counts that, not the wire's bytes."""
    if encoding in (b"", b"identity"):
        return body
    if encoding != b"gzip":
        raise Refused("invalid", "a request body may be plain or gzip, nothing else")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(body, BODY_BYTES)
    except zlib.error as error:
        raise Refused("invalid", "the request body is not gzip as it says") from error
    if unpacker.unconsumed_tail:
        raise too_large(BODY_BYTES)
    if not unpacker.eof or unpacker.unused_data:
        raise Refused("invalid", "the request body is not gzip as it says")
    return plain


def _check(request: h11.Request) -> None:
    names = [name for name, _ in request.headers]
    if request.http_version not in (b"1.1", b"1.0"):
        raise Refused("invalid", "this is not a request in HTTP/1.1")
    if len(names) > MOST_HEADERS:
        raise Refused("invalid", f"a request may have {MOST_HEADERS} headers")
    if b"transfer-encoding" in names and b"content-length" in names:
        raise Refused("invalid", "a request says its length twice: Content-Length and Transfer-Encoding")
    _once(names, (b"host", b"content-length", b"transfer-encoding", b"content-encoding", b"content-type"))
    if b"upgrade" in names:
        raise Refused(
            "upgrade", "this wire speaks plain HTTP/1.1: no WebSocket, no upgrade", target="upgrade"
        )


def _once(names: Sequence[bytes], which: Sequence[bytes]) -> None:
    for name in which:
        if names.count(name) > 1:
            raise Refused("invalid", f"a request names {name.decode()} twice")
