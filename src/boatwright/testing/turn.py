"""A turn without an engine: the same interface, every stage called once, nothing checkpointed.

For tests of stages and stories where durability is not the subject: a kill loses the turn. The product never uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from boatwright.ledger import Ledger
from boatwright.ledger.inbox import Command
from boatwright.values.clock import Clock, Ids
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import Payload

T = TypeVar("T")


class PlainTurn:
    """One turn of one execution, told in this process. ``lines`` collects what the stages said."""

    def __init__(
        self,
        ledger: Ledger,
        execution: str,
        *,
        turn: int,
        clock: Clock,
        ids: Ids,
        commands: Sequence[Command] = (),
    ) -> None:
        self.execution, self.turn, self.clock, self.ids = execution, turn, clock, ids
        self.commands = tuple(commands)
        self.stage_name = ""
        self.lines: list[str] = []
        self.stages: list[str] = []
        self._ledger = ledger

    async def stage(self, name: str, body: Callable[[Context], Awaitable[T]], result: type[T]) -> T:
        self.stage_name = name
        self.stages.append(name)
        told = await body(self)
        if not isinstance(told, result):
            raise TypeError(f"stage {name} returned {type(told).__name__}, not {result.__name__}")
        return told

    async def note(self, payload: Payload, key: str) -> None:
        await self.emit(payload, key=key)

    async def emit(self, payload: Payload, *, key: str) -> Event:
        appended = await asyncio.to_thread(self._ledger.events.append, self.execution, payload, key=key)
        return appended.event

    async def history(self) -> Sequence[Event]:
        return await asyncio.to_thread(self._ledger.events.stream, self.execution)

    async def fence(self) -> None:
        return None

    def say(self, line: str) -> None:
        self.lines.append(line)
