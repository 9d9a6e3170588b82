"""Start the scripted model: a process of its own on a unix socket, ended with the process that started it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from boatwright import errors
from boatwright.stages.house import House

READY_SECONDS = 20.0
PASSED = frozenset({"PATH", "HOME", "LANG", "PYTHONPATH"})
WITHHELD = frozenset({"BOATWRIGHT_DATABASE_URL"})
"""It may hold a password, and a model has no business in the database."""

_running: dict[str, tuple[asyncio.subprocess.Process, Path]] = {}


async def ensure(house: House, script: Path) -> Path:
    """The socket of a scripted model for ``script``, started by this process if it does not run yet.

    It is reached through the wire like any provider and metered at its own price; no layer imports it.
    ``errors.Parked`` (model_script) with file, line and key where the script cannot be used.
    """
    try:
        data = await asyncio.to_thread(script.read_bytes)
    except OSError as error:
        raise errors.Parked(
            f"the scripted model {script} cannot be read: {error.strerror}",
            code="model_script",
            subject=str(script),
        ) from error
    name = hashlib.sha256(str(script).encode() + b"\0" + data).hexdigest()[:12]
    known = _running.get(name)
    if known is not None and known[0].returncode is None:
        return known[1]
    directory = house.state.run / "models"
    directory.mkdir(mode=0o700, exist_ok=True)
    socket = directory / f"{os.getpid()}-{name}.sock"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "boatwright.testing.scripted_server",
        "--script",
        str(script),
        "--socket",
        str(socket),
        "--parent",
        str(os.getpid()),
        env=_bare(house.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await _ready(process, script)
    _running[name] = (process, socket)
    return socket


def _bare(environment: Mapping[str, str]) -> dict[str, str]:
    """Where things are, and nothing else: a script of somebody's needs no provider's key."""
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED or (name.startswith("BOATWRIGHT_") and name not in WITHHELD)
    }


async def _ready(process: asyncio.subprocess.Process, script: Path) -> None:
    """It prints one line when it listens; what it prints instead of that is its complaint."""
    if process.stdout is None or process.stderr is None:
        raise errors.BoatwrightError("the scripted model was started without pipes")
    try:
        line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
    except TimeoutError:
        process.kill()
        line = b""
    if not line:
        complaint = (await process.stderr.read()).decode("utf-8", "replace").strip().splitlines()
        raise errors.Parked(
            f"the scripted model {script.name} did not start: {complaint[-1] if complaint else 'no word from it'}",
            code="model_script",
            subject=str(script),
        )
