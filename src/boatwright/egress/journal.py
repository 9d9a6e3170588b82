"""Group commit: every caller's reservation or settlement, in as few durable transactions as the disk allows.

Callers are tasks of one event loop. A writer thread takes whatever waits, applies it in one transaction
and answers all of them; while it commits, the next batch gathers.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass

from boatwright import errors
from boatwright.egress.booking import Operation, Result
from boatwright.egress.budget import Budgets

_LARGEST_BATCH = 256


@dataclass(slots=True)
class _Waiting:
    operation: Operation
    future: asyncio.Future[Result]


class Journal:
    """The only writer of one proxy. :meth:`close` waits for what was handed in."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def submit(self, operation: Operation) -> asyncio.Future[Result]:
        """Hand in one operation; the future resolves when it is durable. Cancelling the future changes
        nothing.
        """
        future: asyncio.Future[Result] = self._loop.create_future()
        with self._changed:
            if self._closed:
                raise errors.StoreUnavailable("the budgets are closed: this proxy is going down")
            self._waiting.append(_Waiting(operation, future))
            self._changed.notify()
        return future

    async def close(self) -> None:
        """Apply what waits, then stop the writer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while batch := self._take():
            answers = self._apply(batch)
            self._loop.call_soon_threadsafe(_deliver, answers)

    def _take(self) -> list[_Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
            return batch

    def _apply(self, batch: list[_Waiting]) -> list[Callable[[], None]]:
        try:
            results = self._budgets.apply([one.operation for one in batch])
        except Exception as error:  # noqa: BLE001 - the thread's edge: whoever waits must hear of it, and it lives on
            if len(batch) == 1 or isinstance(error, errors.StoreUnavailable):
                return [_failure(one.future, error) for one in batch]
            # One bad row must not fail its neighbours: each on its own.
            return [answer for one in batch for answer in self._apply([one])]
        return [_success(one.future, result) for one, result in zip(batch, results, strict=True)]


def _deliver(answers: list[Callable[[], None]]) -> None:
    for answer in answers:
        answer()


def _success(future: asyncio.Future[Result], result: Result) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_result(result)


def _failure(future: asyncio.Future[Result], error: Exception) -> Callable[[], None]:
    return lambda: None if future.done() else future.set_exception(error)
