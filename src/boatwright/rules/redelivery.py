"""When a delivery that could not be processed is tried again, and when that ends."""

from __future__ import annotations

from datetime import timedelta

SCHEDULE = tuple(timedelta(minutes=minutes) for minutes in (1, 1, 5, 5, 30, 30))
"""The pause after each failure: 1, 5 and 30 minutes, two tries each. After the last try it is dead."""

MOST_ATTEMPTS = len(SCHEDULE) + 1


def pause(attempts: int) -> timedelta | None:
    """How long to wait after ``attempts`` failed ones; None when that was the last."""
    return SCHEDULE[attempts - 1] if attempts <= len(SCHEDULE) else None
