"""A terminal of the bottle's own: controlled from inside, sized from outside, closed to the trick of typing into it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.backends.container import Container
from boatwright.bottle.terminal import WAITING, Size, Terminal
from boatwright.config.paths import StateDir
from boatwright.values.clock import SystemClock, SystemIds

LOOK = """
import fcntl, os, signal, sys, termios
print("tty", all(os.isatty(each) for each in (0, 1, 2)), os.ttyname(0))
print("own", os.getsid(0) == os.getpid() == os.tcgetpgrp(0), open("/dev/tty").isatty())
for name, request in (("TIOCSTI", 0x5412), ("TIOCLINUX", 0x541C)):
    try:
        fcntl.ioctl(0, request, b"x")
        print(name, "open")
    except OSError as error:
        print(name, error.errno)
print("size", os.get_terminal_size())
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])  # waited for: a handler could be missed before the read
print("ready")
signal.sigwait([signal.SIGWINCH])
print("now", os.get_terminal_size())
line = sys.stdin.readline()
print("read", line.strip())
"""


class Watched:
    """A terminal, and what was read of it so far."""

    def __init__(self, size: Size) -> None:
        self.terminal, self.saw = Terminal.open(size), b""
        self._more = asyncio.Event()
        self.terminal.listen(self._take)

    def _take(self, data: bytes) -> None:
        self.saw += data
        self._more.set()

    async def see(self, words: bytes) -> None:
        while words not in self.saw:
            self._more.clear()
            await asyncio.wait_for(self._more.wait(), 100)


async def test_it_is_controlled_sized_and_typed_into_from_outside_alone(bottle: Any) -> None:
    watched = Watched(Size(33, 101))
    running = asyncio.ensure_future(bottle.exec(["python3", "-u", "-c", LOOK], terminal=watched.terminal))
    await watched.see(b"ready")
    watched.terminal.resize(Size(20, 60))
    await watched.see(b"now os.terminal_size(columns=60, lines=20)")
    assert watched.terminal.type(b"hello\n")
    ended = await running
    await watched.terminal.drained()
    said = watched.saw.decode().replace("\r", "")
    assert (ended.exit_code, ended.output) == (0, b"")
    for words in ("tty True /dev/console", "own True True", "TIOCSTI 1", "TIOCLINUX 1", "read hello"):
        assert words in said, said
    assert "size os.terminal_size(columns=101, lines=33)" in said
    assert watched.terminal.inner == -1
    watched.terminal.close()


async def test_its_program_that_is_not_there_is_named_on_it(bottle: Any) -> None:
    watched = Watched(Size())
    ended = await bottle.exec(["absent-program"], terminal=watched.terminal)
    await watched.terminal.drained()
    assert ended.exit_code == 127 and b"absent-program: command not found" in watched.saw
    watched.terminal.close()


async def test_cancelled_nothing_of_it_runs_on(bottle: Any) -> None:
    watched = Watched(Size())
    running = asyncio.ensure_future(
        bottle.exec(
            ["sh", "-c", "trap '' HUP TERM; echo up; while :; do sleep 1; done"], terminal=watched.terminal
        )
    )
    await watched.see(b"up")
    running.cancel()
    await asyncio.wait({running})
    await watched.terminal.drained()  # ends only when nobody holds the other end
    watched.terminal.close()


async def test_what_nobody_reads_is_not_taken_for_ever() -> None:
    terminal = Terminal.open(Size())
    attributes = os.dup(terminal.inner)
    taken = sum(terminal.type(b"x" * 100_000) for _ in range(30))
    assert 0 < taken * 100_000 <= WAITING + 200_000
    os.close(attributes)
    terminal.close()


def test_containers_say_that_they_have_none(tmp_path: Path) -> None:
    backend = Container(StateDir(tmp_path), clock=SystemClock(), ids=SystemIds())
    with pytest.raises(errors.BadInput, match="the backend 'container' has no terminals"):
        backend.refuse_no_terminals()


def test_a_size_is_held_between_what_can_be_drawn_in() -> None:
    assert (Size.of(0, 0), Size.of(1, 65_535)) == (Size(24, 80), Size(2, 1_000))
