"""The one place where a model is called: over the wire's socket, with our own retries and our own words for
failure.

Every failure leaves here as ``errors.Parked`` with a code from ``rules/parking.py`` (``budget``,
``credential``, ``model_unavailable``) or ``context_too_long``, or as ``TimeoutError`` when the time given is
used up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import httpx2
from pydantic_ai import direct
from pydantic_ai.messages import InstructionPart, ModelMessage, ModelResponse
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from boatwright import errors
from boatwright.agents import failures, heavy
from boatwright.agents.protocol import ModelWire

HOST = "http://wire.local"
"""Never resolved: the socket decides where a call goes."""

SENT_HEADERS = frozenset({
    "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding",
    "user-agent", "anthropic-version", "anthropic-beta",
})  # fmt: skip
"""All that leaves: no key, no token, nothing a variable in the environment makes the clients add."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try again. Seconds; the wait doubles from ``first`` to ``cap`` unless the provider names
    one.
    """

    attempts: int = 6
    first: float = 1.0
    cap: float = 60.0
    silence: float = 300.0
    """No byte for this long is a dead call."""
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)

    def wait(self, attempt: int, asked: float | None) -> float:
        """Seconds before attempt ``attempt`` + 1; what the provider asks for counts, up to ``cap``."""
        wait = self.first * 2.0 ** (attempt - 1)
        return min(wait if asked is None else max(asked, 0.0), self.cap)


@dataclass(frozen=True, slots=True)
class Request:
    """One call: the conversation, what the model may use, and how much it may say."""

    messages: Sequence[ModelMessage]
    system: str
    tools: Sequence[ToolDefinition]
    max_output: int
    must_call: bool = False
    """The answer has to be a call of one of the tools."""


class ModelClient:
    """A model behind a wire. Use as ``async with ModelClient(wire) as model``."""

    def __init__(self, wire: ModelWire, patience: Patience | None = None) -> None:
        self._wire = wire
        self._patience = patience or Patience()
        self._protocol = heavy.protocol(wire.protocol)

    async def __aenter__(self) -> Self:
        self._directory = _open(self._wire)
        path = f"/proc/self/fd/{self._directory}/{self._wire.socket.name}"
        self._http = httpx2.AsyncClient(
            # No connection is kept: a wire that was restarted meanwhile must not cost a call.
            transport=httpx2.AsyncHTTPTransport(uds=path, limits=httpx2.Limits(max_keepalive_connections=0)),
            timeout=httpx2.Timeout(self._wire.silence_seconds or self._patience.silence, connect=10.0),
            trust_env=False,
            event_hooks={"request": [_keep_what_is_needed]},
        )
        self._model = self._protocol.model(self._wire.model.asked, HOST, self._http)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        os.close(self._directory)

    async def reply(self, request: Request, *, remaining: Callable[[], float] | None = None) -> ModelResponse:
        """One whole reply. Tried again on 408, 429, 5xx, cut or silent streams and answers that are no
        protocol.

        ``remaining`` tells the seconds left; ``TimeoutError`` when they are used up, also in mid-answer.
        """
        attempt = 1
        while True:
            left = remaining() if remaining is not None else None
            try:
                async with asyncio.timeout(left):
                    return await self._once(request)
            except failures.CAUGHT as error:
                failure, cause = failures.read(error), error
            if not self._worth_another(failure) or attempt >= self._patience.attempts:
                raise failure.parked(attempt, self._wire.model) from cause
            await self._pause(self._patience.wait(attempt, failure.retry_after), remaining)
            if failure.broken and self._wire.revive is not None:
                await self._wire.revive()
            attempt += 1

    def _worth_another(self, failure: failures.Failure) -> bool:
        return failure.again or (failure.broken and self._wire.revive is not None)

    async def _once(self, request: Request) -> ModelResponse:
        parameters = ModelRequestParameters(
            function_tools=[] if request.must_call else list(request.tools),
            output_tools=list(request.tools) if request.must_call else [],
            output_mode="tool" if request.must_call else "text",
            allow_text_output=not request.must_call,
            instruction_parts=[InstructionPart(content=request.system)],
        )
        settings = self._protocol.settings(request.max_output)
        async with direct.model_request_stream(
            self._model, request.messages, model_settings=settings, model_request_parameters=parameters,
            instrument=False,
        ) as stream:  # fmt: skip
            async for _ in stream:
                pass
            response = stream.get()
        if response.finish_reason is None:
            raise failures.CutError("the answer ended before it was whole")
        return response

    async def _pause(self, seconds: float, remaining: Callable[[], float] | None) -> None:
        if remaining is not None and seconds >= remaining():
            raise TimeoutError("the time left is shorter than the wait the provider asks for")
        await self._patience.sleep(seconds)


def _open(wire: ModelWire) -> int:
    """A descriptor of the socket's directory: its own path may be longer than a socket address can hold."""
    try:
        return os.open(wire.socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise errors.Parked(
            f"the wire's directory {wire.socket.parent} cannot be opened: {error.strerror}",
            code="model_unavailable", subject=str(wire.socket),
        ) from error  # fmt: skip


async def _keep_what_is_needed(request: httpx2.Request) -> None:
    for name in {name.lower() for name in request.headers} - SENT_HEADERS:
        del request.headers[name]
    request.headers["accept-encoding"] = "identity"
