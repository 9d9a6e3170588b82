"""Whether a change of an issue is a request nobody has heard: opened and labelled at once, twice, late, in any order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from boatwright.rules import news
from boatwright.rules.news import News
from boatwright.values.incoming import IssueAction, IssueChanged, Origin
from boatwright.values.trigger import Heard

AT = Origin("github", "acme/boat", "ada")
T0 = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def change(
    action: IssueAction, labels: tuple[str, ...], at: float, added: tuple[str, ...] | None = None
) -> IssueChanged:
    return IssueChanged(AT, action, 7, "t", "b", "ada", True, labels, (), added, later(at))


OPENED = change(IssueAction.OPENED, ("agent",), 0)
LABELLED = change(IssueAction.LABELLED, ("agent",), 1, ("agent",))
RESULT = change(IssueAction.LABELLED, ("agent",), 1)
"""As Gitea tells it: the labels there are, not which is new."""


def requests(*changes: IssueChanged) -> int:
    """How many requests these are, one after the other as deliveries of their own."""
    before: Heard | None = None
    number = 0
    for index, event in enumerate(changes):
        said = news.judge(before, event, "agent", f"delivery:{index}")
        if event.action in {IssueAction.OPENED, IssueAction.LABELLED} and said is News.NEW and event.labels:
            number += 1
            before = news.asked(before, event, execution=f"ex-{number}", delivery=f"delivery:{index}", now=T0)
        else:
            before = news.heard(before, event)
    return number


UNLABELLED = change(IssueAction.UNLABELLED, (), 100)
AGAIN = change(IssueAction.LABELLED, ("agent",), 200, ("agent",))


@pytest.mark.parametrize("events", [(OPENED, LABELLED), (OPENED, RESULT), (LABELLED,), (RESULT,), (OPENED,)])
def test_one_new_issue_asks_once_however_its_deliveries_come(events: tuple[IssueChanged, ...]) -> None:
    for order in permutations(events * 2):
        assert requests(*order) == 1


def test_a_label_put_on_again_asks_again() -> None:
    assert requests(OPENED, LABELLED, UNLABELLED, AGAIN) == 2
    assert requests(OPENED, LABELLED, AGAIN, AGAIN) == 2, "that it was taken off was not heard"
    assert requests(OPENED, replace(UNLABELLED, added=None), replace(AGAIN, added=None)) == 2


def test_what_is_late_asks_nothing() -> None:
    assert requests(UNLABELLED, LABELLED) == 0
    assert requests(AGAIN, UNLABELLED, LABELLED, OPENED) == 1


@pytest.mark.parametrize(
    ("before", "event", "said"),
    [
        (None, change(IssueAction.LABELLED, ("agent", "bug"), 1, ("bug",)), News.KNOWN),
        (None, change(IssueAction.LABELLED, ("agent", "boatwright:pi"), 1, ("boatwright:pi",)), News.NEW),
        (Heard(("agent",), (), T0), LABELLED, News.NEW),
        (Heard(("agent",), (), T0, T0), LABELLED, News.KNOWN),
        (Heard(("agent",), (), T0, T0), replace(LABELLED, changed=T0 + news.GRACE), News.KNOWN),
        (Heard(("agent",), (), T0, T0), replace(LABELLED, changed=later(60.001)), News.NEW),
        (Heard(("agent",), (), later(2)), LABELLED, News.STALE),
        (Heard(("agent",), (), later(2), later(2), "ex-1", "me"), LABELLED, News.MINE),
        (Heard((), (), T0), replace(RESULT, changed=None), News.NEW),
    ],
)
def test_the_table(before: Heard | None, event: IssueChanged, said: News) -> None:
    assert news.judge(before, event, "agent", "me") is said


def test_an_assignee_asks_once_each() -> None:
    assigned = IssueChanged(
        AT, IssueAction.ASSIGNED, 7, "t", "b", "", True, ("boatwright:pi",), ("bob",), None, T0
    )
    assert news.judge(None, assigned, "agent", "me") is News.NEW
    known = news.asked(None, assigned, execution="ex-1", delivery="other", now=T0)
    assert news.judge(known, assigned, "agent", "me") is News.KNOWN
    both = replace(assigned, assignees=("bob", "cy"), changed=later(1))
    assert news.judge(known, both, "agent", "me") is News.NEW


def test_a_forge_without_a_clock_is_remembered_by_ours() -> None:
    timeless = replace(LABELLED, changed=None)
    known = news.asked(None, timeless, execution="ex-1", delivery="one", now=T0)
    assert known.asked == T0 and news.judge(known, timeless, "agent", "two") is News.KNOWN


@pytest.mark.parametrize(
    ("before", "created", "said"),
    [
        (None, T0, News.NEW),
        (Heard((), (), T0), T0, News.NEW),
        (Heard((), (), None, T0, "ex-1", "delivery:1"), later(1), News.NEW),
        (Heard((), (), None, T0, "ex-1", "delivery:1"), T0, News.STALE),
        (Heard((), (), None, T0, "ex-1", "me"), T0, News.MINE),
        (Heard((), (), None, T0, "ex-1", "me"), None, News.MINE),
    ],
)
def test_a_comment_that_asks_for_a_plan(before: Heard | None, created: datetime | None, said: News) -> None:
    assert news.asks_anew(before, created, "me") is said
