"""Checks of other programs on a commit of ours, in words that are the same for every forge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Standing(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    WAITING = "waiting"
    VOID = "void"  # ended and says nothing: cancelled, stale, waiting for a person


@dataclass(frozen=True, slots=True)
class TheirCheck:
    """A check that is not ours, as it stands. ``conclusion`` is the forge's own word; ``name`` and it are untrusted."""

    name: str
    standing: Standing
    conclusion: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check that failed, and what it said: the end of its log, or its own words. Untrusted, and as it came."""

    name: str
    conclusion: str
    url: str
    log: str
