"""One request and its answer on their way through the intercept lane, both streamed.

A client's own credentials stay here before ours is added; what only concerns one connection is not passed on.
"""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import h11

from boatwright.egress import scrub
from boatwright.egress.answer import Refused
from boatwright.egress.http1 import Head
from boatwright.egress.inbound import IDLE_SECONDS, Inbound
from boatwright.egress.ordinary import Request
from boatwright.egress.scrub import Echoed, Scrub
from boatwright.egress.upstream import Cut, Link, NotSent
from boatwright.values.route import Credential, Form, Route

UPLOAD_BYTES = 8 << 30

_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade", "expect", "host", "content-length", "http2-settings", "via", "forwarded",
    "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
})  # fmt: skip
_CREDENTIALS = frozenset({
    "authorization", "cookie", "x-api-key", "api-key", "x-goog-api-key", "x-auth-token", "x-access-token",
    "private-token", "job-token", "x-csrf-token", "npm-otp", "x-amz-security-token", "x-vault-token",
})  # fmt: skip
"""What a client might bring of its own; nothing of it goes beside our credential."""
_NOT_BACK = frozenset({b"alt-svc", b"set-cookie2", *(name.encode() for name in _HOP)})
_NOT_BACK_TO_OURS = _NOT_BACK | {b"set-cookie"}
"""A session begun with our credential is ours too."""
_EMPTY = frozenset({204, 304})


def added(credential: Credential, secret: str) -> tuple[str, str]:
    """The header that carries a secret."""
    if credential.form is Form.BASIC:
        pair = base64.b64encode(f"{credential.user}:{secret}".encode()).decode("ascii")
        return credential.header, f"Basic {pair}"
    return credential.header, f"Bearer {secret}" if credential.form is Form.BEARER else secret


@lru_cache(maxsize=256)
def _with(header: str) -> frozenset[str]:
    """What does not go on beside a credential in ``header``."""
    return _HOP | _CREDENTIALS | {header, "accept-encoding"}


@dataclass(frozen=True, slots=True)
class Ours:
    """A credential as it goes beside a request: its header, and what of it may not come back."""

    credential: Credential
    key: str = field(repr=False)
    header: tuple[str, str] = field(repr=False)
    needles: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, credential: Credential, key: str) -> Ours:
        header = added(credential, key)
        return cls(credential, key, header, scrub.needles(key, header[1]))


