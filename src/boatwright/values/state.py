"""The states of an execution. Which may follow which is a table in ``rules/transitions.py``."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    PENDING = "PENDING"
    ANALYZING = "ANALYZING"
    PLANNING = "PLANNING"
    EXECUTING = "EXECUTING"
    VERIFYING = "VERIFYING"
    DELIVERED = "DELIVERED"  # people's turn
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    PARKED = "PARKED"


FINISHED = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
