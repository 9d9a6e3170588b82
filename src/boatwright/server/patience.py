"""How long a door waits for those who are connected: for a head, a body, the next request, and that an answer is taken.

Uvicorn ends a connection that is silent between two requests, and no other. Here each connection has one timer more, so
that nobody holds one of the door's places by saying little, or nothing, or by not listening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. ``head``: from the connection, or the first byte of a later request, to its whole head; ``body``: from there
    to the body's end, while we read; ``idle``: between two requests; ``taking``: that an answer is not taken.
    """

    head: float = 10.0
    body: float = 35.0
    idle: int = 5
    taking: float = 30.0


class _Wait(Enum):
    """For what the other side has to move."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()
    TAKING = auto()


def protocol(limits: Limits) -> Any:
    """What uvicorn is to make for each connection."""
    made: Callable[..., asyncio.Protocol] = partial(Patient, limits)
    return made


class Patient(H11Protocol):
    """A connection whose other side has to go on. One that does not is cut without a word: it may not be listening."""

    def __init__(self, limits: Limits, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._seconds = {_Wait.HEAD: limits.head, _Wait.BODY: limits.body, _Wait.TAKING: limits.taking}
        self._wait = _Wait.NOTHING
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._begin(_Wait.NOTHING)
        super().connection_lost(exc)

    def _look(self) -> None:
        """A wait that goes on keeps its timer: bytes that trickle in do not begin it anew."""
        now = self._waits_for()
        if now is not self._wait:
            self._begin(now)

    def _waits_for(self) -> _Wait:
        if self.transport.is_closing() or self.flow.write_paused:
            return _Wait.TAKING
        if self.conn.their_state is h11.SEND_BODY:
            return _Wait.BODY
        if self.conn.their_state is h11.IDLE and self.timeout_keep_alive_task is None:
            return _Wait.HEAD
        return _Wait.NOTHING

    def _begin(self, wait: _Wait) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wait, self._timer = wait, None
        if wait is not _Wait.NOTHING:
            self._timer = self.loop.call_later(self._seconds[wait], self._over)

    def _over(self) -> None:
        if self._wait is _Wait.BODY and self.flow.read_paused:
            self._begin(_Wait.BODY)  # it is we who do not read
        else:
            self.transport.abort()
