"""Which webhooks nobody took, and are to be sent again. GitHub tries once, never again by itself, and keeps three days.

Its list is read from the newest to where the last walk began; a walk that is too long for one round goes on in the next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

KEPT = timedelta(days=3)
FIRST = timedelta(minutes=5)
OVERLAP = timedelta(minutes=10)
"""What was listed while it was still under way is read once more."""
MOST = 6
"""Attempts; after these a webhook is found by looking at the forge instead, or by a person."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver. Every attempt of one webhook has the same ``guid``."""

    id: int
    guid: str
    ok: bool
    at: datetime
    redelivery: bool = True


@dataclass(frozen=True, slots=True)
class Walk:
    """One that has not come to its end: the address of the next page, and the newest moment it saw."""

    next: str
    newest: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the list was read. ``mark``: everything up to then; None: nothing. ``attempts``: what is known of webhooks
    that nobody took at first. Losing it costs calls: everything GitHub keeps is read again.
    """

    mark: datetime | None = None
    walk: Walk | None = None
    attempts: tuple[Attempt, ...] = ()


def floor(progress: Progress, now: datetime) -> datetime:
    """Where a walk may end: nothing older is news, or can be sent again."""
    kept = now - KEPT
    return kept if progress.mark is None else max(kept, progress.mark - OVERLAP)


def seen(progress: Progress, page: Iterable[Attempt]) -> Progress:
    """With what one page tells. Of what was taken at once nothing needs to be known."""
    known = {attempt.id: attempt for attempt in progress.attempts}
    known |= {attempt.id: attempt for attempt in page if attempt.redelivery or not attempt.ok}
    return replace(progress, attempts=tuple(known.values()))


def paused(progress: Progress, address: str, newest: datetime, now: datetime) -> Progress:
    """The walk goes on at that address in the next round."""
    return replace(progress, walk=Walk(address, newest), attempts=_fresh(progress.attempts, now, frozenset()))


def arrived(progress: Progress, newest: datetime | None, now: datetime) -> Progress:
    """The walk is at its end: what was taken meanwhile, or is gone at GitHub, need not be known any longer."""
    taken = frozenset(attempt.guid for attempt in progress.attempts if attempt.ok)
    return Progress(newest or progress.mark, None, _fresh(progress.attempts, now, taken))


def _fresh(attempts: Iterable[Attempt], now: datetime, taken: frozenset[str]) -> tuple[Attempt, ...]:
    return tuple(each for each in attempts if now - each.at <= KEPT and each.guid not in taken)


def again(attempts: Iterable[Attempt], now: datetime) -> Sequence[int]:
    """The attempts to repeat, the oldest first: one of each webhook nobody took, and that was left alone for a while."""
    by_guid: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_guid.setdefault(attempt.guid, []).append(attempt)
    wanted = [
        max(each, key=lambda attempt: (attempt.at, attempt.id))
        for each in by_guid.values()
        if _due(each, now)
    ]
    return [attempt.id for attempt in sorted(wanted, key=lambda attempt: (attempt.at, attempt.id))]


def _due(attempts: Sequence[Attempt], now: datetime) -> bool:
    if any(attempt.ok for attempt in attempts) or len(attempts) >= MOST:
        return False
    first, last = min(attempt.at for attempt in attempts), max(attempt.at for attempt in attempts)
    return now - first < KEPT and now - last >= FIRST * (1 << (len(attempts) - 1))
