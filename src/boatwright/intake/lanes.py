"""Who is next: a lane for each repository of each forge, so that one that is slow, or away, holds up no other.

What happened in one repository is heard one after the other, in the order it came. A forge takes :data:`LANES` of its
repositories at once, whatever goes on at another. Nothing here reads, writes or waits; losing it costs a look at the rows.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

LANES = 8
"""So many repositories of one forge are heard at once."""
REST = timedelta(minutes=5)
"""The longest a lane waits after its forge was found away: then the next delivery in line finds out whether it is back."""


@dataclass(eq=False)
class Lane:
    """The deliveries of one repository, by number. ``names``: what else its deliveries call it until they are heard."""

    forge: str
    key: str
    waiting: list[int] = field(default_factory=list)
    running: int | None = None
    rests: datetime | None = None
    """Nothing of it is tried before then."""
    fell: int | None = None
    """The delivery that found the forge away; when it is to be tried, so is the lane."""
    names: set[str] = field(default_factory=set)

    def may_go(self, now: datetime) -> bool:
        return bool(self.waiting) and self.running is None and (self.rests is None or self.rests <= now)


class Lanes:
    """All lanes of a pump. Used on one event loop."""

    def __init__(self, most: int = LANES) -> None:
        self._most = most
        self._lanes: dict[tuple[str, str], Lane] = {}
        self._known: set[int] = set()

    def knows(self, number: int) -> bool:
        """Whether a delivery stands in a lane, or is being processed."""
        return number in self._known

    def add(self, number: int, forge: str, key: str, *, also: str = "") -> None:
        """Put a delivery in line. ``also``: another name of its repository, by which the register may not know it yet:
        what comes under that name stands behind it.
        """
        lane = self._of(forge, key)
        lane.names |= {also} if also else set()
        if number == lane.fell:
            lane.rests = lane.fell = None
        heapq.heappush(lane.waiting, number)
        self._known.add(number)

    def take(self, now: datetime) -> Sequence[tuple[Lane, int]]:
        """What may begin now, the oldest first; each is to be given back with :meth:`left`."""
        busy = Counter(lane.forge for lane in self._lanes.values() if lane.running is not None)
        taken: list[tuple[Lane, int]] = []
        for lane in sorted((each for each in self._lanes.values() if each.may_go(now)), key=_oldest):
            if busy[lane.forge] < self._most:
                busy[lane.forge] += 1
                lane.running = heapq.heappop(lane.waiting)
                taken.append((lane, lane.running))
        return taken

    def left(self, lane: Lane) -> None:
        """What was taken of it has ended, however it did."""
        if lane.running is not None:
            self._known.discard(lane.running)
        lane.running = None
        if not lane.waiting and lane.rests is None:
            del self._lanes[lane.forge, lane.key]

    def rest(self, lane: Lane, until: datetime, now: datetime) -> datetime:
        """Its forge is away: nothing of it is tried until then, or for :data:`REST`. Returns which it is."""
        lane.rests, lane.fell = min(until, now + REST), lane.running
        return lane.rests

    def wake(self, now: datetime) -> None:
        """Forget the lanes that have rested and hold nothing."""
        for at, lane in list(self._lanes.items()):
            if lane.rests is not None and lane.rests <= now:
                lane.rests = lane.fell = None
                if not lane.waiting and lane.running is None:
                    del self._lanes[at]

    def _of(self, forge: str, key: str) -> Lane:
        found = self._lanes.get((forge, key))
        if found is None:
            named = (lane for lane in self._lanes.values() if lane.forge == forge and key in lane.names)
            found = next(named, None) or self._lanes.setdefault((forge, key), Lane(forge, key))
        return found


def _oldest(lane: Lane) -> int:
    return lane.waiting[0]
