"""A bottle outside executions whose account was cut: frozen or torn down, by whoever holds it next."""

from __future__ import annotations

import asyncio

from boatwright import errors
from boatwright.egress.cuts import Cut
from boatwright.stages import cutting, solo
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.cutting import CutPolicy
from boatwright.values.solo import Solo


async def finish(house: House, record: Solo) -> Solo:
    """Do what the cut of its account asks for and is not done yet. Only for who holds the bottle."""
    cut = await cutting.of(house, record.account)
    if cut is None or cut.done:
        return record
    record = await _carry_out(house, record, cut)
    await cutting.carried_out(house, cut)
    return record


async def _carry_out(house: House, record: Solo, cut: Cut) -> Solo:
    if cut.policy is CutPolicy.KILL:
        return await solo.tear_down(house, record)
    await solo.close_wires(house, record)
    begun = record.state not in solo.ANEW
    if cut.policy is CutPolicy.FREEZE and begun and await house.backend.open(record.slug) is not None:
        return await solo.freeze(house, record)
    return record


async def finish_all(house: House) -> int:
    """The sweep: bottles that nobody works on and whose cut a kill has left half done. Returns how many."""
    records = Records(house.state, house.clock)
    found = 0
    for cut in await asyncio.to_thread(house.wire.cuts().all):
        record = None if cut.done else await asyncio.to_thread(_of, records, cut.account)
        if record is not None:
            found += await finish_unheld(house, record.slug)
    return found


async def finish_unheld(house: House, slug: str) -> bool:
    """The same for one bottle, where nobody works on it; says whether there was one to look at."""
    records = Records(house.state, house.clock)
    try:
        hold = await asyncio.to_thread(records.hold, slug, patience=0.0)
    except errors.Conflict:
        return False  # whoever works on it sees the cut itself
    with hold:
        record = records.find(slug)
        if record is None:
            return False
        await finish(house, record)
        return True


def _of(records: Records, account: str) -> Solo | None:
    return next((each for each in records.all() if each.account == account), None)
