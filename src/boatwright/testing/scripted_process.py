"""Start the scripted model and wait until it listens; for tests and tools.

:func:`running` starts it as the process it is meant to be. :func:`serving` runs the same server inside the
calling process: half a second quicker, and it cannot be killed alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.agents.protocol import ModelWire
from boatwright.testing import scripted_server
from boatwright.testing.scripted_http import Connection
from boatwright.values.usage import ModelRef


@dataclass(frozen=True, slots=True)
class ScriptedModel:
    """A running one. ``url`` is empty when it listens on ``socket``; ``process`` is None inside the
    caller's own.
    """

    process: asyncio.subprocess.Process | None
    socket: Path
    url: str
    bills: Path

    def wire(self, protocol: str = "anthropic") -> ModelWire:
        """The way to it without a proxy between: nothing is metered."""
        return ModelWire(
            socket=self.socket, protocol=protocol, model=ModelRef(provider="scripted", name="script.yml")
        )

    def ledger(self) -> list[dict[str, Any]]:
        """What it billed so far, in order."""
        if not self.bills.exists():
            return []
        return [json.loads(line) for line in self.bills.read_text(encoding="utf-8").splitlines()]


@asynccontextmanager
async def running(script: str, directory: Path, *, port: int | None = None) -> AsyncIterator[ScriptedModel]:
    """The scripted model with ``script`` (YAML text), its files in ``directory``; ended on the way out.

    Raises ``errors.BadInput`` with the server's own sentence when the script is not valid.
    """
    file, socket, bills = directory / "script.yml", directory / "model.sock", directory / "bills.jsonl"
    file.write_text(script, encoding="utf-8")
    where = ["--socket", str(socket)] if port is None else ["--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "boatwright.testing.scripted_server", "--script", str(file), *where,
        "--ledger", str(bills), "--parent", str(os.getpid()),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        url = await _ready(process)
        yield ScriptedModel(process, socket, url if port is not None else "", bills)
    finally:
        await _stop(process)


@asynccontextmanager
async def serving(script: str, directory: Path) -> AsyncIterator[ScriptedModel]:
    """The scripted model inside this process, on a socket in ``directory``. Raises as :func:`running`."""
    file, socket, bills = directory / "script.yml", directory / "model.sock", directory / "bills.jsonl"
    await asyncio.to_thread(file.write_text, script, encoding="utf-8")
    service = scripted_server.service(file, bills)
    with scripted_server.unix_listener(socket) as listener:
        server = await asyncio.start_server(lambda r, w: Connection(service, r, w).serve(), sock=listener)
        try:
            yield ScriptedModel(None, socket, "", bills)
        finally:
            server.close()


async def _ready(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None and process.stderr is not None
    line = (await process.stdout.readline()).decode()
    if not line.startswith("ready "):
        said = (await process.stderr.read()).decode("utf-8", "replace").strip()
        raise errors.BadInput(said or "the scripted model ended before it listened")
    return line.removeprefix("ready ").strip()


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    await process.wait()
