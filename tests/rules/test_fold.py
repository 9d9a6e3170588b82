"""What each event does to the view of an execution."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright.rules.fold import fold
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Outcome
from boatwright.values.plan import Risk
from boatwright.values.proof import Word
from boatwright.values.state import State
from boatwright.values.usage import Cap


def event(payload: events.Payload, sequence: int) -> Event:
    return Event(
        event_id=f"e-{sequence}",
        stream="ex-1",
        sequence=sequence,
        position=sequence + 10,
        key=f"k-{sequence}",
        time=samples.MOMENT + timedelta(seconds=sequence),
        payload=payload,
        causation_id=None,
        correlation_id="e-1",
        producer="test",
        tenant="local",
        repository=samples.REPOSITORY,
        tags=(),
        hash="",
    )


def after(*payloads: events.Payload) -> ExecutionView:
    view = fold(None, event(samples.requested(issue=7), 1))
    for number, payload in enumerate(payloads, 2):
        view = fold(view, event(payload, number))
    return view


def test_a_request_is_copied_into_the_view() -> None:
    view = after()
    asked = samples.requested(issue=7)
    same = set(events.FeatureRequested.model_fields) - {"text_digest", "provider"}
    assert {name: getattr(view, name) for name in same} == {name: getattr(asked, name) for name in same}
    assert (view.id, view.tenant, view.state, view.sequence) == ("ex-1", "local", State.PENDING, 1)
    assert (
        view.provider == view.agent == "builtin"
    )  # as of a request from before providers had names of their own
    assert view.created == view.updated == samples.MOMENT + timedelta(seconds=1)
    assert not view.finished


PARKED = samples.parked()
BUILD = events.BuildStarted(round=2, base_commit="new base", prompt="p")
OPENED = events.PullRequestOpened(number=8, branch="b", base_ref="main", head="h", draft=True, title="t")

CASES: list[tuple[tuple[events.Payload, ...], dict[str, Any]]] = [
    (
        (events.AnalysisStarted(base_commit="b2"),),
        {"state": State.ANALYZING, "stage": "analyze", "base_commit": "b2"},
    ),
    ((events.PlanningStarted(input_hash="i"),), {"state": State.PLANNING, "stage": "plan"}),
    ((samples.plan_generated(),), {"plan_hash": samples.digest("plan"), "risk": Risk.LOW}),
    ((events.PlanReviewed(outcome=Outcome.PASS, summary=""),), {"stage": "review_plan"}),
    ((BUILD,), {"state": State.EXECUTING, "stage": "build", "round": 2, "base_commit": "new base"}),
    ((samples.step_completed(1), samples.step_completed(2)), {"work_commit": samples.commit(2)}),
    (
        (samples.model_called("a"), samples.model_called("b", usd=Decimal("0.1"))),
        {"usd": Decimal("0.1125"), "tokens": 2_200},
    ),
    ((events.VerificationStarted(round=3),), {"state": State.VERIFYING, "stage": "verify", "round": 3}),
    ((events.VerificationPassed(round=1, proof=samples.verdict()),), {"word": "proven"}),
    (
        (events.VerificationFailed(round=1, proof=samples.verdict(Word.REGRESSION), findings=()),),
        {"word": "regression"},
    ),
    ((events.GateAnswered(round=1, gate="secure", outcome=Outcome.PASS, summary=""),), {"stage": "secure"}),
    (
        (events.BranchPushed(branch="b", commit="c", old=None),),
        {"stage": "deliver", "branch": "b", "head": None},
    ),
    ((OPENED,), {"pull_request": 8, "branch": "b", "head": None}),
    (
        (samples.delivered(),),
        {
            "state": State.DELIVERED,
            "pull_request": 8,
            "head": samples.commit("head"),
            "ready": True,
            "word": "proven",
        },
    ),
    (
        (PARKED,),
        {"state": State.PARKED, "parked_code": "budget", "next_moves": PARKED.next_moves, "stage": "build"},
    ),
    ((PARKED, BUILD), {"state": State.EXECUTING, "parked_code": None, "reason": None, "next_moves": ()}),
    ((events.BudgetRaised(budget=Cap(tokens=9), by="x"),), {"budget": Cap(tokens=9)}),
    ((BUILD, events.TurnStarted(turn=2, cause="c", release="r", from_stage="s")), {"turn": 2, "round": 0}),
    (
        (events.FeatureFailed(code="c", reason="why", stage="plan", next_moves=("x",)),),
        {"state": State.FAILED, "reason": "why", "stage": "plan", "next_moves": ("x",), "finished": True},
    ),
    (
        (
            events.FeatureFailed(code="c", reason="why", stage="plan", next_moves=("x",)),
            events.FeatureResumed(cause="retry", by="x"),
        ),
        {"state": State.PENDING, "resumed": True, "reason": None, "next_moves": (), "finished": False},
    ),
    ((events.FeatureCancelled(reason="why", by="x"),), {"state": State.CANCELLED, "reason": "why"}),
    ((events.FeatureCompleted(pull_request=8, commit="c"),), {"state": State.COMPLETED, "finished": True}),
    ((events.ResourcesReleased(released=()),), {"state": State.PENDING}),
]


@pytest.mark.parametrize(
    ("payloads", "expected"), CASES, ids=lambda value: value[-1].type if isinstance(value, tuple) else ""
)
def test_events_change_the_view(payloads: tuple[events.Payload, ...], expected: dict[str, Any]) -> None:
    view = after(*payloads)
    assert {name: getattr(view, name) for name in expected} == expected
    assert view.sequence == len(payloads) + 1
    assert view.updated == samples.MOMENT + timedelta(seconds=view.sequence)


@pytest.mark.parametrize(
    ("head", "draft", "ready"), [("head", True, False), ("head", False, True), ("other", True, True)]
)
def test_ready_belongs_to_the_delivered_head(head: str, draft: bool, ready: bool) -> None:
    update = events.PullRequestUpdated(number=8, head=samples.commit(head), draft=draft, title="t")
    assert after(samples.delivered(), update).ready is ready


def test_a_view_survives_its_stored_text() -> None:
    view = after(samples.plan_generated(), samples.model_called(), samples.delivered(), PARKED)
    assert ExecutionView.model_validate_json(view.model_dump_json()) == view
