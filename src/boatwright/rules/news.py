"""Whether a change of an issue is a request nobody has heard yet. Deliveries come twice, late, and in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from boatwright.rules import orders
from boatwright.values.incoming import IssueAction, IssueChanged
from boatwright.values.trigger import Heard

GRACE = timedelta(seconds=60)
"""Opening an issue with its label is two events. What comes this soon after a request is part of it."""


class News(StrEnum):
    NEW = "new"  # a request of its own
    KNOWN = "known"  # the issue bears what it bore when it last asked
    STALE = "stale"  # something newer was heard before
    MINE = "mine"  # the very delivery that was given an execution already: it was interrupted


def judge(before: Heard | None, event: IssueChanged, label: str, delivery: str) -> News:
    """What the change says that was not known. It is one that may ask, and the issue bears a trigger.

    A forge that says which label is new is believed: another label on an issue that waits to be asked for is no request.
    An issue that was only looked at asks if it bears a trigger nobody heard of, or that nobody was given work for.
    """
    now = orders.triggers(event.labels, event.assignees, label)
    if before is not None and before.delivery == delivery:
        return News.MINE
    if before is not None and earlier(event.changed, before.changed):
        return News.STALE
    bore = orders.triggers(before.labels, before.assignees, label) if before else frozenset[str]()
    if event.action is IssueAction.LISTED:
        return News.NEW if now - bore or _never_asked(before) else News.KNOWN
    if event.added is None:
        return News.NEW if now - bore else News.KNOWN
    if not any(_asks(name, label) for name in event.added):
        return News.KNOWN
    return News.NEW if now - bore or _later(event.changed, before) else News.KNOWN


def heard(before: Heard | None, event: IssueChanged) -> Heard:
    """What is known of the issue after the change; a stale one changes nothing."""
    if before is None:
        return Heard(event.labels, event.assignees, event.changed)
    if earlier(event.changed, before.changed):
        return before
    return replace(
        before,
        labels=event.labels,
        assignees=event.assignees,
        changed=event.changed or before.changed,
    )


def asked(
    before: Heard | None, event: IssueChanged, *, execution: str, delivery: str, now: datetime
) -> Heard:
    """The same, and the change has asked: ``execution`` is the id its work has. ``now`` where the forge has no time."""
    stands = heard(before, event)
    return replace(stands, asked=event.changed or now, execution=execution, delivery=delivery)


def asked_by_comment(before: Heard | None, created: datetime, *, execution: str, delivery: str) -> Heard:
    """The same for a comment, which says nothing of labels."""
    stands = before or Heard((), ())
    return replace(stands, asked=created, execution=execution, delivery=delivery)


def asks_anew(before: Heard | None, created: datetime | None, delivery: str) -> News:
    """The same question of a comment that asks for work (``/boatwright plan``)."""
    if before is None or before.asked is None or created is None:
        return News.MINE if before is not None and before.delivery == delivery else News.NEW
    if before.delivery == delivery:
        return News.MINE
    return News.NEW if created > before.asked else News.STALE


def _asks(name: str, label: str) -> bool:
    return name == label or name.startswith(orders.AGENT_PREFIX)


def _never_asked(before: Heard | None) -> bool:
    return before is None or before.asked is None


def earlier(moment: datetime | None, than: datetime | None) -> bool:
    """Whether a forge says so; a time it does not tell is not earlier."""
    return moment is not None and than is not None and moment < than


def _later(moment: datetime | None, before: Heard | None) -> bool:
    """A label that is put on again, a while after the last request, asks again; so does one nobody was let ask with."""
    if before is None or before.asked is None:
        return True
    return moment is not None and moment > before.asked + GRACE
