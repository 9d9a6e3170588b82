"""A process that asks for a change under a key: ``keyed_worker ROOT KEY TEXT``. It prints the execution, and whether it is new."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
from pathlib import Path

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.intake import orchestrate
from boatwright.intake.orchestrate import Wanted
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for


async def ask(root: Path, key: str, text: str) -> str:
    house = House.open(state=StateDir(root / "state"), environment=os.environ, producer="test")
    engine = engine_for(house)
    print("there", flush=True)
    with (root / "gate").open("a") as gate:  # whoever holds it lets all who are there begin at once
        fcntl.flock(gate, fcntl.LOCK_SH)
    try:
        wanted = Wanted(repository=str(root / "paginate"), text=text)
        found = await orchestrate.start(house, engine, wanted, by="me", private=False, key=key)
        return f"{found.execution} {found.new}"
    except errors.Conflict as error:
        return f"{error.subject} conflict"
    finally:
        engine.close()
        house.close()


if __name__ == "__main__":
    print(asyncio.run(ask(Path(sys.argv[1]), *sys.argv[2:])))
