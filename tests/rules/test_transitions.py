"""The table of states, case by case: every pair, and the cases that depend on what was done."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from boatwright.rules.fold import fold
from boatwright.rules.transitions import AFTER_THE_END, refusal
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.state import FINISHED, State

MOVES: dict[State, events.Payload] = {
    State.ANALYZING: events.AnalysisStarted(base_commit="b"),
    State.PLANNING: events.PlanningStarted(input_hash="i"),
    State.EXECUTING: events.BuildStarted(round=1, base_commit="b", prompt="p"),
    State.VERIFYING: events.VerificationStarted(round=1),
    State.DELIVERED: samples.delivered(),
    State.COMPLETED: events.FeatureCompleted(pull_request=8, commit="c"),
    State.FAILED: events.FeatureFailed(code="c", reason="r", stage="build"),
    State.CANCELLED: events.FeatureCancelled(reason="r", by="sailor"),
    State.PARKED: samples.parked(),
}
RESUMED = events.FeatureResumed(cause="retry", by="sailor")

# from:      A N A L Y Z I N G … a mark per target, in the order of MOVES: ANA PLA EXE VER DEL COM FAI CAN PAR
TABLE = {
    State.PENDING: "x.....xxx",
    State.ANALYZING: "xx.x..xxx",
    State.PLANNING: "xxxx..xxx",
    State.EXECUTING: "xxxx..xxx",
    State.VERIFYING: "xxxxx.xxx",
    State.DELIVERED: "x.xx.xxxx",
    State.PARKED: "xxxx..xxx",
    State.COMPLETED: ".........",
    State.FAILED: ".........",
    State.CANCELLED: ".........",
}


def event(payload: events.Payload, sequence: int = 1) -> Event:
    return Event(
        event_id=f"e-{sequence}",
        stream="ex-1",
        sequence=sequence,
        position=sequence,
        key=f"k-{sequence}",
        time=samples.MOMENT,
        payload=payload,
        causation_id=None,
        correlation_id="e-1",
        producer="test",
        tenant="local",
        repository=samples.REPOSITORY,
        tags=(),
        hash="",
    )


def view(*payloads: events.Payload, state: State | None = None) -> ExecutionView:
    folded = fold(None, event(samples.requested(issue=7)))
    for number, payload in enumerate(payloads, 2):
        folded = fold(folded, event(payload, number))
    return folded if state is None else folded.model_copy(update={"state": state})


@dataclass(frozen=True)
class Case:
    start: State
    to: State
    legal: bool


CASES = [
    Case(start, to, mark == "x")
    for start, marks in TABLE.items()
    for to, mark in zip(MOVES, marks, strict=True)
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.start}-{case.to}")
def test_the_table(case: Case) -> None:
    why = refusal(view(state=case.start), MOVES[case.to])
    assert (why is None) == case.legal
    if why is not None:
        assert why == f"{case.start} is not followed by {case.to}"


def test_every_state_changing_event_is_in_the_table() -> None:
    moving = {model.moves_to for model in events.REGISTRY.values() if model.moves_to}
    assert moving == set(MOVES) | {State.PENDING}
    assert set(TABLE) == set(State)


@pytest.mark.parametrize("state", State)
def test_only_a_completed_execution_is_never_taken_up_again(state: State) -> None:
    assert (refusal(view(state=state), RESUMED) is None) == (state is not State.COMPLETED)


@pytest.mark.parametrize("to", [State.ANALYZING, State.PLANNING, State.EXECUTING, State.VERIFYING])
@pytest.mark.parametrize("stop", [State.FAILED, State.CANCELLED, State.PARKED])
def test_a_resumed_execution_may_enter_any_stage(stop: State, to: State) -> None:
    resumed = view(MOVES[State.ANALYZING], MOVES[stop], RESUMED)
    assert resumed.state is State.PENDING
    assert refusal(resumed, MOVES[to]) is None
    at_work = fold(resumed, event(MOVES[to], 9))
    assert not at_work.resumed


def test_a_fresh_request_begins_with_analysis() -> None:
    assert refusal(view(), MOVES[State.EXECUTING]) == "PENDING is not followed by EXECUTING"


def test_a_standing_plan_may_be_built_right_after_analysis() -> None:
    assert refusal(view(MOVES[State.ANALYZING]), MOVES[State.EXECUTING]) is not None
    assert refusal(view(samples.plan_generated(), MOVES[State.ANALYZING]), MOVES[State.EXECUTING]) is None


@pytest.mark.parametrize("state", State)
def test_a_pull_request_may_be_merged_whatever_we_are_doing(state: State) -> None:
    opened = events.PullRequestOpened(number=8, branch="b", base_ref="main", head="h", draft=True, title="t")
    assert (refusal(view(opened, state=state), MOVES[State.COMPLETED]) is None) == (state not in FINISHED)


def test_a_stream_begins_with_a_request_and_has_one() -> None:
    assert refusal(None, samples.requested()) is None
    assert refusal(None, samples.step_completed()) == "nothing was requested under this id"
    assert refusal(view(), samples.requested()) == "it was requested already"
    with pytest.raises(ValueError, match=r"step\.completed"):
        fold(None, event(samples.step_completed()))


@pytest.mark.parametrize("make", samples.PALETTE, ids=lambda make: make().type)
@pytest.mark.parametrize("end", sorted(FINISHED))
def test_only_audit_and_cleanup_follow_the_end(end: State, make: object) -> None:
    payload = make()  # type: ignore[operator]
    legal = refusal(view(state=end), payload) is None
    revives = payload.type == "feature.resumed" and end is not State.COMPLETED
    assert legal == (payload.type in AFTER_THE_END or revives)


def test_the_names_after_the_end_exist() -> None:
    assert set(events.REGISTRY) >= AFTER_THE_END
