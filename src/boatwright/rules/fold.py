"""The fold: what an execution is after one more event. Pure; the executions table holds nothing but its
result.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from boatwright.rules.transitions import APART
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

Changes = dict[str, Any]
_P = TypeVar("_P", bound=events.Payload)
_AT_WORK: Changes = {"parked_code": None, "reason": None, "next_moves": (), "resumed": False}

_folds: dict[type[events.Payload], Callable[[ExecutionView, Any], Changes]] = {}


def fold(view: ExecutionView | None, event: Event) -> ExecutionView | None:
    """``view`` after ``event``. Whether the event is legal there is for ``rules.transitions`` to say.

    None for what is written apart from executions. ``ValueError`` when the first event of a stream is neither that nor
    ``feature.requested``.
    """
    payload = event.payload
    if view is None:
        if event.type in APART:
            return None
        if not isinstance(payload, events.FeatureRequested):
            raise ValueError(f"{event.stream} begins with {event.type}, not with feature.requested")
        return _requested(payload, event)
    changes: Changes = {"sequence": event.sequence, "updated": event.time}
    if payload.moves_to is not None:
        changes |= _moved(payload.moves_to)
    special = _folds.get(type(payload))
    if special is not None:
        changes |= special(view, payload)
    return view.model_copy(update=changes)


def _requested(payload: events.FeatureRequested, event: Event) -> ExecutionView:
    return ExecutionView(
        id=event.stream,
        tenant=event.tenant,
        repository=payload.repository,
        source=payload.source,
        issue=payload.issue,
        title=payload.title,
        body=payload.body,
        state=State.PENDING,
        base_ref=payload.base_ref,
        base_commit=payload.base_commit,
        model=payload.model,
        agent=payload.agent,
        provider=payload.provider or payload.agent,
        bottles=payload.bottles,
        budget=payload.budget,
        setup_command=payload.setup_command,
        test_command=payload.test_command,
        only_plan=payload.only_plan,
        base_pinned=payload.base_pinned,
        recorded=payload.recorded,
        replays=payload.replays,
        requested_by=payload.requested_by,
        created=event.time,
        updated=event.time,
        sequence=event.sequence,
    )


def _moved(to: State) -> Changes:
    return {"state": to} | _AT_WORK


def _on(
    kind: type[_P],
) -> Callable[[Callable[[ExecutionView, _P], Changes]], Callable[[ExecutionView, _P], Changes]]:
    def register(change: Callable[[ExecutionView, _P], Changes]) -> Callable[[ExecutionView, _P], Changes]:
        _folds[kind] = cast("Callable[[ExecutionView, Any], Changes]", change)
        return change

    return register


@_on(events.TurnStarted)
def _(view: ExecutionView, payload: events.TurnStarted) -> Changes:
    return {"turn": payload.turn, "round": 0}


@_on(events.AnalysisStarted)
def _(view: ExecutionView, payload: events.AnalysisStarted) -> Changes:
    return {"stage": "analyze", "base_commit": payload.base_commit}


@_on(events.PlanningStarted)
def _(view: ExecutionView, payload: events.PlanningStarted) -> Changes:
    return {"stage": "plan"}


@_on(events.PlanGenerated)
def _(view: ExecutionView, payload: events.PlanGenerated) -> Changes:
    return {"plan_hash": payload.plan_hash, "risk": payload.risk}


@_on(events.PlanReviewed)
def _(view: ExecutionView, payload: events.PlanReviewed) -> Changes:
    return {"stage": "review_plan"}


@_on(events.BuildStarted)
def _(view: ExecutionView, payload: events.BuildStarted) -> Changes:
    return {"stage": "build", "round": payload.round, "base_commit": payload.base_commit}


@_on(events.StepCompleted)
def _(view: ExecutionView, payload: events.StepCompleted) -> Changes:
    return {"work_commit": payload.commit}


@_on(events.ModelCalled)
def _(view: ExecutionView, payload: events.ModelCalled) -> Changes:
    return {"usd": view.usd + payload.usd, "tokens": view.tokens + payload.usage.tokens}


@_on(events.VerificationStarted)
def _(view: ExecutionView, payload: events.VerificationStarted) -> Changes:
    return {"stage": "verify", "round": payload.round}


@_on(events.VerificationPassed)
def _(view: ExecutionView, payload: events.VerificationPassed) -> Changes:
    return {"word": str(payload.proof.word)}


@_on(events.VerificationFailed)
def _(view: ExecutionView, payload: events.VerificationFailed) -> Changes:
    return {"word": str(payload.proof.word) if payload.proof else None}


@_on(events.GateAnswered)
def _(view: ExecutionView, payload: events.GateAnswered) -> Changes:
    return {"stage": payload.gate}


@_on(events.BranchPushed)
def _(view: ExecutionView, payload: events.BranchPushed) -> Changes:
    return {"stage": "deliver", "branch": payload.branch}


@_on(events.PushMergedIn)
def _(view: ExecutionView, payload: events.PushMergedIn) -> Changes:
    return {"base_commit": payload.base, "work_commit": payload.commit}


@_on(events.PullRequestOpened)
def _(view: ExecutionView, payload: events.PullRequestOpened) -> Changes:
    return {"pull_request": payload.number, "branch": payload.branch}


@_on(events.PullRequestUpdated)
def _(view: ExecutionView, payload: events.PullRequestUpdated) -> Changes:
    """Ready belongs to one commit id: an update of the delivered head may promote it or take it back."""
    changes: Changes = {"pull_request": payload.number}
    if payload.head == view.head:
        changes["ready"] = not payload.draft
        if not payload.draft:
            changes["waits_for"] = ()
    return changes


@_on(events.FeatureDelivered)
def _(view: ExecutionView, payload: events.FeatureDelivered) -> Changes:
    return {
        "stage": "deliver",
        "pull_request": payload.pull_request,
        "branch": payload.branch,
        "head": payload.commit,
        "ready": payload.ready,
        "word": payload.word,
        "waits_for": payload.waits_for,
    }


@_on(events.ChecksFailed)
def _(view: ExecutionView, payload: events.ChecksFailed) -> Changes:
    return {"checks_failed": payload.commit}


@_on(events.BudgetRaised)
def _(view: ExecutionView, payload: events.BudgetRaised) -> Changes:
    return {"budget": payload.budget}


@_on(events.FeatureParked)
def _(view: ExecutionView, payload: events.FeatureParked) -> Changes:
    return {
        "parked_code": payload.code,
        "reason": payload.reason,
        "next_moves": payload.next_moves,
        "stage": payload.stage,
    }


@_on(events.FeatureResumed)
def _(view: ExecutionView, payload: events.FeatureResumed) -> Changes:
    return {"resumed": True}


@_on(events.FeatureFailed)
def _(view: ExecutionView, payload: events.FeatureFailed) -> Changes:
    return {"reason": payload.reason, "next_moves": payload.next_moves, "stage": payload.stage}


@_on(events.FeatureCancelled)
def _(view: ExecutionView, payload: events.FeatureCancelled) -> Changes:
    return {"reason": payload.reason}
