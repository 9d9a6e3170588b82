"""Kill something on the way and look at everything the promise speaks of. The long form is ``make chaos``."""

from __future__ import annotations

import pytest

from boatwright.testing import drill
from boatwright.testing.drill import Kill, Part

SHORT = (Kill(at="step.saved"), Kill(at="deliver.opened"), Kill(part=Part.PROXY))
LONG = tuple(kill for kill in drill.every_kill() if kill not in SHORT)


def _holds(kill: Kill) -> None:
    after = drill.run(kill)
    assert after.died, f"{kill}: nothing died, so nothing was shown"
    assert after.broken == ()


@pytest.mark.parametrize("kill", SHORT, ids=str)
def test_the_promise_holds(kill: Kill) -> None:
    _holds(kill)


@pytest.mark.chaos
@pytest.mark.parametrize("kill", LONG, ids=str)
def test_the_promise_holds_at_every_other_point(kill: Kill) -> None:
    _holds(kill)
