"""Group commit: every caller's reservation or settlement, in as few durable transactions as the disk allows.

Callers are tasks of one event loop. A writer thread takes whatever waits, applies it in one transaction
and answers all of them; while it commits, the next batch gathers.
"""

from __future__ import annotations

import asyncio
import queue
import threading

from boatwright import errors
from boatwright.egress.booking import Operation, Result
from boatwright.egress.budget import Budgets

_LARGEST_BATCH = 256

_Waiting = tuple[Operation, asyncio.Future[Result]]
_Answer = tuple[asyncio.Future[Result], Result, Exception | None]


class Journal:
    """The only writer of one proxy. :meth:`close` waits for what was handed in."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        """In the order of their coming; None is the end. No Python code runs to wake the writer."""
        self._closed = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation) -> asyncio.Future[Result]:
        """Hand in one operation; the future resolves when it is durable. Cancelling the future changes
        nothing. What was handed in earlier is applied earlier.
        """
        if self._closed:
            raise errors.StoreUnavailable("the budgets are closed: this proxy is going down")
        future: asyncio.Future[Result] = self._loop.create_future()
        self._waiting.put((operation, future))
        return future

    async def close(self) -> None:
        """Apply what waits, then stop the writer."""
        if not self._closed:
            self._closed = True
            self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._take():
            answers = self._apply(batch)
            self._loop.call_soon_threadsafe(_deliver, answers)

    def _take(self) -> list[_Waiting]:
        """Wait for one, and take all that came with it; none once the end was reached."""
        batch: list[_Waiting] = []
        while not self._ended and len(batch) < _LARGEST_BATCH:
            try:
                one = self._waiting.get(block=not batch)
            except queue.Empty:
                break
            if one is None:
                self._ended = True
            else:
                batch.append(one)
        return batch

    def _apply(self, batch: list[_Waiting]) -> list[_Answer]:
        try:
            results = self._budgets.apply([operation for operation, _ in batch])
        except Exception as error:  # noqa: BLE001 - the thread's edge: whoever waits must hear of it, and it lives on
            if len(batch) == 1 or isinstance(error, errors.StoreUnavailable):
                return [(future, None, error) for _, future in batch]
            # One bad row must not fail its neighbours: each on its own.
            return [answer for one in batch for answer in self._apply([one])]
        return [(future, result, None) for (_, future), result in zip(batch, results, strict=True)]


def _deliver(answers: list[_Answer]) -> None:
    for future, result, error in answers:
        if future.done():
            continue  # its caller has gone
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)
