"""One reservation, from asking to booked: whatever happens in between, it is booked exactly once.

Left without an outcome it is released if the call was never sent, and charged in full if it may have been.
A caller that is cancelled while it waits leaves nothing held.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self

from boatwright import crash
from boatwright.egress import booking
from boatwright.egress.answer import Refused
from boatwright.egress.booking import Outcome, Reservation, Reserve, Result, Settle, Settled
from boatwright.egress.journal import Journal
from boatwright.rules import budget as rule
from boatwright.rules.budget import Short
from boatwright.values.clock import Clock


class Office(Protocol):
    """What a hold needs of the proxy that it belongs to."""

    journal: Journal
    clock: Clock

    def keep(self, booking: asyncio.Future[Result]) -> None:
        """Hold on to a booking nobody waits for, until it is done."""
        ...

    def rebook(self, request: Settle) -> None:
        """Try a settlement again that the database could not take."""
        ...


class Hold:
    """Use as ``async with Hold(office, request) as hold``; raises ``Refused`` when the budget has no room."""

    def __init__(self, office: Office, request: Reserve) -> None:
        self._office = office
        self._request = request
        self._booked = False
        self.sent = False
        """Set it right before the first byte of the call leaves."""
        self.answer_tokens = 0
        self.above = False
        """Whether the provider billed above the bound."""

    async def __aenter__(self) -> Self:
        try:
            result = await self._office.journal.submit(self._request)
        except asyncio.CancelledError:
            # The journal applies in order: this settles the reservation, or finds that there is none.
            self._book(booking.RELEASED)
            raise
        if isinstance(result, Short):
            raise _refused(result)
        if not isinstance(result, Reservation):  # pragma: no cover - the journal answers in kind
            raise TypeError("a reservation was answered with something else")
        self.answer_tokens = result.answer_tokens
        crash.point("wire.reserved")
        return self

    async def settle(self, outcome: Outcome) -> None:
        """Book the call's outcome, durably."""
        crash.point("wire.answered")
        booking = self._book(outcome)
        result = await asyncio.shield(booking)
        self.above = isinstance(result, Settled) and result.above
        crash.point("wire.settled")

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._booked:
            self._book(booking.CHARGED if self.sent else booking.RELEASED)

    def _book(self, outcome: Outcome) -> asyncio.Future[Result]:
        self._booked = True
        request = Settle(self._request.id, outcome, self._office.clock.now())
        booking = self._office.journal.submit(request)
        booking.add_done_callback(lambda done: self._again_if_failed(request, done))
        self._office.keep(booking)
        return booking

    def _again_if_failed(self, request: Settle, done: asyncio.Future[Result]) -> None:
        if not done.cancelled() and done.exception() is not None:
            self._office.rebook(request)


def _refused(short: Short) -> Refused:
    code = "price" if short.kind == "price" else "budget"
    priced = ("price it in settings.yml: models: {prices: {'PROVIDER:MODEL': {input: 3, output: 15}}}",)
    moves = rule.remedies(short) if code == "budget" else priced
    return Refused(
        code, rule.sentence(short), next_moves=moves, target=short.kind, exhausted=rule.exhausted(short)
    )
