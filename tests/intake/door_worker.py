"""A process that sends a forge's deliveries through its own door and pumps them: ``door_worker ROOT [labelled]``.

Killed anywhere and started again it does the whole of it again, as a forge that redelivers what was not acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from boatwright.config.paths import StateDir
from boatwright.intake.door import Door
from boatwright.intake.pump import Pump
from boatwright.rules import naming
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for

from .conftest import PATH, SECRET, Repository, World, comment, headers_of, issue

SENT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("issues", issue("opened", number=1)),
    ("issues", issue(number=1, at="2026-01-02T03:04:06Z")),
    ("issue_comment", comment("/boatwright retry", number=1, number_of=50)),
    ("issue_comment", comment("/boatwright explain", number=1, number_of=51)),
    ("issue_comment", comment("/boatwright dance", number=1, number_of=52)),
)

LABELLED = SENT[1:2]
"""One label alone."""


async def work(root: Path, sent: Sequence[tuple[str, dict[str, Any]]] = SENT) -> None:
    source = str(root / "paginate")
    world = World(Repository(naming.repository_id(source), source, PATH))
    environment = {**os.environ, "HOOK": SECRET, "HOOK_OTHER": SECRET}
    house = House.open(state=StateDir(root / "state"), environment=environment, producer="test")
    engine = engine_for(house)
    pump = Pump.of(house, engine, world.outside)
    door = Door(house.ledger.deliveries, house.settings.forges, environment=environment, clock=house.clock)
    for at, (event, payload) in enumerate(sent):
        body = json.dumps(payload).encode()
        given = {
            name.lower(): value for name, value in headers_of("github", event, f"guid-{at}", body).items()
        }
        await door.take("github", given, body)
    await pump.once()
    await door.close()
    engine.close()
    house.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), LABELLED if sys.argv[2:] == ["labelled"] else SENT))
