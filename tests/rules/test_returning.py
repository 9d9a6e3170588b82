"""When work that stopped for its forge goes on by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from boatwright.rules import returning

STOPPED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "minutes"),
    [(0, 5), (1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (30, 60), (31, None), (10**9, None)],
)
def test_each_time_it_is_left_alone_for_longer(times: int, minutes: int | None) -> None:
    assert returning.pause(times) == (None if minutes is None else timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("times", "seconds", "due"),
    [(1, 299, False), (1, 300, True), (2, 300, False), (2, 600, True), (31, 10**9, False)],
)
def test_it_goes_on_when_that_has_passed(times: int, seconds: int, due: bool) -> None:
    assert returning.due(times, STOPPED, STOPPED + timedelta(seconds=seconds)) is due
