"""One gate round in a process of its own, to be killed: agent_process.py SOCKET DIRECTORY.

Each saved step is one file ``steps/N`` in DIRECTORY, written whole or not at all; a second run goes on from
the last.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from boatwright.agents.builtin import Builtin
from boatwright.agents.protocol import ModelWire, RoundLimits, StepRecord, Task
from boatwright.testing.local_bottle import LocalBottle
from boatwright.values.usage import ModelRef


async def main(socket: Path, directory: Path) -> None:
    steps = directory / "steps"
    steps.mkdir(exist_ok=True)
    done = sorted(int(one.name) for one in steps.iterdir() if one.name.isdigit())

    async def fence() -> None: ...

    async def save(record: StepRecord) -> None:
        part = steps / f"part-{os.getpid()}"
        part.write_bytes(record.transcript)
        part.rename(steps / str(record.number))

    result = await Builtin().run(
        Task(
            system="",
            prompt="" if done else "[boatwright round 1]\nmend it",
            transcript=(steps / str(done[-1])).read_bytes() if done else None,
            first_step=done[-1] + 1 if done else 1,
            bottle=LocalBottle(directory / "bottle"),
            wire=ModelWire(socket, "openai", ModelRef(provider="scripted", name="x")),
            limits=RoundLimits(),
            before_step=fence,
            on_step=save,
            say=lambda _: None,
        )
    )
    print(result.stop, result.summary)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
