"""An answer on its way from the provider to the client: relayed as it comes, read for its usage, settled
before its end.

The client hears the end only after the usage row is durable. A client that leaves is no reason to stop
reading: the figures come last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import h11

from boatwright.egress import scrub
from boatwright.egress.booking import Outcome
from boatwright.egress.hold import Hold
from boatwright.egress.http1 import Head
from boatwright.egress.inbound import Gone, Inbound
from boatwright.egress.meter.protocol import Protocol, Reading, StreamMeter
from boatwright.egress.meter.sse import Splitter, TooLarge, data_of, events
from boatwright.egress.tape import Taping
from boatwright.egress.upstream import ANSWER_SECONDS, Cut, Link, NoAnswer

MOST_BYTES = 64 << 20
"""A whole answer larger than this is cut and charged in full."""

DETACHED_SECONDS = 600.0
MOST_DETACHED = 64
"""How long, and how many at once, answers are read to their end after their client has gone."""

LAST_SECONDS = 5.0
"""How long a provider may take to close a stream that has told everything."""

_PASSED = frozenset({
    b"content-type", b"retry-after", b"request-id", b"x-request-id", b"x-should-retry", b"date",
    b"openai-processing-ms", b"openai-version",
})  # fmt: skip
_PASSED_PREFIXES = (b"anthropic-ratelimit-", b"x-ratelimit-")

BROKEN = (Cut, NoAnswer, TooLarge, zlib.error)
"""What a provider's side of an answer may end in, other than its end."""

MakeOutcome = Callable[[int, Reading | None, bool], Outcome]


@dataclass(slots=True)
class Answer:
    """How an answer went. ``whole`` is read to the end, so that its connection can carry another call."""

    status: int = 0
    source: str = ""
    bytes: int = 0
    whole: bool = False
    client_gone: bool = False


class _Detached:
    """How many answers are being read for nobody, in this process."""

    count = 0


