"""When an agent of which nothing is heard has been silent for too long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """What one wire has carried. ``ended``: the number of the model call that ended last; ``asked``: calls of its
    services so far; ``under_way``: calls of either kind that have not ended.
    """

    ended: int = 0
    asked: int = 0
    under_way: int = 0


@dataclass(frozen=True, slots=True)
class Quiet:
    """Since when nothing was heard, on a clock that never goes back, and what had been heard then."""

    since: float
    heard: Heard

    def next(self, heard: Heard, now: float) -> Quiet:
        """Anything new, and any call that is still under way, ends the quiet."""
        return Quiet(now, heard) if heard.under_way or heard != self.heard else self


def words(seconds: float) -> str:
    """A time as people say it."""
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
