"""Which webhooks are asked for again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from boatwright.rules import missed
from boatwright.rules.missed import Attempt, Progress, Walk

NOW = datetime(2026, 1, 5, tzinfo=UTC)


def ago(number: int, guid: str, ok: bool, minutes: float) -> Attempt:
    return Attempt(number, guid, ok, NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("attempts", "wanted"),
    [
        ([], []),
        ([ago(1, "a", True, 60)], []),
        ([ago(1, "a", False, 60)], [1]),
        ([ago(1, "a", False, 4)], []),
        ([ago(1, "a", False, 5)], [1]),
        ([ago(1, "a", False, 60), ago(2, "a", True, 30)], []),
        ([ago(1, "a", False, 60), ago(2, "a", False, 9)], []),
        ([ago(1, "a", False, 60), ago(2, "a", False, 10)], [2]),
        ([ago(1, "a", False, 60), ago(2, "b", False, 90), ago(3, "c", True, 80)], [2, 1]),
        ([ago(n, "a", False, 4_000 - n) for n in range(6)], []),
        ([ago(1, "a", False, 3 * 24 * 60)], []),
        ([ago(1, "a", False, 3 * 24 * 60 - 1)], [1]),
    ],
)
def test_what_nobody_took_is_asked_for_again_after_a_while(
    attempts: list[Attempt], wanted: list[int]
) -> None:
    assert missed.again(attempts, NOW) == wanted
    assert missed.again(list(reversed(attempts)), NOW) == wanted


def test_of_what_was_taken_at_once_nothing_is_kept() -> None:
    plain = Attempt(1, "a", True, NOW, redelivery=False)
    lost, later = ago(2, "b", False, 30), ago(3, "b", True, 20)
    assert missed.seen(Progress(), [plain, lost, later]).attempts == (lost, later)
    assert missed.seen(Progress(attempts=(lost,)), [replace(lost, ok=True)]).attempts == (
        replace(lost, ok=True),
    )


def test_a_walk_ends_where_the_last_one_began_or_where_nothing_is_kept() -> None:
    assert missed.floor(Progress(), NOW) == NOW - missed.KEPT
    assert missed.floor(Progress(mark=NOW - timedelta(days=9)), NOW) == NOW - missed.KEPT
    assert missed.floor(Progress(mark=NOW), NOW) == NOW - missed.OVERLAP


def test_a_walk_that_is_interrupted_forgets_nothing_and_one_at_its_end_what_was_taken() -> None:
    lost, taken, old = ago(1, "a", False, 30), ago(2, "b", True, 20), ago(3, "c", False, 3 * 24 * 60 + 1)
    before = Progress(mark=NOW - timedelta(hours=1), attempts=(lost, taken, old, ago(4, "b", False, 25)))
    paused = missed.paused(before, "next", NOW, NOW)
    assert (paused.mark, paused.walk) == (before.mark, Walk("next", NOW))
    assert [attempt.id for attempt in paused.attempts] == [1, 2, 4]
    assert missed.arrived(paused, NOW, NOW) == Progress(NOW, None, (lost,))
    assert missed.arrived(before, None, NOW).mark == before.mark, "an empty list"
