"""When a wire has carried nothing for how long."""

from __future__ import annotations

import pytest

from boatwright.rules import silence
from boatwright.rules.silence import Heard, Quiet


@pytest.mark.parametrize(
    ("before", "now", "since"),
    [
        (Heard(), Heard(), 10.0),
        (Heard(ended=3, asked=2), Heard(ended=3, asked=2), 10.0),
        (Heard(ended=3), Heard(ended=4), 50.0),
        (Heard(asked=1), Heard(asked=2), 50.0),
        (Heard(), Heard(under_way=1), 50.0),
        (Heard(under_way=1), Heard(under_way=1), 50.0),  # a long answer is no silence
        (Heard(under_way=1), Heard(), 50.0),  # it ended just now
    ],
)
def test_anything_new_ends_the_quiet(before: Heard, now: Heard, since: float) -> None:
    after = Quiet(10.0, before).next(now, 50.0)
    assert after.since == since and (after.heard == now or since == 10.0)


def test_a_time_as_people_say_it() -> None:
    assert (silence.words(1_800), silence.words(90), silence.words(5)) == (
        "30 minutes",
        "1.5 minutes",
        "5 seconds",
    )
