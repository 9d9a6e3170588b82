"""Bring the wire's usage rows into the ledger: one ``model.called`` per reservation, however often we ask."""

from __future__ import annotations

import asyncio

from boatwright.stages.house import House
from boatwright.values.events import ModelCalled


async def import_usage(house: House, execution: str) -> int:
    """Append every usage row the ledger does not know yet; returns how many were new.

    Called after each step, at the end of a turn, on take-over and in the worker's sweep: the rows of the wire are
    the truth, and a row keyed by its reservation cannot be imported twice.
    """
    return await asyncio.to_thread(_import, house, execution)


def _import(house: House, execution: str) -> int:
    new = 0
    for row in house.wire.budgets().usage(execution):
        called = ModelCalled(
            reservation=row.reservation,
            purpose=row.purpose,
            provider=row.provider,
            model=row.model,
            usage=row.usage,
            usd=row.usd,
            reserved_usd=row.reserved_usd,
            reserved_tokens=row.reserved_tokens,
            source=row.source,
            status=row.status,
            at=row.at,
        )
        new += house.ledger.events.append(execution, called, key=f"model.called:{row.reservation}").created
    return new
