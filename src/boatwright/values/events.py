"""Every fact the ledger can hold: one frozen model per event type, in one registry.

A payload class names its ``type`` (``noun.verb`` in the past tense), its ``schema_version`` and, when it changes
the execution's state, the state it ``moves_to``. Rules for payloads: no secret, no prompt text, no bulk: bodies go to the
artifact store and the payload carries their digest. ``docs/events.md`` is generated from here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from boatwright.values.finding import Finding, Outcome
from boatwright.values.plan import Plan, Risk
from boatwright.values.proof import HowRead, ProofVerdict
from boatwright.values.skipping import SkipReason
from boatwright.values.state import State
from boatwright.values.usage import Cap, Usage

REGISTRY: dict[str, type[Payload]] = {}


class Payload(BaseModel):
    """Base of all payloads: frozen, strict about its keys, registered by ``type``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    schema_version: ClassVar[int] = 1
    moves_to: ClassVar[State | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        name = cls.__dict__.get("type")
        if name is None:
            return
        if name in REGISTRY:
            raise TypeError(f"event type {name} is registered twice")
        REGISTRY[name] = cls


# --- the request -------------------------------------------------------------------------------------------


class FeatureRequested(Payload):
    """Somebody asked for a change; title and body are fixed by digest here and never read again elsewhere."""

    type = "feature.requested"
    moves_to = State.PENDING

    repository: str
    source: str
    """Path or URL the history comes from."""
    issue: int | None = None
    title: str
    body: str
    text_digest: str
    base_ref: str
    base_commit: str
    base_pinned: bool = False
    """The base was named as a tag or a commit: it does not move with the branch."""
    model: str
    agent: str
    provider: str = ""
    """The program behind the agent; empty: of the same name."""
    bottles: tuple[str, ...] | None = None
    """Named by whoever asked, in place of the agent's own."""
    budget: Cap
    setup_command: str | None = None
    test_command: str | None = None
    only_plan: bool = False
    """Park after the plan; a resume builds it."""
    requested_by: str
    recorded: bool = False
    """What models are asked and answer is kept as a tape."""
    replays: str = ""
    """The execution whose tape answers in place of a model; nothing is delivered."""


class CommandReceived(Payload):
    """One row of the inbox was taken into a turn (comment, resume, retry, raise, approval, close, merge …)."""

    type = "command.received"

    kind: str
    sender_key: str
    author: str = ""
    text: str = ""


class TurnStarted(Payload):
    type = "turn.started"

    turn: int
    cause: str
    release: str
    from_stage: str


class TurnEnded(Payload):
    type = "turn.ended"

    turn: int
    outcome: str
    reason: str = ""


# --- analyze -----------------------------------------------------------------------------------------------


class AnalysisStarted(Payload):
    type = "analysis.started"
    moves_to = State.ANALYZING

    base_commit: str


class EnvironmentPrepared(Payload):
    """The commands' environment, made once per (environment, lock files, commands) and bound read-only.

    ``packages``: the system packages under this host's programs, each as name=version.
    """

    type = "environment.prepared"

    key: str
    commit: str
    seconds: float
    cached: bool
    network: str
    log: str = ""
    packages: tuple[str, ...] = ()


class BaseProven(Payload):
    """The base's own tests, run before any token is spent."""

    type = "base.proven"

    commit: str
    report: str
    passed: int
    failed: int
    skipped: int
    failing_before: tuple[str, ...]
    how_read: HowRead
    seconds: float
    cached: bool = False


class AnalysisCompleted(Payload):
    type = "analysis.completed"

    language: str
    files: int
    setup_command: str | None
    test_command: str
    command_source: str
    """Where the commands came from: flag, .boatwright.yml, detected."""
    estimated_proof_seconds: float


# --- plan --------------------------------------------------------------------------------------------------


class PlanningStarted(Payload):
    type = "planning.started"
    moves_to = State.PLANNING

    input_hash: str


class PlanGenerated(Payload):
    type = "plan.generated"

    plan: Plan
    plan_hash: str
    input_hash: str
    risk: Risk
    drivers: tuple[str, ...]
    cached: bool
    context_bytes: int
    prompt: str


class PlanReviewed(Payload):
    type = "plan.reviewed"

    outcome: Outcome
    summary: str
    findings: tuple[Finding, ...] = ()


# --- build -------------------------------------------------------------------------------------------------


class BuildStarted(Payload):
    """A gate round begins: the agent works in the bottle."""

    type = "build.started"
    moves_to = State.EXECUTING

    round: int
    base_commit: str
    prompt: str


class BottleCreated(Payload):
    type = "bottle.created"

    slug: str
    backend: str
    purpose: str
    limits: dict[str, str]


class StepCompleted(Payload):
    """The commit point of a step: the tree, and the conversation that led to it."""

    type = "step.completed"

    round: int
    step: int
    commit: str
    transcript: str
    paths: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    session: str = ""
    """What the agent's program keeps in HOME to go on from; empty for the built-in agent."""


class StepFailed(Payload):
    """A step could not be saved; the last one stands."""

    type = "step.failed"

    round: int
    step: int
    reason: str


class BuildCompleted(Payload):
    type = "build.completed"

    round: int
    stop_reason: str
    summary: str
    steps: int
    commit: str
    transcript: str
    tree: str = ""
    """What the round left in the workspace, whatever way it took there."""


class BottleFrozen(Payload):
    type = "bottle.frozen"

    slug: str
    archive: str
    size: int


class BottleThawed(Payload):
    type = "bottle.thawed"

    slug: str
    archive: str


class BottleDestroyed(Payload):
    type = "bottle.destroyed"

    slug: str
    reason: str


class ModelCalled(Payload):
    """One usage row of the wire, imported; keyed by reservation, so it is here once."""

    type = "model.called"

    reservation: str
    purpose: str
    provider: str
    model: str
    usage: Usage
    usd: Decimal
    reserved_usd: Decimal
    reserved_tokens: int
    source: str
    """``provider`` (its own usage), ``estimate`` (none reported: charged in full), ``released`` (never sent)."""
    status: int
    at: datetime


# --- verify, secure, review --------------------------------------------------------------------------------


class VerificationStarted(Payload):
    type = "verification.started"
    moves_to = State.VERIFYING

    round: int


class DeliverableCreated(Payload):
    """The one commit that is judged, pushed and proposed; dates come from this turn's request, so a redo agrees."""

    type = "deliverable.created"

    round: int
    commit: str
    tree: str
    base_commit: str
    files: int
    added: int
    deleted: int


class TestsRan(Payload):
    """One of the four runs (B/B, H/H, B/H, H/B), or the second time of one."""

    type = "tests.ran"

    round: int
    run: str
    again: bool = False
    commit: str
    report: str
    passed: int
    failed: int
    how_read: HowRead
    seconds: float
    limit: str = ""
    cached: bool = False


class VerificationPassed(Payload):
    type = "verification.passed"

    round: int
    proof: ProofVerdict
    findings: tuple[Finding, ...] = ()


class VerificationFailed(Payload):
    type = "verification.failed"

    round: int
    proof: ProofVerdict | None
    findings: tuple[Finding, ...]


class GateAnswered(Payload):
    """Another gate (secure, review) answered."""

    type = "gate.answered"

    round: int
    gate: str
    outcome: Outcome
    summary: str
    findings: tuple[Finding, ...] = ()


# --- deliver -----------------------------------------------------------------------------------------------


class EffectIntended(Payload):
    """About to change something outside; the outcome follows, or a later turn looks it up."""

    type = "effect.intended"

    effect: str
    kind: str
    target: str


class BranchPushed(Payload):
    type = "branch.pushed"

    branch: str
    commit: str
    old: str | None


class PushMergedIn(Payload):
    """Others pushed to our branch: their head was taken in, and the work goes on from the merge.

    A conflict is in the work as markers, in the files named here.
    """

    type = "push.merged_in"

    branch: str
    head: str
    """Where they left the branch: parent of the next deliverable."""
    ours: str
    """The commit of the branch our work had accounted for; the merge was made against it."""
    base: str
    """The newest commit of the base branch that their head holds: what the work stands on now."""
    commit: str
    """The merge, as saved work."""
    tree: str
    commits: int
    """Commits of others that the branch now has beside the base."""
    authors: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()


class BranchMoved(Payload):
    """Others moved the branch of a pull request nobody works on: people were told that its head is not proven."""

    type = "branch.moved"

    number: int
    branch: str
    head: str
    ours: str


class PullRequestOpened(Payload):
    type = "pull_request.opened"

    number: int
    branch: str
    base_ref: str
    head: str
    draft: bool
    title: str


class PullRequestUpdated(Payload):
    type = "pull_request.updated"

    number: int
    head: str
    draft: bool
    title: str


class CommentPosted(Payload):
    type = "comment.posted"

    number: int
    comment: int
    marker: str


class ForgeCalled(Payload):
    """What an agent asked of its forge, over its wire, and what came of it: ``done``, ``refused`` or ``failed``.

    Never the text: its length in characters, and the digest of the call.
    """

    type = "forge.called"

    round: int
    call: str
    number: int
    outcome: str
    reason: str = ""
    """One word why it was refused or failed; of ``signal_done`` what it says: done or blocked."""
    size: int = 0
    digest: str = ""


class FeatureDelivered(Payload):
    type = "feature.delivered"
    moves_to = State.DELIVERED

    pull_request: int
    branch: str
    commit: str
    ready: bool
    word: str
    usd: Decimal
    tokens: int
    waits_for: tuple[str, ...] = ()
    """Required checks of the repository without which it is not ready; every gate of ours is green."""


class ChecksFailed(Payload):
    """The repository's own checks failed on a commit we delivered; what they said is an artifact."""

    type = "checks.failed"

    commit: str
    names: tuple[str, ...]
    conclusions: tuple[str, ...]
    excerpt: str
    """Digest of what the agent is shown of their logs."""


class HeadApproved(Payload):
    """A person accepts changed tests, and what others pushed to paths no agent may change, for exactly this commit."""

    type = "head.approved"

    number: int
    commit: str
    by: str


class PullRequestClosed(Payload):
    type = "pull_request.closed"

    number: int
    merged: bool
    commit: str
    by: str


# --- ends --------------------------------------------------------------------------------------------------


class FeatureParked(Payload):
    type = "feature.parked"
    moves_to = State.PARKED

    code: str
    reason: str
    next_moves: tuple[str, ...]
    stage: str


class FeatureResumed(Payload):
    """Taken up again: out of PARKED or DELIVERED, a stopped turn, or a retry after FAILED or CANCELLED.

    The execution waits for its next turn; the stage that follows, whichever it is, moves the state on.
    """

    type = "feature.resumed"
    moves_to = State.PENDING

    cause: str
    by: str


class BudgetRaised(Payload):
    type = "budget.raised"

    budget: Cap
    by: str


class FeatureCompleted(Payload):
    type = "feature.completed"
    moves_to = State.COMPLETED

    pull_request: int
    commit: str


class FeatureFailed(Payload):
    type = "feature.failed"
    moves_to = State.FAILED

    code: str
    reason: str
    stage: str
    next_moves: tuple[str, ...] = ()


class FeatureCancelled(Payload):
    type = "feature.cancelled"
    moves_to = State.CANCELLED

    reason: str
    by: str


class ResourcesReleased(Payload):
    """What a finished execution let go of, one line each."""

    type = "resources.released"

    released: tuple[str, ...]


# --- at the door, on a stream of its own ---------------------------------------------------------------------


class DeliverySkipped(Payload):
    """A delivery of a forge was ignored, and why. On the stream ``deliveries``, which is no execution's."""

    type = "delivery.skipped"

    delivery: int
    forge: str
    event: str
    path: str
    """The repository as the forge spells it; empty where that could not be read."""
    reason: SkipReason
    detail: str = ""
