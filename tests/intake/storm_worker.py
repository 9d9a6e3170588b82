"""A process that a storm hits: ``storm_worker ROOT``. It takes what ROOT/storm.json holds through its own door, many at
once, and pumps in between. What was acknowledged is noted; killed and started again it is sent the rest, as by a forge
that redelivers what nobody acknowledged, and pumps whatever it had kept.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from boatwright.config.paths import StateDir
from boatwright.intake.door import Door
from boatwright.intake.pump import Pump
from boatwright.rules import naming
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for

from .conftest import PATH, SECRET, Repository, World, headers_of

AT_ONCE = 20


async def work(root: Path) -> None:
    source = str(root / "paginate")
    world = World(Repository(naming.repository_id(source), source, PATH))
    environment = {**os.environ, "HOOK": SECRET, "HOOK_OTHER": SECRET}
    house = House.open(state=StateDir(root / "state"), environment=environment, producer="test")
    engine = engine_for(house)
    pump = Pump.of(house, engine, world.outside)
    door = Door(house.ledger.deliveries, house.settings.forges, environment=environment, clock=house.clock)
    storm = json.loads((root / "storm.json").read_text())
    noted = root / "acknowledged"
    done = int(noted.read_text()) if noted.exists() else 0
    await pump.once()
    for start in range(done, len(storm), AT_ONCE):
        await asyncio.gather(*(_send(door, *each) for each in storm[start : start + AT_ONCE]))
        noted.write_text(str(min(start + AT_ONCE, len(storm))))
        await pump.once()
    await door.close()
    engine.close()
    house.close()


async def _send(door: Door, name: str, event: str, payload: dict[str, Any]) -> None:
    body = json.dumps(payload).encode()
    given = {key.lower(): value for key, value in headers_of("github", event, name, body).items()}
    await door.take("github", given, body)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1])))
