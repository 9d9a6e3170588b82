"""How fast a wire may ask: so many requests a minute, with a minute's worth at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """What is left of a minute's requests, and when that was so (seconds of a clock that never goes back)."""

    left: float
    at: float


@dataclass(frozen=True, slots=True)
class Taken:
    """The bucket after a request; ``wait`` seconds until the next may be asked, 0 when this one may."""

    bucket: Bucket
    wait: int


def take(bucket: Bucket | None, per_minute: int, now: float) -> Taken:
    """Take one request out of the bucket, full at first; a request that must wait takes nothing."""
    bucket = bucket or Bucket(float(per_minute), now)
    gained = max(0.0, now - bucket.at) * per_minute / MINUTE
    left = min(float(per_minute), bucket.left + gained)
    if left >= 1.0:
        return Taken(Bucket(left - 1.0, now), 0)
    return Taken(Bucket(left, now), max(1, math.ceil((1.0 - left) * MINUTE / per_minute)))
