"""A process that does one round of telling people: ``notice_worker ROOT MINUTES``, with a clock so far ahead."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import datetime, timedelta
from pathlib import Path

from boatwright.config.paths import StateDir
from boatwright.intake import notices
from boatwright.stages.house import House
from boatwright.values.clock import SystemClock


class Ahead(SystemClock):
    def __init__(self, minutes: int) -> None:
        self._by = timedelta(minutes=minutes)

    def now(self) -> datetime:
        return super().now() + self._by


async def work(root: Path, minutes: int) -> None:
    house = House.open(
        state=StateDir(root / "state"), environment=dict(os.environ), clock=Ahead(minutes), producer="test"
    )
    await notices.once(house)
    house.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
