"""Which event may follow in which state: the table, and the one sentence an illegal event gets.

The main line is PENDING → ANALYZING → PLANNING → EXECUTING → VERIFYING → DELIVERED → COMPLETED (DESIGN §5).
A turn that starts again may enter any working state again; whatever is unfinished may park, fail or be
cancelled; a failed or cancelled execution is left by ``feature.resumed`` only, a completed one never.
"""

from __future__ import annotations

from boatwright.values.events import FeatureRequested, FeatureResumed, Payload
from boatwright.values.execution import ExecutionView
from boatwright.values.state import FINISHED, State

WORKING = frozenset({State.ANALYZING, State.PLANNING, State.EXECUTING, State.VERIFYING})
_STOPS = frozenset({State.PARKED, State.FAILED, State.CANCELLED})

LEGAL: dict[State, frozenset[State]] = {
    State.PENDING: _STOPS | {State.ANALYZING},
    State.ANALYZING: _STOPS | WORKING - {State.EXECUTING},
    State.PLANNING: _STOPS | WORKING,
    State.EXECUTING: _STOPS | WORKING,
    State.VERIFYING: _STOPS | WORKING | {State.DELIVERED},
    State.DELIVERED: _STOPS | {State.ANALYZING, State.EXECUTING, State.VERIFYING, State.COMPLETED},
    State.PARKED: _STOPS | WORKING,
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
"""From → to, for every event but ``feature.requested`` (nothing → PENDING) and ``feature.resumed`` (→
PENDING).
"""

RESUMABLE = frozenset(State) - {State.COMPLETED}
"""Where ``feature.resumed`` is legal. In a working state it means: the turn was stopped and starts again."""

AFTER_THE_END = frozenset(
    {
        "turn.started",
        "turn.ended",
        "command.received",
        "budget.raised",
        "head.approved",
        "model.called",
        "effect.intended",
        "comment.posted",
        "pull_request.opened",
        "pull_request.updated",
        "pull_request.closed",
        "bottle.destroyed",
        "resources.released",
    }
)
"""Audit, clean-up and what people say too late: all that is still written after an end (SM-03)."""


APART = frozenset({"delivery.skipped"})
"""What is written on streams that are no execution's: it needs no request before it, and folds to nothing."""


def refusal(view: ExecutionView | None, payload: Payload) -> str | None:
    """Why ``payload`` may not follow, in one clause; None when it may. ``view`` is None for an empty
    stream.
    """
    if payload.type in APART:
        return None if view is None else "it is an execution's stream"
    if view is None:
        return None if isinstance(payload, FeatureRequested) else "nothing was requested under this id"
    if payload.moves_to is None:
        return _without_a_move(view, payload)
    return _with_a_move(view, payload)


def _with_a_move(view: ExecutionView, payload: Payload) -> str | None:
    if isinstance(payload, FeatureRequested):
        return "it was requested already"
    if isinstance(payload, FeatureResumed):
        return None if view.state in RESUMABLE else "a completed execution is not taken up again"
    if payload.moves_to is not None and legal(view, payload.moves_to):
        return None
    return f"{view.state} is not followed by {payload.moves_to}"


def legal(view: ExecutionView, to: State) -> bool:
    """Whether an event may move ``view`` to ``to``: by the table, or for what was done before."""
    if to in LEGAL[view.state]:
        return True
    if view.state is State.PENDING and to in WORKING:
        return view.resumed
    if view.state is State.ANALYZING and to is State.EXECUTING:
        return view.plan_hash is not None  # the plan of an earlier turn stands
    if to is State.COMPLETED and view.state not in FINISHED:
        return view.pull_request is not None  # a person merged it, whatever we were doing
    return False


def _without_a_move(view: ExecutionView, payload: Payload) -> str | None:
    if view.state in FINISHED and payload.type not in AFTER_THE_END:
        return f"it is {view.state}"
    return None
