"""The scripted model's HTTP: h11 on a stream, one request after another on a connection that stays open."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import h11

from boatwright.testing import (
    dialect_anthropic,
    dialect_gemini,
    dialect_openai,
    dialect_responses,
    replying,
)
from boatwright.testing.conversation import Asked, BadRequestError, check_pairs, place_of
from boatwright.testing.scripted import Fault, FaultKind, Loaded
from boatwright.testing.scripted_faults import BillBook, Faults

MAX_BODY = 64 << 20
READ = 1 << 16
ALL = (dialect_anthropic, dialect_openai, dialect_responses, dialect_gemini)
DIALECTS: dict[str, ModuleType] = {path: dialect for dialect in ALL for path in dialect.PATHS}
STATUS = {FaultKind.HTTP_401: 401, FaultKind.HTTP_429: 429, FaultKind.HTTP_500: 500, FaultKind.HTTP_529: 529}

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share: the script, the count of faults, the bill."""

    loaded: Loaded
    faults: Faults
    bills: BillBook


class Closed(Exception):  # not an error: the other side went away
    pass


class Connection:
    """One client."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._http = h11.Connection(h11.SERVER)

    async def serve(self) -> None:
        try:
            while True:
                request = await self._receive()
                await self._dispatch(request)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    return
                self._http.start_next_cycle()
        except (Closed, ConnectionError, h11.ProtocolError):
            return
        finally:
            self._writer.close()

    # --- reading ---

    async def _receive(self) -> Request:
        head = await self._event()
        if not isinstance(head, h11.Request):
            raise Closed
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            body += event.data
            if len(body) > MAX_BODY:
                await self._json(413, {"error": {"message": "the request is too large"}})
                raise Closed
        path = head.target.decode("ascii", "replace").partition("?")[0]
        return Request(head.method.decode("ascii", "replace"), path, bytes(body))

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event  # type: ignore[return-value]  # NEED_DATA is excluded above
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[]))
            self._http.receive_data(await self._reader.read(READ))

    # --- answering ---

    async def _dispatch(self, request: Request) -> None:
        if request.method == "GET":
            await self._get(request.path)
        elif request.method == "POST" and (dialect := dialect_of(request.path)) is not None:
            await self._model(request, dialect)
        elif request.method == "POST" and (field := _counted(request.path)):
            await self._json(200, {field: replying.tokens(len(request.body))})
        else:
            await self._unknown(request.path)

    async def _get(self, path: str) -> None:
        if path == "/__ledger":
            await self._json(200, self._service.bills.dump())
        elif path == "/__health":
            await self._json(200, {"ok": True, "script": self._service.loaded.digest})
        elif path == "/v1/models":
            model = {"id": "scripted", "object": "model", "type": "model", "display_name": "scripted"}
            await self._json(200, {"object": "list", "data": [model], "has_more": False})
        else:
            await self._unknown(path)

    async def _unknown(self, path: str) -> None:
        served = ", ".join(DIALECTS)
        await self._json(
            404, dialect_anthropic.error(404, f"{path} is not served here; served are: {served}")
        )

    async def _model(self, request: Request, dialect: ModuleType) -> None:
        try:
            asked = _asked(request, dialect)
            place = place_of(asked)
            said = replying.answer(self._service.loaded, asked, place)
        except BadRequestError as error:
            await self._json(400, dialect.error(400, str(error)))
            return
        fault = self._service.faults.next(place)
        if fault is not None and fault.kind is FaultKind.GARBAGE:
            said = replying.garbage(asked)
        status = STATUS.get(fault.kind, 200) if fault else 200
        self._service.bills.write(dialect.NAME, asked, place, said.bill, fault=fault, status=status)
        await self._answer(dialect, asked, said, fault, status)

    async def _answer(
        self, dialect: ModuleType, asked: Asked, said: replying.Answer, fault: Fault | None, status: int
    ) -> None:
        kind = fault.kind if fault else None
        if status != 200:
            await self._json(status, dialect.error(status, f"scripted fault {kind}"), _retry_after(fault))
            return
        if kind is FaultKind.NOT_PROTOCOL:
            await self._parts("text/html", [b"<html>not the ", b"protocol</html>"], None, stream=False)
            return
        usage = kind is not FaultKind.NO_USAGE
        if asked.stream:
            frames = list(dialect.events(asked, said, usage=usage))
            await self._parts("text/event-stream", frames, fault, stream=True)
        else:
            body = json.dumps(dialect.whole(asked, said, usage=usage)).encode()
            await self._parts(
                "application/json", [body[: len(body) // 2], body[len(body) // 2 :]], fault, stream=False
            )

    async def _parts(self, kind: str, parts: Sequence[bytes], fault: Fault | None, *, stream: bool) -> None:
        """Send the answer part by part, and let the fault happen on the way."""
        headers: Headers = [("content-type", kind), ("cache-control", "no-cache")]
        if not stream:
            headers.append(("content-length", str(sum(len(part) for part in parts))))
        await self._send(h11.Response(status_code=200, headers=headers))
        if fault is not None and fault.kind in {FaultKind.CUT_STREAM, FaultKind.HANG}:
            await self._write(parts[: max(len(parts) // 2, 1)])
            if fault.kind is FaultKind.HANG:
                await self._until_gone()
            raise Closed
        pause = fault.seconds / len(parts) if fault is not None and fault.kind is FaultKind.SLOW else 0.0
        await self._write(parts, pause=pause)
        await self._send(h11.EndOfMessage())

    async def _write(self, parts: Iterable[bytes], *, pause: float = 0.0) -> None:
        for part in parts:
            if pause:
                await asyncio.sleep(pause)
            await self._send(h11.Data(data=part))

    async def _until_gone(self) -> None:
        while await self._reader.read(READ):
            pass

    async def _json(self, status: int, body: Any, extra: Headers | None = None) -> None:
        raw = json.dumps(body).encode()
        headers: Headers = [
            ("content-type", "application/json"),
            ("content-length", str(len(raw))),
            *(extra or []),
        ]
        await self._send(h11.Response(status_code=status, headers=headers))
        await self._send(h11.Data(data=raw))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


def dialect_of(path: str) -> ModuleType | None:
    """The protocol that is spoken at ``path``."""
    return dialect_gemini if dialect_gemini.stated(path) else DIALECTS.get(path)


def _counted(path: str) -> str:
    """The field that answers a request to count tokens; empty for any other path."""
    if dialect_gemini.counts(path):
        return "totalTokens"
    return "input_tokens" if path in {"/v1/messages/count_tokens", "/v1/responses/input_tokens"} else ""


def _asked(request: Request, dialect: ModuleType) -> Asked:
    try:
        body = json.loads(request.body)
    except ValueError as error:
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    body |= dialect_gemini.stated(request.path) or {}
    digest = hashlib.sha256(request.body).hexdigest()[:20]
    asked: Asked = dialect.parse(body, size=len(request.body), fingerprint=digest)
    check_pairs(asked.messages)
    return asked


def _retry_after(fault: Fault | None) -> Headers:
    if fault is None or fault.retry_after is None:
        return []
    return [("retry-after", str(fault.retry_after))]
