"""What a stage may ask of the engine that runs it; ``workflows/engine.py`` implements it, no stage imports that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from boatwright.values.clock import Clock, Ids
from boatwright.values.event import Event
from boatwright.values.events import Payload


class Context(Protocol):
    """One turn of one execution, seen from inside a stage."""

    @property
    def execution(self) -> str: ...

    @property
    def turn(self) -> int: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def ids(self) -> Ids: ...

    async def emit(self, payload: Payload, *, key: str) -> Event:
        """Append one event of this execution, once: a second emit with the same key returns the first event.

        The key is unique in the stream; a redone stage body therefore cannot write a fact twice.
        """
        ...

    async def history(self) -> Sequence[Event]:
        """Every event of this execution so far, in order. A redone body reads this first and continues."""
        ...

    async def fence(self) -> None:
        """Pass only while this worker owns the turn and nobody asked it to stop.

        Call right before each outside effect and each agent step. Raises ``errors.Stopped`` when the lease is
        lost, or when a cancel or stop waits in the inbox.
        """
        ...

    def say(self, line: str) -> None:
        """One line of live progress for whoever watches; never a fact, never stored."""
        ...