class Relay:
    """One answer. Use once. ``mute``: it is read and settled, and the client hears nothing of it."""

    def __init__(
        self,
        link: Link,
        client: Inbound,
        protocol: Protocol,
        asked_usage: bool,
        *,
        mute: bool = False,
        tape: Taping | None = None,
        key: str | None = None,
    ) -> None:
        self._link = link
        self._client = client
        self._protocol = protocol
        self._asked_usage = asked_usage
        self._mute = mute
        self._tape = tape
        self._key = scrub.spellings(key or "")
        self._answer = Answer()
        self._until: float | None = None

    async def run(self, hold: Hold, outcome: MakeOutcome) -> Answer:
        """Relay, settle, finish. The provider's failures become an outcome; the client's are noted in the
        result.
        """
        try:
            await self._run(hold, outcome)
        except BROKEN:
            await self._settle(hold, outcome(self._answer.status, None, False))
            await self._break_off()
        except BaseException:
            self._link.close()
            raise
        finally:
            if self._until is not None:
                _Detached.count -= 1
        return self._answer

    async def _run(self, hold: Hold, outcome: MakeOutcome) -> None:
        head = await self._link.head()
        self._answer.status = head.status
        passed, unpack = _headers(head)
        headers = [(name, scrub.blot(value, self._key)) for name, value in passed]
        if self._tape is not None:
            self._tape.head(head.status, taped(head))
        kind = next((value for name, value in head.headers if name == b"content-type"), b"")
        if head.status < 300 and kind.lower().startswith(b"text/event-stream"):
            await self._stream(hold, outcome, headers, unpack)
        else:
            await self._whole(hold, outcome, headers, unpack)

    # --- an answer in one piece --------------------------------------------------------------------------

    async def _whole(self, hold: Hold, outcome: MakeOutcome, headers: _Headers, unpack: _Unpack) -> None:
        parts = []
        while (data := await self._next()) is not None:
            parts.append(unpack(data))
            self._answer.bytes += len(parts[-1])
            if self._answer.bytes > MOST_BYTES:
                raise TooLarge
        self._answer.whole = True
        # A provider that turns a key down may say it back: no client of ours has to know it.
        body = scrub.blot(b"".join(parts), self._key)
        status = self._answer.status
        said = _json(body)
        reading = self._protocol.read(said)
        await self._settle(hold, outcome(status, reading, _refused(status, said)))
        if 300 <= status < 400:
            status, headers = 502, []  # where a provider redirects to is nobody's business inside
            body = b""
        await self._whole_to_client(status, headers, body)

    # --- a stream of events ------------------------------------------------------------------------------

    async def _stream(self, hold: Hold, outcome: MakeOutcome, headers: _Headers, unpack: _Unpack) -> None:
        stream = self._protocol.stream(self._asked_usage)
        splitter = Splitter()
        await self._to_client(h11.Response(status_code=self._answer.status, headers=headers))
        try:
            while (data := await self._next(LAST_SECONDS if stream.complete else ANSWER_SECONDS)) is not None:
                shown = self._shown(splitter.feed(unpack(data)), stream)
                if stream.complete:
                    await self._settle(hold, outcome(self._answer.status, stream.reading(), False))
                await self._show(shown)
            self._answer.whole = True
            self._shown(splitter.rest, stream)
        except BROKEN:
            # It broke off, and may have told everything before; after its last event, nothing is missing.
            await self._settle(hold, outcome(self._answer.status, stream.reading(), False))
            if not stream.complete:
                raise
        await self._settle(hold, outcome(self._answer.status, stream.reading(), False))
        await self._show(splitter.rest)
        await self._to_client(h11.EndOfMessage())

    def _shown(self, run: bytes, stream: StreamMeter) -> bytes:
        """Meter a run of events; what of it the client may see. Most runs hold nothing to meter."""
        marks = self._protocol.usage_marks
        if not any(mark in run for mark in marks):
            return run
        seen = [
            event
            for event in events(run)
            if not any(mark in event for mark in marks) or stream.event(data_of(event))
        ]
        return b"".join(seen)

    async def _show(self, data: bytes) -> None:
        self._answer.bytes += len(data)
        if data:
            await self._to_client(h11.Data(data=data))

    # --- both sides --------------------------------------------------------------------------------------

    async def _settle(self, hold: Hold, outcome: Outcome) -> None:
        if not self._answer.source:
            self._answer.source = outcome.source
            await hold.settle(outcome)

    async def _next(self, seconds: float = ANSWER_SECONDS) -> bytes | None:
        if self._until is not None:
            seconds = min(seconds, self._until - asyncio.get_running_loop().time())
            if seconds <= 0:
                raise Cut
        data = await self._link.data(seconds)
        if self._tape is not None and data:
            self._tape.data(data)
        return data

    async def _to_client(self, *events: h11.Event) -> None:
        if not self._deaf:
            with self._detaching():
                await self._client.send(*events)

    async def _whole_to_client(self, status: int, headers: _Headers, body: bytes) -> None:
        if not self._deaf:
            with self._detaching():
                await self._client.answer(status, headers, body)

    @property
    def _deaf(self) -> bool:
        return self._answer.client_gone or self._mute

    @contextlib.contextmanager
    def _detaching(self) -> Iterator[None]:
        try:
            yield
        except Gone:
            self._answer.client_gone = True
            self._detach()

    def _detach(self) -> None:
        """Read on for the figures alone, unless too many do so already."""
        if self._answer.source or self._until is not None:
            return
        _Detached.count += 1
        self._until = asyncio.get_running_loop().time() + DETACHED_SECONDS
        if _Detached.count > MOST_DETACHED:
            raise Cut

    async def _break_off(self) -> None:
        """The provider broke off: a client that heard a beginning must not take it for the whole."""
        self._link.close()
        if self._client.answering:
            self._answer.client_gone = True  # its connection is closed in the middle of the answer
            return
        body = b'{"type":"error","error":{"type":"boatwright_upstream","code":"upstream","message":'
        body += b'"the model provider broke off its answer"}}'
        await self._whole_to_client(502, [(b"content-type", b"application/json")], body)


_Headers = list[tuple[bytes, bytes]]
_Unpack = Callable[[bytes], bytes]


def _headers(head: Head) -> tuple[_Headers, _Unpack]:
    """The headers the client sees, and how to unpack a body that is compressed although we asked for none."""
    passed = [
        (name, value) for name, value in head.headers if name in _PASSED or name.startswith(_PASSED_PREFIXES)
    ]
    encoding = next((value.lower() for name, value in head.headers if name == b"content-encoding"), b"")
    if encoding in (b"gzip", b"x-gzip", b"deflate"):
        return passed, _unpacker()
    if encoding not in (b"", b"identity"):
        passed.append((b"content-encoding", encoding))
    return passed, bytes


def taped(head: Head) -> _Headers:
    """The headers a tape keeps: what the client may see, and what reading the body takes."""
    return [
        (name, value)
        for name, value in head.headers
        if name in _PASSED or name == b"content-encoding" or name.startswith(_PASSED_PREFIXES)
    ]


def _unpacker() -> _Unpack:
    unpacker = zlib.decompressobj(wbits=47)

    def unpack(data: bytes) -> bytes:
        plain = unpacker.decompress(data, MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise TooLarge
        return plain

    return unpack


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _refused(status: int, said: object) -> bool:
    """Whether the provider refused before generating: any 3xx or 4xx, or a 5xx that explains itself in
    JSON.
    """
    return 300 <= status < 500 or (status >= 500 and isinstance(said, dict) and "error" in said)
