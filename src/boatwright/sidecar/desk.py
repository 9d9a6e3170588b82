"""What becomes of an agent's question: a row, an operator's word or none, an answer in plain words.

Nobody there: it says so at once. Somebody there: the call waits, and not for ever. An answer that comes later is found by
asking the same again. A route that is granted is opened on the wire before the agent is told, or, when nobody waits
for it, soon after.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from boatwright import errors
from boatwright.ledger.asks import Asks
from boatwright.rules import asking
from boatwright.values.asking import Ask, AskKind, AskState, Wish
from boatwright.values.clock import Clock

MOST_AT_ONCE = 16
"""Calls of one wire that wait for a person."""
BUSY = "Too many of your questions wait for an operator already. Go on, and ask again later."

Open = Callable[[Sequence[str]], Awaitable[None]]
"""Opens destinations (``host:port``) on the wire beside what it reaches; again does nothing new."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: how long one call waits for a person, and how often it looks."""

    wait: float = 600.0
    look: float = 0.5


class Desk:
    """The desk of one wire. ``account`` and ``bottle`` are who asks, whatever a request says of itself."""

    def __init__(
        self, asks: Asks, account: str, bottle: str, *, network: str, clock: Clock,
        patience: Patience | None = None,
    ) -> None:  # fmt: skip
        self._asks, self._account, self._bottle = asks, account, bottle
        self._network, self._clock, self._patience = network, clock, patience or Patience()
        self._open: Open | None = None
        self._opened: tuple[str, ...] = ()
        self._turn = asyncio.Lock()
        self._over = asyncio.Event()
        self._waiting = 0
        self._asked: set[str] = set()

    @contextlib.asynccontextmanager
    async def manned(self, open_: Open, opened: Sequence[str]) -> AsyncIterator[None]:
        """Man the desk of a wire that is open, and reaches ``opened`` of what was granted before.

        At the end every call that waits is answered, and what nobody took up is withdrawn.
        """
        self._open, self._opened = open_, tuple(opened)
        watching = asyncio.ensure_future(self._watch())
        try:
            yield
        finally:
            self._over.set()
            watching.cancel()
            await asyncio.wait({watching})
            with contextlib.suppress(errors.StoreUnavailable):
                await asyncio.to_thread(self._asks.withdraw, tuple(self._asked))

    async def ask(self, make: Callable[[], Wish]) -> str:
        """Ask, wait, and say what became of it. Never raises for what an agent says or what a store cannot take."""
        try:
            wish = asking.refuse_closed(make(), self._network)
            ask = await asyncio.to_thread(self._asks.ask, self._account, self._bottle, wish)
        except (asking.NotAsked, errors.Refused) as error:
            return f"This cannot be asked: {error}"
        except errors.StoreUnavailable:
            return "This could not be asked just now. Ask again in a while."
        self._asked.add(ask.id)
        if ask.state is AskState.OPEN:
            if self._waiting >= MOST_AT_ONCE:
                return BUSY
            ask = await self._answered(ask)
        if ask.wish.kind is AskKind.ROUTE and ask.state is AskState.ANSWERED:
            with contextlib.suppress(errors.BoatwrightError):  # whoever watches opens it soon
                await self._open_granted()
        return asking.told(ask)

    async def _answered(self, ask: Ask) -> Ask:
        """The row once somebody answered it; as it is when time is up, the operator left, or the round is over."""
        until = self._clock.monotonic() + self._patience.wait
        self._waiting += 1
        try:
            while ask.state is AskState.OPEN and not self._over.is_set():
                if self._clock.monotonic() >= until:
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), self._patience.look)
                with contextlib.suppress(errors.StoreUnavailable):
                    ask = await asyncio.to_thread(self._asks.get, ask.id)
                    if ask.state is AskState.OPEN and not await asyncio.to_thread(self._asks.present):
                        break
        finally:
            self._waiting -= 1
        return ask

    async def _watch(self) -> None:
        """Open what is granted while nobody waits for it."""
        while True:
            await asyncio.sleep(2 * self._patience.look)
            with contextlib.suppress(errors.BoatwrightError):
                await self._open_granted()

    async def _open_granted(self) -> None:
        async with self._turn:
            granted = tuple(await asyncio.to_thread(self._asks.granted_routes, self._account))
            if self._open is not None and set(granted) - set(self._opened):
                await self._open(granted)
                self._opened = granted
