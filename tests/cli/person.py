"""A person at a terminal of their own: a real pseudo-terminal, a command in front of it, eyes and fingers."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from boatwright.bottle import shelf
from boatwright.bottle.terminal import Size, Terminal

PROGRAM = Path(sys.executable).with_name("boatwright")
SECONDS = 300.0
_SEQUENCE = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][0-9A-B]|\x1b[=>78]|\x0f")


class Person:
    """Types ``boatwright …`` at a fresh terminal. ``saw`` is everything it showed, as bytes."""

    def __init__(
        self, *arguments: str, environment: Mapping[str, str], cwd: Path, size: Size | None = None
    ) -> None:
        self.terminal = Terminal.open(size or Size(30, 100))
        self.saw = b""
        self._inner = os.dup(self.terminal.inner)  # kept open: what its modes are is asked at the end
        self.modes = termios.tcgetattr(self._inner)
        helper = [sys.executable, "-I", "-S", str(shelf.SOURCE / "terminal.py")]
        self.process = subprocess.Popen(
            [*helper, str(PROGRAM), *arguments], stdin=self.terminal.inner, stdout=self.terminal.inner,
            stderr=self.terminal.inner, env=dict(environment), cwd=cwd,
        )  # fmt: skip

    @property
    def text(self) -> str:
        return _SEQUENCE.sub(b"", self.saw).decode("utf-8", "replace").replace("\r", "")

    def see(self, words: str, *, after: int = 0) -> str:
        """Wait until ``words`` stand on the screen; all of the text so far."""
        self.until(lambda: words in self.text[after:], words)
        return self.text

    def until(self, true: Any, why: str = "") -> None:
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end, f"never: {why}\n{self.text}"
            self._look(0.1)

    def type(self, text: str) -> None:
        os.write(self.terminal._outer, text.encode())

    def resize(self, size: Size) -> None:
        self.terminal.resize(size)

    def kill(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def leaves(self) -> int:
        """Wait for its end; the exit code."""
        end = time.monotonic() + SECONDS
        while self.process.poll() is None:
            assert time.monotonic() < end, self.text
            self._look(0.1)
        self._look(0.0)
        return self.process.returncode

    @property
    def restored(self) -> bool:
        """Whether the terminal is in the modes it had before."""
        return termios.tcgetattr(self._inner) == self.modes

    def go(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._inner)
        self.terminal.close()

    def _look(self, seconds: float) -> None:
        if select.select([self.terminal._outer], [], [], seconds)[0]:
            with contextlib.suppress(OSError):
                self.saw += os.read(self.terminal._outer, 1 << 16)