class Exchange:
    """Use once. ``whole``: both sides were read to their end, so that the connection can carry another."""

    def __init__(self, client: Inbound, request: Request, route: Route, ours: Ours | None) -> None:
        self.client = client
        self.method = request.method.decode("ascii")
        self.status = 0
        self.sent = 0
        self.received = 0
        self.whole = False
        self._request = request
        self._credential = route.credential
        self._added = ours.header if ours else None
        self._scrub = Scrub(ours.needles) if ours else None
        self._names = {name for name, _ in request.headers}
        self.has_body = not self._names.isdisjoint((b"content-length", b"transfer-encoding"))

    # --- the request -------------------------------------------------------------------------------------

    def headers(self, authority: str) -> list[tuple[str, str]]:
        """The client's headers as they go on, then how long its body is, then our credential."""
        gone = _with(self._credential.header) if self._credential else _HOP
        if b"connection" in self._names:
            gone |= self._named_by_connection()
        kept = [
            (name, value.decode("latin-1"))
            for name, value in ((raw.decode("ascii"), value) for raw, value in self._request.headers)
            if name not in gone
        ]
        headers = [("host", authority), *kept, *self._length()]
        if self._added is not None:
            headers += [("accept-encoding", "identity"), self._added]
        return headers

    def _named_by_connection(self) -> set[str]:
        said = (value for name, value in self._request.headers if name == b"connection")
        return {part.strip().lower() for value in said for part in value.decode("latin-1").split(",")}

    def _length(self) -> list[tuple[str, str]]:
        if b"transfer-encoding" in self._names:
            return [("transfer-encoding", "chunked")]
        said = [value for name, value in self._request.headers if name == b"content-length"]
        if said and int(said[0]) > UPLOAD_BYTES:
            raise Refused("too_large", f"an upload may have {UPLOAD_BYTES >> 30} GiB")
        return [("content-length", said[0].decode("ascii"))] if said else []

    # --- both ways ---------------------------------------------------------------------------------------

    async def run(self, link: Link, head: bytes) -> None:
        """Send and relay. ``NoAnswer`` and ``Cut`` are the other side's failures, ``Gone`` the client's."""
        here = self.client.here
        if here is not None:
            await self._at_once(link, head, here)
            return
        await link.send(head)
        if not self.has_body:
            await self.client.end()
            await self._relay(link, await self._heard(link))
            self.whole = True
            return
        upload = asyncio.ensure_future(self._upload(link))
        heard = asyncio.ensure_future(self._heard(link))
        try:
            await self._after(link, upload, heard)
        finally:
            upload.cancel()
            heard.cancel()
            await asyncio.gather(upload, heard, return_exceptions=True)

    async def _at_once(self, link: Link, head: bytes, body: bytes) -> None:
        """A request that is here whole goes on as one write; one that was not taken whole may be answered all the same."""
        self.sent = len(body)
        try:
            await link.send(head + body)
        except NotSent:
            if not body:
                raise
            await self._relay(link, await self._heard(link))
            return
        await self._relay(link, await self._heard(link))
        self.whole = True

    async def _after(self, link: Link, upload: asyncio.Future[None], heard: asyncio.Future[Head]) -> None:
        """Relay the answer when it comes, be it before the whole body was sent: some servers refuse early."""
        both: set[asyncio.Future[Any]] = {upload, heard}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if upload.done() and not isinstance(upload.exception(), NotSent):
            upload.result()
        await self._relay(link, await heard)
        self.whole = upload.done() and upload.exception() is None

    async def _heard(self, link: Link) -> Head:
        await link.peek()
        return await link.head(empty=self.method == "HEAD")

    async def _upload(self, link: Link) -> None:
        chunked = b"transfer-encoding" in self._names
        async for data in self.client.parts(UPLOAD_BYTES):
            self.sent += len(data)
            await link.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        if chunked:
            await link.write(b"0\r\n\r\n")

    # --- the answer --------------------------------------------------------------------------------------

    async def _relay(self, link: Link, head: Head) -> None:
        """The answer, in one piece where it is here already, else as it comes."""
        self.status = head.status
        parts: list[bytes] = []
        while link.ready:
            if (data := await link.data(IDLE_SECONDS)) is None:
                parts.append(self._rest())
                await self.client.answer(head.status, self._back(head), b"".join(parts))
                return
            parts.append(self._taken(data))
        await self._stream(link, head, b"".join(parts))

    async def _stream(self, link: Link, head: Head, begun: bytes) -> None:
        said = h11.Response(status_code=head.status, headers=[*self._back(head), *self._until(head)])
        events: list[h11.Event] = [said, h11.Data(data=begun)] if begun else [said]
        while True:
            if not link.ready and events:
                await self.client.send(*events)  # nothing more has come yet: what there is goes on now
                events = []
            if (data := await link.data(IDLE_SECONDS)) is None:
                break
            if shown := self._taken(data):
                events.append(h11.Data(data=shown))
        if rest := self._rest():
            events.append(h11.Data(data=rest))
        await self.client.send(*events, h11.EndOfMessage())

    def _taken(self, data: bytes) -> bytes:
        self.received += len(data)
        return self._shown(data)

    def _rest(self) -> bytes:
        return self._scrub.rest() if self._scrub else b""

    def _shown(self, data: bytes) -> bytes:
        if self._scrub is None:
            return data
        try:
            return self._scrub.feed(data)
        except Echoed as error:
            if self.client.answering:
                raise Cut from error
            raise Refused(
                "denied", "the answer holds the credential that was added: it stays here", target="credential"
            ) from error

    def _back(self, head: Head) -> list[tuple[bytes, bytes]]:
        """The answer's headers as the client sees them, but for how long its body is; where there is none, what was
        said of it.
        """
        gone = _NOT_BACK_TO_OURS if self._added else _NOT_BACK
        kept = [
            (name, value)
            for name, value in head.headers
            if name not in gone and not (self._scrub and self._scrub.in_text(value))
        ]
        if self.method == "HEAD" or head.status == 304:
            said = [(name, value) for name, value in head.headers if name == b"content-length"]
            kept += said[:1]
        return kept

    def _until(self, head: Head) -> list[tuple[bytes, bytes]]:
        """How a streamed body ends; nothing where none follows."""
        if self.method == "HEAD" or head.status in _EMPTY:
            return []
        if head.chunked or head.length is None:
            return [(b"transfer-encoding", b"chunked")]
        return [(b"content-length", b"%d" % head.length)]
