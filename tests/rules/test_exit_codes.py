"""The number for each way an execution can stand."""

from __future__ import annotations

from typing import Any

import pytest

from boatwright.rules import exit_codes
from boatwright.rules.fold import fold
from boatwright.rules.proof import EXIT_CODES
from boatwright.testing import samples
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.proof import Word
from boatwright.values.state import State


def view(state: State, **changes: Any) -> ExecutionView:
    first = Event(
        event_id="e", stream="ex-1", sequence=1, position=1, key="k", time=samples.MOMENT, payload=samples.requested(),
        causation_id=None, correlation_id="e", producer="test", tenant="local", repository="r", tags=(), hash="",
    )  # fmt: skip
    made = fold(None, first)
    assert made is not None
    return made.model_copy(update={"state": state, **changes})


@pytest.mark.parametrize(
    ("state", "changes", "ended", "asked"),
    [
        (State.PENDING, {}, 0, 8),
        (State.ANALYZING, {}, 0, 8),
        (State.PLANNING, {}, 0, 8),
        (State.EXECUTING, {}, 0, 8),
        (State.VERIFYING, {"word": "unproven"}, 0, 8),
        (State.COMPLETED, {"word": "unproven"}, 0, 0),
        (State.FAILED, {}, 1, 1),
        (State.CANCELLED, {}, 130, 130),
        (State.PARKED, {"parked_code": "budget"}, 4, 4),
        (State.PARKED, {"parked_code": "refused"}, 5, 5),
        (State.PARKED, {"parked_code": "refused", "word": "refused"}, 12, 12),
        (State.DELIVERED, {"ready": True, "word": "proven"}, 0, 0),
        (State.DELIVERED, {"ready": False, "word": "unproven"}, 10, 10),
        (State.DELIVERED, {"ready": False, "word": "regression"}, 11, 11),
        (State.DELIVERED, {"ready": False, "word": "could not check"}, 13, 13),
        (State.DELIVERED, {"ready": False, "word": "proven"}, 5, 5),
        (State.DELIVERED, {"ready": False}, 5, 5),
    ],
)  # fmt: skip
def test_codes(state: State, changes: dict[str, Any], ended: int, asked: int) -> None:
    stands = view(state, **changes)
    word = Word(stands.word) if stands.word else None
    assert exit_codes.ended(stands, word) == ended
    assert exit_codes.asked(stands) == asked


def test_the_code_of_what_is_at_work_is_nobody_elses() -> None:
    others = {*EXIT_CODES.values(), *exit_codes.OF_STATE.values(), 0, 1, 2, 3, 4, 5, 6, 7}
    assert exit_codes.AT_WORK not in others
