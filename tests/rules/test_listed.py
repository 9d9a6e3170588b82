"""What a look at a forge's lists shows that nobody told us of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from boatwright.rules import listed, news, orders
from boatwright.rules.listed import GRAIN, OVERLAP, Newest, Read, Seen, Words
from boatwright.rules.news import News
from boatwright.values.incoming import IssueAction, IssueChanged, Origin
from boatwright.values.trigger import Heard

T = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER, EARLIER = T + timedelta(seconds=1), T - timedelta(seconds=1)
ASKED = Heard(("agent",), (), changed=T, asked=T, execution="e1", delivery="delivery:1")
EDITED = Heard(("agent",), (), changed=T)
PLAIN = Heard((), (), changed=T)

TABLE = [
    # before, labels, assignees, updated, worked: news, and what the hearing then judges
    (None, (), (), T, False, False, None),
    (None, ("bug",), ("ann",), T, False, False, None),
    (None, ("agent",), (), T, False, True, News.NEW),
    (None, ("agent",), (), T, True, False, None),
    (None, ("boatwright:fixer",), (), T, False, False, None),
    (None, ("boatwright:fixer",), ("ann",), T, False, True, News.NEW),
    (PLAIN, ("agent",), (), LATER, False, True, News.NEW),
    (PLAIN, ("agent",), (), None, False, True, News.NEW),
    (PLAIN, ("agent",), (), EARLIER, False, False, News.STALE),
    (EDITED, ("agent",), (), LATER, False, True, News.NEW),
    (EDITED, ("agent",), (), T, False, True, News.NEW),
    (EDITED, ("agent",), (), LATER, True, False, None),
    (ASKED, ("agent",), (), LATER, False, False, News.KNOWN),
    (ASKED, ("agent", "bug"), (), LATER, True, False, News.KNOWN),
    (ASKED, (), (), LATER, True, True, None),
    (ASKED, (), (), EARLIER, True, False, None),
    (ASKED, ("agent", "boatwright:fixer"), ("ann",), LATER, True, True, News.NEW),
]


@pytest.mark.parametrize(("before", "labels", "assignees", "updated", "worked", "expected", "judged"), TABLE)
def test_what_is_news(
    before: Heard | None,
    labels: tuple[str, ...],
    assignees: tuple[str, ...],
    updated: datetime | None,
    worked: bool,
    expected: bool,
    judged: News | None,
) -> None:
    assert listed.is_news(before, Seen(labels, assignees, updated), "agent", worked=worked) is expected
    if judged is not None:
        looked = IssueChanged(
            Origin("github", "a/b", "ann"), IssueAction.LISTED, 7, "t", "b", "eve", True, labels, assignees,
            None, updated,
        )  # fmt: skip
        assert news.judge(before, looked, "agent", "delivery:2") is judged


def test_a_webhook_that_comes_after_the_look_asks_for_nothing_more() -> None:
    """The look saw the label and whatever came after it; the webhook tells of the label alone, and late."""
    at = Origin("github", "a/b", "ann")
    looked = IssueChanged(at, IssueAction.LISTED, 7, "t", "b", "eve", True, ("agent",), (), None, LATER)
    before = news.asked(None, looked, execution="e1", delivery="delivery:1", now=LATER)
    for moment, expected in ((T, News.STALE), (LATER, News.KNOWN)):
        late = IssueChanged(
            at, IssueAction.LABELLED, 7, "t", "b", "eve", True, ("agent",), (), ("agent",), moment
        )
        assert news.judge(before, late, "agent", "delivery:2") is expected


def test_the_delivery_of_a_look_that_was_interrupted_is_the_same_one() -> None:
    looked = IssueChanged(
        Origin("github", "a/b", "ann"), IssueAction.LISTED, 7, "t", "b", "e", True, ("agent",), ()
    )
    assert news.judge(ASKED, looked, "agent", "delivery:1") is News.MINE


MARK = T
UNREAD = [
    (T, None, True),
    (T - OVERLAP, None, True),
    (T - OVERLAP - timedelta(seconds=1), None, False),
    (T, Read(T, since=10.0, at=10.0), True),
    (T, Read(T, since=10.0, at=10.0 + GRAIN), False),
    (LATER, Read(T, since=10.0, at=99.0), True),
    (None, Read(None, since=10.0, at=99.0), True),
]


@pytest.mark.parametrize(("updated", "last", "expected"), UNREAD)
def test_what_is_read_again(updated: datetime | None, last: Read | None, expected: bool) -> None:
    assert listed.is_unread(updated, last, MARK) is expected


def test_a_reading_remembers_when_the_time_was_first_seen() -> None:
    first = listed.reading(T, None, 10.0)
    second = listed.reading(T, first, 15.0)
    assert (first, second) == (Read(T, 10.0, 10.0), Read(T, 10.0, 15.0))
    assert listed.reading(LATER, second, 20.0) == Read(LATER, 20.0, 20.0)


def test_comments_are_heard_from_a_while_before_the_mark() -> None:
    assert listed.is_recent(T - OVERLAP, T)
    assert not listed.is_recent(T - OVERLAP - timedelta(microseconds=1), T)


@pytest.mark.parametrize(
    ("every", "failures", "expected"),
    [
        (30, 0, 30),
        (30, 1, 60),
        (30, 2, 120),
        (30, 6, 1_920),
        (30, 7, 3_600),
        (30, 400, 3_600),
        (7_200, 3, 7_200),
    ],
)
def test_the_pause_grows_with_failures_up_to_an_hour(every: float, failures: int, expected: float) -> None:
    assert listed.pause(every, failures) == expected


def test_the_newest_moment_never_goes_back() -> None:
    newest = Newest(T)
    for moment in (EARLIER, None, LATER, T):
        newest.see(moment)
    assert newest.moment == LATER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/boatwright stop", True), ("\n  /Boatwright plan\nmore", True), ("/boatwright", True), ("", False),
        ("say /boatwright stop", False), ("/boatwrights", False), ("words\n/boatwright stop", False),
    ],
)  # fmt: skip
def test_what_calls_the_program(text: str, expected: bool) -> None:
    assert orders.is_command(text) is expected


def test_which_labels_ask() -> None:
    labels = ("bug", "agent", "boatwright:fixer", "boatwright-bottle:big")
    assert orders.asking(labels, "agent") == {"agent", "boatwright:fixer"}


def looked(*looks: tuple[str, datetime | None, bool]) -> Words:
    """What is known after looks: text, when the issue changed last, whether it bears a label that asks."""
    known: Words | None = None
    for body, updated, asks in looks:
        known = listed.words("t", body, updated, known, asks=asks)
    assert known is not None
    return known


S = timedelta(seconds=1)
LABELLED = T + 5 * S
LOOKS = [
    # looks, whether the words stood when the label came, and whether they did at a comment of that moment
    ([("a", T, False), ("a", LABELLED + 9 * S, True)], True, True),
    ([("a", T, False), ("b", LABELLED + S, True)], False, False),
    ([("a", T, False), ("b", LABELLED, True)], False, False),
    ([("a", T, False), ("b", LABELLED - S, True)], True, True),
    ([("a", LABELLED + S, False), ("a", LABELLED + S, True)], True, False),
    ([("a", LABELLED, True)], True, True),
    ([("a", LABELLED + S / 2, True)], True, True),
    ([("a", LABELLED + S, True)], False, False),
    ([("a", LABELLED, True), ("a", LABELLED + 9 * S, True)], True, True),
    ([("a", T, False), ("b", LABELLED + S, True), ("a", LABELLED + 2 * S, True)], False, False),
    ([("a", T, True), ("b", T + S, True), ("b", LABELLED, True)], True, True),
    ([("a", None, True)], False, False),
    ([("a", None, False), ("a", None, True)], True, False),
]


@pytest.mark.parametrize(("looks", "labelled", "said"), LOOKS)
def test_words_that_may_be_newer_than_what_asks(
    looks: list[tuple[str, datetime | None, bool]], labelled: bool, said: bool
) -> None:
    known = looked(*looks)
    assert listed.stood_when_labelled(known, LABELLED) is labelled
    assert listed.stood_at(known, LABELLED) is said


def test_a_title_and_a_text_are_not_run_together() -> None:
    one = listed.words("ab", "c", T, None, asks=False)
    assert listed.words("a", "bc", LATER, one, asks=True).unasked is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/boatwright plan", True), ("\n /Boatwright  PLAN now", True), ("/boatwright", False), ("/boatwright stop", False),
     ("plan", False), ("/boatwright planet", False)],
)  # fmt: skip
def test_what_asks_for_a_plan(text: str, expected: bool) -> None:
    assert orders.asks_for_plan(text) is expected
