"""A program at work, attended: ended in an orderly way when it says that it is done, or when it says nothing for too long.

Either way what runs in the bottle is stopped, the agent saves what there is, and the round goes on.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from boatwright import errors
from boatwright.agents import fence
from boatwright.agents.protocol import RoundResult, Stop
from boatwright.rules import silence
from boatwright.sidecar.forge_desk import ForgeDesk
from boatwright.values.calls import Signal

LOOK_SECONDS = 1.0
GRACE_SECONDS = 20.0
"""How long a program may take to end by itself once it said that it is done."""
SAVE_SECONDS = 120.0
"""How long it may take to save what it did, once it is stopped."""
_WEIGHTIER = frozenset({Stop.BUDGET, Stop.CREDENTIAL})
"""Ends that a person has to do something about, whatever the program says of them."""
_OWN = frozenset({Stop.FINISHED, Stop.BUDGET, Stop.CREDENTIAL})
"""Ends that are told as they are, though nothing was heard for long."""


@dataclass(frozen=True, slots=True)
class Ears:
    """What is listened to. ``quiet``: seconds since anything was heard (None: nobody listens); ``patience``: how many
    of them are too many.
    """

    patience: float
    quiet: Callable[[], Awaitable[float]] | None = None
    desk: ForgeDesk | None = None

    @property
    def signal(self) -> Signal | None:
        return self.desk.signal if self.desk else None


async def attended(ending: asyncio.Event, ears: Ears, work: Coroutine[Any, Any, RoundResult]) -> RoundResult:
    """The round's result, as its signal or its silence has it. ``ending`` is how its program is told to end."""
    working = asyncio.ensure_future(work)
    silent = asyncio.ensure_future(_silent(ears))
    signalled = asyncio.ensure_future(_signalled(ears))
    try:
        await asyncio.wait({working, silent, signalled}, return_when=asyncio.FIRST_COMPLETED)
        if signalled.done():
            await asyncio.wait({working}, timeout=GRACE_SECONDS)
        if not working.done():
            await _end(ending, working)
        result = await working
        still = silent.done() or (result.stop is Stop.WALL_CLOCK and await _too_long(ears))
    finally:
        for task in (silent, signalled, working):
            task.cancel()
        await asyncio.wait({silent, signalled, working})
    return told(result, ears, silent=still)


async def _signalled(ears: Ears) -> None:
    if ears.desk is None:
        await asyncio.Event().wait()
    else:
        await ears.desk.signalled.wait()


async def _silent(ears: Ears) -> None:
    """Return when nothing was heard for too long. A store that is away says nothing, and is asked again."""
    while True:
        if await _too_long(ears):
            return
        await asyncio.sleep(min(LOOK_SECONDS, ears.patience / 4))


async def _too_long(ears: Ears) -> bool:
    if ears.quiet is None:
        return False
    try:
        return await ears.quiet() >= ears.patience
    except errors.StoreUnavailable:
        return False


async def _end(ending: asyncio.Event, working: asyncio.Future[RoundResult]) -> None:
    ending.set()
    done, _ = await asyncio.wait({working}, timeout=SAVE_SECONDS)
    if not done:
        raise errors.Parked(
            f"what the agent did could not be saved in {SAVE_SECONDS:g} seconds after it was stopped",
            code="save_failed",
        )


def told(result: RoundResult, ears: Ears, *, silent: bool) -> RoundResult:
    """How the round ended. What the program said of it counts before how it was stopped."""
    if result.stop in _WEIGHTIER:
        return result
    if ears.signal is not None:
        return _as_said(result, ears.signal)
    if silent and result.stop not in _OWN:
        return dataclasses.replace(result, stop=Stop.SILENT, detail=_silence(ears.patience))
    return result


def _as_said(result: RoundResult, signal: Signal) -> RoundResult:
    if signal.blocked:
        detail = f"the agent says it is blocked: “{fence.line(signal.summary, 600)}”"
        return dataclasses.replace(result, stop=Stop.BLOCKED, detail=detail)
    summary = signal.summary or result.summary
    return dataclasses.replace(result, stop=Stop.FINISHED, summary=summary, detail="", exit_code=None)


def _silence(patience: float) -> str:
    return f"the agent did not report: no model call and no call to this host for {silence.words(patience)}"
