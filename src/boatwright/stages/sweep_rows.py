"""What a sweep takes from the ledger's own tables: never a row, only the bytes it no longer needs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from boatwright.stages.house import House
from boatwright.stages.sweep_kinds import Plain, Thing


@dataclass(frozen=True, slots=True)
class Bodies(Plain):
    """The original bytes of deliveries that were processed. What waits, failed or is dead keeps them."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        found = await asyncio.to_thread(house.ledger.deliveries.old, before)
        return [Thing(str(number), size, finished, Path()) for number, size, finished in found]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        return await asyncio.to_thread(house.ledger.deliveries.drop_body, int(thing.name), before)
