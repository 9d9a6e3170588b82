"""When work that stopped because its forge was away is taken up again by itself."""

from __future__ import annotations

from datetime import datetime, timedelta

FIRST = timedelta(minutes=5)
LONGEST = timedelta(hours=1)
MOST = 30
"""Times in a row; after that, about a day, it waits for a person."""


def pause(times: int) -> timedelta | None:
    """How long to leave a forge alone after work stopped for it ``times`` times in a row; None: for a person to say."""
    if times > MOST:
        return None
    return min(FIRST * (1 << min(max(times - 1, 0), 10)), LONGEST)


def due(times: int, stopped: datetime, now: datetime) -> bool:
    """Whether to go on now, with work that stopped at ``stopped``."""
    wait = pause(times)
    return wait is not None and now - stopped >= wait
