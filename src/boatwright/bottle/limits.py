"""Which limits this host enforces hard and which are sampled, and the name of the one that ended a run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from boatwright.bottle.cgroups import Cgroups
from boatwright.values.process import Limit, Limits

NEARLY = 0.95
"""A program that failed with this share of a limit in use failed for it: the next piece it asked for did not fit."""


class Strength(StrEnum):
    HARD = "hard"  # the kernel refuses the next byte or process
    SAMPLED = "sampled"  # we look, and kill what is past it


@dataclass(frozen=True, slots=True)
class Enforced:
    """One limit on this host: how strong, by what."""

    limit: Limit
    strength: Strength
    by: str


def capabilities(groups: Cgroups) -> tuple[Enforced, ...]:
    """Every limit and how this host holds it, for ``doctor`` and for a policy that demands hard ones."""
    memory, processes = groups.has("memory"), groups.has("pids")
    return (
        Enforced(Limit.WALL, Strength.HARD, "our clock, then the whole pid namespace is killed"),
        Enforced(
            Limit.CPU, Strength.SAMPLED, "sum over the tree each second; RLIMIT_CPU per process behind it"
        ),
        Enforced(
            Limit.MEMORY,
            Strength.HARD if memory else Strength.SAMPLED,
            "memory control group" if memory else "sum over the tree; RLIMIT_DATA per process behind it",
        ),
        Enforced(
            Limit.PIDS,
            Strength.HARD if processes else Strength.SAMPLED,
            "pids control group"
            if processes
            else "counted five times a second; RLIMIT_NPROC inside the user namespace behind it",
        ),
        Enforced(Limit.DISK, Strength.SAMPLED, "size of workspace and HOME; RLIMIT_FSIZE per file behind it"),
        Enforced(Limit.OUTPUT, Strength.HARD, "we read it: what is kept is bounded, a flood is ended"),
    )


@dataclass(frozen=True, slots=True)
class Trace:
    """What is known about a run once it has ended."""

    exit_code: int
    fired: Limit | None
    cpu_seconds: float
    peak_memory: int
    memory_kills: int
    refused_forks: int
    disk: int


def name(limits: Limits, trace: Trace) -> Limit | None:
    """The limit that ended the run: the one we killed it for, else the one the kernel says it hit.

    A program that ends well met no limit that mattered, whatever was refused on its way.
    """
    if trace.fired is not None or trace.exit_code == 0:
        return trace.fired
    return next((limit for limit, hit in _signs(limits, trace) if hit), None)


def _signs(limits: Limits, trace: Trace) -> Iterator[tuple[Limit, bool]]:
    """What speaks for each limit, the plainest word first."""
    nearly = trace.peak_memory >= limits.memory_bytes * NEARLY
    yield Limit.MEMORY, trace.memory_kills > 0 or nearly
    yield Limit.PIDS, trace.refused_forks > 0
    yield Limit.CPU, trace.cpu_seconds >= limits.cpu_seconds or trace.exit_code == 128 + signal.SIGXCPU
    # The last write of a full disk is cut short: a file of exactly the limit, or less by what did not fit.
    full = trace.disk >= limits.disk_bytes * NEARLY
    yield Limit.DISK, full or trace.exit_code == 128 + signal.SIGXFSZ
