"""The callers of one trial: on a journal as in a proxy, on threads with writers of their own, or in a doomed process."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Awaitable, Callable

from boatwright.egress import booking
from boatwright.egress.booking import Operation, Outcome, Reservation, Result, Settle
from boatwright.egress.budget import Budgets
from boatwright.egress.journal import Journal
from boatwright.testing.overshoot_plan import Call, End, Kind, Plan

Submit = Callable[[Operation], Awaitable[Result]]
_CALLS_EACH = 3
"""Calls one caller makes, one after another."""


class Callers:
    """All callers of one trial. ``late``: what is settled when the next owner has charged it."""

    def __init__(self, plan: Plan, submit: Submit, *, doomed: bool = False) -> None:
        self._plan, self._submit, self._doomed = plan, submit, doomed
        self._reserved = itertools.count(1)
        self.late: list[Settle] = []

    async def run(self) -> None:
        calls = self._plan.calls
        rows = [calls[at :: -(-len(calls) // _CALLS_EACH)] for at in range(-(-len(calls) // _CALLS_EACH))]
        await asyncio.gather(*(self._caller(row) for row in rows))

    async def _caller(self, calls: tuple[Call, ...]) -> None:
        for call in calls:
            await self._call(call)

    async def _call(self, call: Call) -> None:
        waiting = asyncio.ensure_future(self._submit(call.request))
        if call.end is End.CANCELLED:
            await asyncio.sleep(0)
            waiting.cancel()
            return
        result = await waiting
        if not isinstance(result, Reservation):
            return
        self._die()
        await asyncio.sleep(0)  # the others go on while this one holds
        for outcome in self._outcomes(call, result):
            await self._submit(Settle(call.id, outcome, call.request.at))

    def _die(self) -> None:
        """Between a reservation and its settlement, where nothing can help."""
        if self._doomed and next(self._reserved) >= self._plan.dies_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def _outcomes(self, call: Call, got: Reservation) -> list[Outcome]:
        usual = call.outcome(got.held)
        if call.end is End.LATE:
            self.late.append(Settle(call.id, usual, call.request.at))
        return {
            End.SETTLED: [usual],
            End.TWICE: [usual, booking.CHARGED],
            End.CHARGED: [booking.CHARGED],
            End.RELEASED: [booking.RELEASED],
        }.get(call.end, [])


async def work(budgets: Budgets, plan: Plan) -> list[Settle]:
    """Every call of the trial, in this process; what is left to settle too late."""
    if plan.kind is Kind.THREADS:
        return await _on_threads(budgets, plan)
    journal = Journal(budgets)
    callers = Callers(plan, lambda operation: _on(journal, operation))
    await callers.run()
    await journal.close()
    return callers.late


async def _on(journal: Journal, operation: Operation) -> Result:
    return await journal.submit(operation)


async def _on_threads(budgets: Budgets, plan: Plan) -> list[Settle]:
    """Two writers who know nothing of each other, each used by several threads."""
    writers = itertools.cycle((budgets, Budgets(budgets.database)))

    async def submit(operation: Operation) -> Result:
        writer = next(writers)
        return (await asyncio.to_thread(writer.apply, [operation]))[0]

    callers = Callers(plan, submit)
    await callers.run()
    return callers.late


def alone(url: str, plan: Plan) -> None:
    """The same in a process that does not live to see the end of it."""
    asyncio.run(_alone(url, plan))


async def _alone(url: str, plan: Plan) -> None:
    journal = Journal(Budgets.open(url))
    await Callers(plan, lambda operation: _on(journal, operation), doomed=True).run()
    os.kill(os.getpid(), signal.SIGKILL)
