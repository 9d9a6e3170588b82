"""When a failed delivery is tried again."""

from __future__ import annotations

import pytest

from boatwright.rules import redelivery


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 1), (3, 5), (4, 5), (5, 30), (6, 30), (7, None), (8, None)]
)
def test_one_five_and_thirty_minutes_two_tries_each(attempts: int, minutes: int | None) -> None:
    pause = redelivery.pause(attempts)
    assert (pause.total_seconds() / 60 if pause else None) == minutes
