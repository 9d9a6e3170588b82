"""Stopping a tree of processes by signals, where the kernel's freezer is not ours to use."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable

from boatwright import errors
from boatwright.bottle import processes

_ROUNDS = 1_000
_WAIT = 0.002
_DISK = 100
"""Rounds in which an uninterruptible process is waited for. Later it counts as stopped: the signal is pending, so it
never returns to its program. A parent whose vforked child was stopped before its exec waits like that for good."""


def stop(first: int) -> frozenset[int]:
    """Stop every process below ``first`` until none runs. Returns those that had been stopped before. Blocks."""
    before = frozenset(each.pid for each in processes.tree(first) if each.state in processes.STOPPED)
    for round_ in range(_ROUNDS):
        still = processes.STOPPED if round_ < _DISK else processes.STOPPED | {"D"}
        # A process may fork between two looks; the child is seen in the next one.
        busy = [each.pid for each in processes.tree(first) if each.state not in still]
        if not busy:
            return before
        processes.send(busy, signal.SIGSTOP)
        time.sleep(_WAIT)
    raise errors.Conflict(
        "a process of the bottle could not be stopped: it waits for the host's disk or is being traced",
        subject=f"pid {first}",
        next_moves=("try again",),
    )


def go_on(first: int, except_for: Iterable[int]) -> None:
    """Let the tree run again, but for those who had stopped by themselves."""
    kept = set(except_for)
    processes.send([each.pid for each in processes.tree(first) if each.pid not in kept], signal.SIGCONT)
