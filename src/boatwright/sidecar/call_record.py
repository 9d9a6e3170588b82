"""Where a forge desk writes what became of its calls, and reads it after a kill.

An execution's calls are events of its stream; those of a bottle by itself are lines of a file (``call_file``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from boatwright.values.calls import ForgeCall
from boatwright.values.context import Context
from boatwright.values.events import EffectIntended, ForgeCalled


class CallRecord(Protocol):
    """What one desk knows of the calls before, whichever process made them."""

    @property
    def caller(self) -> str:
        """Whose agent calls, as people read it and as marks at the forge hold it."""
        ...

    async def told(self) -> Sequence[ForgeCalled]:
        """What became of every call so far, in order."""
        ...

    async def fence(self) -> None:
        """Pass only while the work is ours. Raises ``errors.Stopped``."""
        ...

    async def intend(self, call: ForgeCall, mark: str) -> None:
        """Write down that the call is about to be made, before anything of it is seen at the forge."""
        ...

    async def tell(self, said: ForgeCalled, *, once: bool) -> None:
        """Write down what became of a call; with ``once`` a second time is none."""
        ...


class OfTurn:
    """The calls of an execution's rounds: events."""

    def __init__(self, context: Context) -> None:
        self._context = context

    @property
    def caller(self) -> str:
        return self._context.execution

    async def told(self) -> Sequence[ForgeCalled]:
        payloads = [event.payload for event in await self._context.history()]
        return [each for each in payloads if isinstance(each, ForgeCalled)]

    async def fence(self) -> None:
        await self._context.fence()

    async def intend(self, call: ForgeCall, mark: str) -> None:
        intended = EffectIntended(effect=call.kind, kind="marked", target=f"{call.number}:{mark}")
        await self._context.emit(intended, key=f"call:intend:{call.digest}")

    async def tell(self, said: ForgeCalled, *, once: bool) -> None:
        own = said.digest if once else self._context.ids.token()[:16]
        await self._context.emit(said, key=f"call:{said.outcome}:{own}")
