"""NOT A BOTTLE. The ``Bottle`` interface over a plain directory, for trying a provider where no bottle can
be made.

What runs here runs as you, on your host, with your files and your network: use it only with commands you
wrote yourself, such as those of a script for the scripted model. The product cannot select it, and nothing
outside tests may import it. Of the limits only the wall clock and the size of the output hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from boatwright.bottle.protocol import HOME, WORKSPACE, Bind, BottleSpec, OnOutput
from boatwright.bottle.terminal import Terminal
from boatwright.values.process import ExecResult, Limit, Limits

READ = 1 << 16


class LocalBottle:
    """Two directories below ``root``, and commands run in them without any isolation."""

    def __init__(self, root: Path, spec: BottleSpec | None = None) -> None:
        self._root = root
        self._spec = spec or BottleSpec(slug="local", purpose="test")
        self.executed: list[tuple[str, ...]] = []
        """Every argv so far, as it was asked for."""
        for directory in (self.workspace, self.home):
            directory.mkdir(parents=True, exist_ok=True)

    @property
    def slug(self) -> str:
        return self._spec.slug

    @property
    def spec(self) -> BottleSpec:
        return self._spec

    @property
    def workspace(self) -> Path:
        return self._root / "workspace"

    @property
    def home(self) -> Path:
        return self._root / "home"

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: PurePosixPath = WORKSPACE,
        environment: Mapping[str, str] | None = None,
        stdin: bytes | Path | None = None,
        limits: Limits | None = None,
        binds: Sequence[Bind] = (),
        separate_stdout: bool = False,
        on_output: OnOutput | None = None,
        terminal: Terminal | None = None,
    ) -> ExecResult:
        """As ``Bottle.exec``; ``/workspace`` and ``/home/agent`` in ``argv`` stand for the two
        directories.
        """
        self.executed.append(tuple(argv))
        limits = limits or self._spec.limits
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            *(self._here(part) for part in argv),
            cwd=self._here(str(cwd)),
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "LC_ALL": "C.UTF-8"}
            | dict(self._spec.environment) | dict(environment or {}),
            **_streams(terminal, separate_stdout), start_new_session=True,
        )  # fmt: skip
        if terminal is not None:
            terminal.let_go()
        given = await asyncio.to_thread(stdin.read_bytes) if isinstance(stdin, Path) else stdin
        limit = None
        try:
            out, err = await asyncio.wait_for(process.communicate(given), limits.wall_seconds)
        except TimeoutError:
            limit, out, err = Limit.WALL, b"", b""
        finally:
            await _end(process)
        output = (err if separate_stdout else out) or b""
        if on_output is not None and output:
            on_output(output)
        return ExecResult(
            exit_code=_exit_code(process), output=output[: limits.output_bytes],
            seconds=time.monotonic() - began, limit=limit,
            truncated=len(output) > limits.output_bytes, stdout=out if separate_stdout and out else b"",
        )  # fmt: skip

    async def stop(self) -> None:
        """Nothing runs between two execs."""

    async def pause(self) -> None:
        """Nothing runs between two execs."""

    async def unpause(self) -> None:
        """Nothing was paused."""

    def _here(self, text: str) -> str:
        for inside, outside in ((str(WORKSPACE), self.workspace), (str(HOME), self.home)):
            if text == inside or text.startswith(f"{inside}/"):
                return f"{outside}{text[len(inside) :]}"
        return text


def _streams(terminal: Terminal | None, separate: bool) -> dict[str, Any]:
    """A terminal is all three, though nothing here controls it."""
    if terminal is not None:
        return dict.fromkeys(("stdin", "stdout", "stderr"), terminal.inner)
    pipe = asyncio.subprocess.PIPE
    return {"stdin": pipe, "stdout": pipe, "stderr": pipe if separate else asyncio.subprocess.STDOUT}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of the process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _exit_code(process: asyncio.subprocess.Process) -> int:
    code = process.returncode if process.returncode is not None else 1
    return 128 - code if code < 0 else code
