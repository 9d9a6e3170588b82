"""What a screen of live bottles is drawn from, a frame at a time: read in a thread of its own, so that nothing waits."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from boatwright import errors
from boatwright.intake import asks
from boatwright.stages.board import Board, Details, Row, Watch, ask_proxy
from boatwright.stages.house import House
from boatwright.stages.tail import Tail
from boatwright.values.asking import Ask

T = TypeVar("T")
NOTHING = Details((), ())
BEAT_SECONDS = asks.BEAT_SECONDS


@dataclass(frozen=True, slots=True)
class Frame:
    """One look. ``selected`` is the bottle the details are of; ``output`` and ``proxy`` are the lines that came since
    the last one, as they were written: strangers' words among them.
    """

    board: Board
    selected: Row | None
    details: Details
    output: Sequence[str]
    begins: bool
    """The output begins anew: another bottle is looked at."""
    proxy: Sequence[str]
    asks: Sequence[Ask] = ()
    """What waits for an answer, the oldest first."""


class Source(Protocol):
    async def frame(self, account: str, *, everything: bool) -> Frame:
        """Look once, at the bottle of ``account`` more closely, or at the first where that is none.

        ``errors.BoatwrightError`` or ``OSError`` when something cannot be read: the next look may.
        """
        ...

    async def present(self) -> None:
        """Somebody watches: said every :data:`BEAT_SECONDS`, for agents ask only then. Errors as above."""
        ...


class HouseSource:
    """Frames of a real house."""

    def __init__(self, house: House, operator: str) -> None:
        self._house, self._operator = house, operator
        self._watch = Watch(house)
        self._proxy_log = Tail(self._watch.proxy_log)
        self._output: Tail | None = None
        self._of = ""

    async def frame(self, account: str, *, everything: bool) -> Frame:
        proxy = await ask_proxy(self._house)
        return await aside(lambda: self._frame(self._watch.look(proxy, everything=everything), account))

    async def present(self) -> None:
        await aside(lambda: asks.present(self._house, self._operator))

    def leave(self) -> None:
        """Nobody watches any more; where that cannot be said, it is seen before long."""
        with contextlib.suppress(errors.StoreUnavailable):
            asks.leave(self._house, self._operator)

    def _frame(self, board: Board, account: str) -> Frame:
        row = next((row for row in board.rows if row.account == account), None)
        row = row or next(iter(board.rows), None)
        begins = row is None or row.account != self._of
        if row is None:
            self._output, self._of = None, ""
        elif begins:
            self._output, self._of = Tail(self._watch.log(row)), row.account
        output = self._output.read() if self._output else ()
        return Frame(
            board=board,
            selected=row,
            details=self._watch.details(row) if row else NOTHING,
            output=output,
            begins=begins,
            proxy=self._proxy_log.read(),
            asks=asks.waiting(self._house),
        )


async def aside(call: Callable[[], T]) -> T:
    """Run ``call`` in a thread nobody waits for at the end: a store that hangs must not keep a person here."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def deliver(how: Callable[[Any], None], what: object) -> None:
        def now() -> None:
            if not done.done():
                how(what)

        with contextlib.suppress(RuntimeError):  # the loop has gone
            loop.call_soon_threadsafe(now)

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: whoever waits must hear of it
            deliver(done.set_exception, error)
        else:
            deliver(done.set_result, result)

    threading.Thread(target=run, name="top", daemon=True).start()
    return await done
