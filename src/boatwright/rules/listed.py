"""What a look at a forge's lists shows that nobody told us of, and when to look again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from boatwright.rules import news, orders
from boatwright.values.trigger import Heard

OVERLAP = timedelta(minutes=5)
"""A list is read page by page while people go on writing: each look goes back so far behind the newest it saw."""
GRAIN = 2.0
"""Seconds after which nothing more is written under a time that was seen."""
LONGEST = 3_600.0
"""The most seconds between two looks at a repository that cannot be looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An open issue as a list shows it. ``updated`` is the forge's own time; None where it does not say."""

    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    updated: datetime | None


@dataclass(frozen=True, slots=True)
class Words:
    """Title and text of an issue, as ``digest``. ``since``: a moment, by the forge's clock, at which they stood; None
    where it tells no times. ``unasked``: they were seen while no label asked for work.
    """

    digest: str
    since: datetime | None
    unasked: bool


def words(title: str, body: str, updated: datetime | None, last: Words | None, *, asks: bool) -> Words:
    """What is known now of an issue's words. ``last``: what the look before knew; ``asks``: it bears a label that asks.

    Words that are seen for the first time stood when the issue changed last. Those of an issue that had others before may
    be as new as the end of that second: forges tell times to the second.
    """
    digest = hashlib.sha256(json.dumps([title, body]).encode()).hexdigest()
    if last is not None and last.digest == digest:
        return Words(digest, last.since, last.unasked or not asks)
    second = updated.replace(microsecond=0) if updated is not None else None
    since = second + timedelta(seconds=1) if second is not None and last is not None else second
    return Words(digest, since, not asks)


def stood_at(known: Words, moment: datetime) -> bool:
    """Whether an issue had these words already then."""
    return known.since is not None and known.since <= moment


def stood_when_labelled(known: Words, labelled: datetime) -> bool:
    """Whether whoever put the label on that asks can have read these words before."""
    return known.unasked or stood_at(known, labelled)


@dataclass
class Newest:
    """The newest moment of what was seen, from ``moment`` on."""

    moment: datetime

    def see(self, moment: datetime | None) -> None:
        if moment is not None and moment > self.moment:
            self.moment = moment


def is_news(before: Heard | None, seen: Seen, label: str, *, worked: bool) -> bool:
    """Whether the hearing should learn how the issue stands.

    It should of a trigger nobody heard of, of one that was heard of and never given work (a lost webhook after an edit
    that came through), and of one that is gone. ``worked``: there is an execution of the issue that was begun otherwise.
    """
    if before is not None and news.earlier(seen.updated, before.changed):
        return False
    now = orders.triggers(seen.labels, seen.assignees, label)
    bore = orders.triggers(before.labels, before.assignees, label) if before else frozenset[str]()
    if before is None or before.asked is None:
        return bool(now) and not worked
    return now != bore


@dataclass(frozen=True, slots=True)
class Read:
    """When what is said at an issue was read: ``updated`` is the issue's own time then, ``since`` when that time was
    first seen, ``at`` the last reading; both in seconds of a clock of ours that only goes forward.
    """

    updated: datetime | None
    since: float
    at: float


def reading(updated: datetime | None, last: Read | None, now: float) -> Read:
    """A reading, now."""
    return Read(updated, last.since if last is not None and last.updated == updated else now, now)


def is_unread(updated: datetime | None, last: Read | None, mark: datetime) -> bool:
    """Whether there may be something new to read at an issue.

    Forges tell times to the second: what was read within the very second it was written is read once more.
    """
    if updated is not None and updated < mark - OVERLAP:
        return False
    return updated is None or last is None or last.updated != updated or last.at < last.since + GRAIN


def is_recent(created: datetime, mark: datetime) -> bool:
    """Whether a comment may have been written since; it is heard once, however often it is read."""
    return created >= mark - OVERLAP


def pause(every: float, failures: int) -> float:
    """Seconds until the next look: ``every``, and twice as long after each failure in a row, up to an hour."""
    return every if failures == 0 else max(every, min(every * 2.0 ** min(failures, 20), LONGEST))
