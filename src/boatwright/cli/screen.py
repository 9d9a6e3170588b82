"""A person's terminal, lent to a bottle's: raw while it lasts, and given back whatever ends it, a kill included."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import FrameType
from typing import Self

from boatwright import errors
from boatwright.bottle.terminal import Size
from boatwright.rules import screen
from boatwright.rules.screen import RESTORE, Asked, Stream
from boatwright.server import frames

LEAVE, LEAVE_NAME = b"\x1d", "Ctrl-]"
CURSOR = b"\x1b[6n"
BELOW = b"\r\n\x1b[J"
"""To a line of our own, and what the program drew below it gone."""
_CHUNK = 1 << 16
_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
_GUARD = f"""
import os, termios
kept = termios.tcgetattr(1)
os.write(2, b"r")
if not os.read(0, 1):
    os.write(1, {RESTORE!r})
    termios.tcsetattr(1, termios.TCSAFLUSH, kept)
"""
"""Waits in a session of its own, where no signal of the terminal comes: killed ourselves, it puts the terminal back."""


class Left(StrEnum):
    """Why it is over."""

    DETACHED = "detached"
    ENDED = "ended"
    LOST = "lost"  # without a word: whoever held the bottle's terminal was killed
    STOPPED = "stopped"


def refuse_none() -> None:
    """``errors.BadInput`` unless a person is at both ends."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise errors.BadInput(
            "this needs a terminal, and there is none here",
            next_moves=('--headless --prompt "…"', "boatwright bottle logs -f SLUG"),
        )


class Screen:
    """The terminal of this process, from its raw beginning to its restoration."""

    def __init__(self, place: socket.socket) -> None:
        self._place = place
        self._read = frames.Frames()
        self._shown = Stream()
        self._stop = False
        self._in, self._out = sys.stdin.fileno(), sys.stdout.fileno()
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)

    def attach(self) -> Left:
        """Show and type until somebody leaves or it ends."""
        sys.stdout.flush()
        with self._signals(), _lent(self._in, self._out, lambda: screen.restored(self._shown)):
            return self._relay()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in (self._woken, self._wake):
            os.close(descriptor)

    def _relay(self) -> Left:
        with selectors.DefaultSelector() as ready:
            for descriptor in (self._in, self._place.fileno(), self._woken):
                ready.register(descriptor, selectors.EVENT_READ)
            self._place.sendall(frames.sized(Size.at(self._out)))
            while True:
                for key, _ in ready.select():
                    left = self._step(key.fd)
                    if left is not None:
                        return left

    def _step(self, descriptor: int) -> Left | None:
        try:
            if descriptor == self._in:
                return self._type()
            if descriptor == self._woken:
                return self._signalled()
            return self._show()
        except (BrokenPipeError, ConnectionResetError):
            return Left.LOST

    def _type(self) -> Left | None:
        try:
            typed = os.read(self._in, _CHUNK)
        except OSError:  # the terminal hung up
            return Left.STOPPED
        before, leaves, _ = typed.partition(LEAVE)
        if before:
            self._place.sendall(frames.frame(frames.TYPED, before))
        return Left.DETACHED if leaves or not typed else None

    def _signalled(self) -> Left | None:
        os.read(self._woken, _CHUNK)
        if self._stop:
            return Left.STOPPED
        self._place.sendall(frames.sized(Size.at(self._out)))
        return None

    def _show(self) -> Left | None:
        data = self._place.recv(_CHUNK)
        if not data:
            return Left.LOST
        for kind, content in self._read.feed(data):
            if kind == frames.SHOWN:
                self._print(content)
            elif kind == frames.ENDED:
                return Left.ENDED
        return None

    def _print(self, data: bytes) -> None:
        """Filtered here, too: this terminal is ours to keep, whoever holds the other end."""
        self._shown, pieces = screen.feed(self._shown, data)
        for piece in pieces:
            if not isinstance(piece, Asked):
                _write(self._out, piece)
            elif piece is Asked.CURSOR:
                _write(self._out, CURSOR)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Every signal that would end us leaves by the door; one that would stop us in raw mode is not heard."""
        before = {number: signal.signal(number, self._heard) for number in (*_ENDING, signal.SIGWINCH)}
        before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _heard(self, number: int, _: FrameType | None) -> None:
        self._stop = self._stop or number != signal.SIGWINCH
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"s")


@contextlib.contextmanager
def _lent(in_: int, out: int, restoring: Callable[[], bytes]) -> Iterator[None]:
    """Raw, and then as it was: what is typed ahead, an answer of the terminal's too, goes to nobody."""
    kept = termios.tcgetattr(in_)
    with _guarded(out):
        tty.setraw(in_, termios.TCSADRAIN)
        try:
            yield
        finally:
            with contextlib.suppress(OSError, termios.error):  # it hung up
                _write(out, restoring() + BELOW)
                termios.tcsetattr(in_, termios.TCSAFLUSH, kept)


@contextlib.contextmanager
def _guarded(out: int) -> Iterator[None]:
    guard = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _GUARD], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.PIPE,
        start_new_session=True, env={},
    )  # fmt: skip
    assert guard.stdin is not None and guard.stderr is not None
    with guard.stdin, guard.stderr:
        guard.stderr.read(1)
        try:
            yield
        finally:
            with contextlib.suppress(BrokenPipeError):
                guard.stdin.write(b"x")
                guard.stdin.flush()
            guard.wait()


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
