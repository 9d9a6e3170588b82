"""Facts to append in tests: one of each kind that matters, every field settable."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from boatwright.values import events
from boatwright.values.finding import Outcome
from boatwright.values.plan import Action, Plan, PlanStep, Risk
from boatwright.values.proof import HowRead, ProofVerdict, Word
from boatwright.values.usage import Cap, Usage

REPOSITORY = "acme/sails"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def commit(seed: object) -> str:
    """A commit id that looks like one."""
    return hashlib.sha256(str(seed).encode()).hexdigest()[:40]


def digest(seed: object) -> str:
    return "sha256:" + hashlib.sha256(str(seed).encode()).hexdigest()


def requested(**changes: Any) -> events.FeatureRequested:
    usual: dict[str, Any] = {
        "repository": REPOSITORY,
        "source": "/srv/sails",
        "issue": None,
        "title": "Pagination drops the last page",
        "body": "Page 3 of 3 is empty. Größe: 10.",
        "text_digest": digest("text"),
        "base_ref": "main",
        "base_commit": commit("base"),
        "model": "scripted:sails.yml",
        "agent": "builtin",
        "budget": Cap(usd=Decimal(5)),
        "requested_by": "sailor",
    }
    return events.FeatureRequested(**usual | changes)


def plan_generated(**changes: Any) -> events.PlanGenerated:
    step = PlanStep(id="P1", action=Action.EDIT, path="src/pages.py", acceptance="The last page is there.")
    usual: dict[str, Any] = {
        "plan": Plan(goal="Keep the last page", steps=(step,)),
        "plan_hash": digest("plan"),
        "input_hash": digest("input"),
        "risk": Risk.LOW,
        "drivers": (),
        "cached": False,
        "context_bytes": 2_000,
        "prompt": digest("prompt"),
    }
    return events.PlanGenerated(**usual | changes)


def step_completed(step: int = 1, **changes: Any) -> events.StepCompleted:
    usual: dict[str, Any] = {
        "round": 1,
        "step": step,
        "commit": commit(step),
        "transcript": digest(step),
        "paths": ("src/pages.py",),
        "tools": ("bash",),
    }
    return events.StepCompleted(**usual | changes)


def push_merged_in(**changes: Any) -> events.PushMergedIn:
    usual: dict[str, Any] = {
        "branch": "boatwright/issue-7-pagination",
        "head": commit("theirs"),
        "ours": commit("head"),
        "base": commit("base"),
        "commit": commit("merge"),
        "tree": commit("merged tree"),
        "commits": 2,
        "authors": ("Sailor",),
    }
    return events.PushMergedIn(**usual | changes)


def model_called(reservation: str = "r-1", **changes: Any) -> events.ModelCalled:
    usual: dict[str, Any] = {
        "reservation": reservation,
        "purpose": "build",
        "provider": "scripted",
        "model": "sails.yml",
        "usage": Usage(input=1_000, output=100),
        "usd": Decimal("0.0125"),
        "reserved_usd": Decimal("0.0500"),
        "reserved_tokens": 4_000,
        "source": "provider",
        "status": 200,
        "at": MOMENT,
    }
    return events.ModelCalled(**usual | changes)


def verdict(word: Word = Word.PROVEN) -> ProofVerdict:
    return ProofVerdict(
        word=word,
        commit=commit("head"),
        sentence="One test failed before and passes now.",
        how_read=HowRead.JUNIT,
    )


def delivered(**changes: Any) -> events.FeatureDelivered:
    usual: dict[str, Any] = {
        "pull_request": 8,
        "branch": "boatwright/issue-7-pagination",
        "commit": commit("head"),
        "ready": True,
        "word": str(Word.PROVEN),
        "usd": Decimal("0.0125"),
        "tokens": 1_100,
    }
    return events.FeatureDelivered(**usual | changes)


def parked(**changes: Any) -> events.FeatureParked:
    usual: dict[str, Any] = {
        "code": "budget",
        "reason": "used 4.90 USD, needed 0.20 USD, cap 5 USD",
        "next_moves": ("boatwright budget raise",),
        "stage": "build",
    }
    return events.FeatureParked(**usual | changes)


PALETTE: tuple[Callable[[], events.Payload], ...] = (
    requested,
    lambda: events.CommandReceived(kind="comment", sender_key="c-1", author="sailor", text="Please."),
    lambda: events.TurnStarted(turn=2, cause="comment", release="0.1.0", from_stage="analyze"),
    lambda: events.TurnEnded(turn=1, outcome="delivered"),
    lambda: events.AnalysisStarted(base_commit=commit("base")),
    lambda: events.PlanningStarted(input_hash=digest("input")),
    plan_generated,
    lambda: events.PlanReviewed(outcome=Outcome.PASS, summary="It is a plan."),
    lambda: events.BuildStarted(round=1, base_commit=commit("base"), prompt=digest("prompt")),
    step_completed,
    model_called,
    lambda: events.VerificationStarted(round=1),
    lambda: events.VerificationPassed(round=1, proof=verdict()),
    lambda: events.VerificationFailed(round=1, proof=None, findings=()),
    lambda: events.GateAnswered(round=1, gate="secure", outcome=Outcome.PASS, summary="Nothing found."),
    lambda: events.BranchPushed(branch="boatwright/issue-7-pagination", commit=commit("head"), old=None),
    push_merged_in,
    lambda: events.BranchMoved(
        number=8, branch="boatwright/issue-7-pagination", head=commit("theirs"), ours=commit("head")
    ),
    lambda: events.PullRequestOpened(
        number=8,
        branch="boatwright/issue-7-pagination",
        base_ref="main",
        head=commit("head"),
        draft=True,
        title="Pages",
    ),
    lambda: events.PullRequestUpdated(number=8, head=commit("head"), draft=False, title="Pages"),
    lambda: events.ChecksFailed(
        commit=commit("head"), names=("build",), conclusions=("failure",), excerpt=digest("checks")
    ),
    lambda: events.CommentPosted(number=8, comment=3, marker="living:ex"),
    delivered,
    lambda: events.HeadApproved(number=8, commit=commit("head"), by="sailor"),
    lambda: events.PullRequestClosed(number=8, merged=True, commit=commit("merge"), by="sailor"),
    parked,
    lambda: events.FeatureResumed(cause="retry", by="sailor"),
    lambda: events.BudgetRaised(budget=Cap(usd=Decimal(10)), by="sailor"),
    lambda: events.FeatureCompleted(pull_request=8, commit=commit("merge")),
    lambda: events.FeatureFailed(code="rounds", reason="three gate rounds and no proof", stage="verify"),
    lambda: events.FeatureCancelled(reason="not wanted", by="sailor"),
    lambda: events.ResourcesReleased(released=("bottle b-1",)),
)
"""Makers of payloads that cover every move between states; which may follow which is for the rules to say."""
