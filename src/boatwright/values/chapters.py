"""What one stage hands to the next: small, frozen, checkpointed by the engine. Bulk travels as artifact digests."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from boatwright.values.finding import Finding, Verdict
from boatwright.values.plan import Plan, Risk
from boatwright.values.proof import ProofVerdict


class Chapter(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Work(Chapter):
    """What this turn is for, read from the inbox rows that woke it."""

    outcome: str = ""
    """Not empty when nothing is left to do: the turn ends with this word."""
    cause: str = "request"
    build: bool = True
    """False when the agent's work stands and only the gates run again (an approval)."""
    fresh_from: str = ""
    """The stage a retry asked to do afresh; earlier results of it are not reused."""
    only_plan: bool = False
    """The first turn stops after the plan, as asked."""


class Analysis(Chapter):
    """What kind of repository this is, and that its base stands."""

    base_commit: str
    language: str
    test_line: str
    setup_line: str | None
    command_source: str
    rounds: int
    base_report: str
    failing_before: tuple[str, ...]


class Planned(Chapter):
    plan: Plan
    plan_hash: str
    risk: Risk
    drivers: tuple[str, ...]


class Built(Chapter):
    """A gate round of the agent: the work commit it left and why it stopped."""

    round: int
    commit: str
    stop: str
    summary: str
    tree: str = ""


class Verified(Chapter):
    round: int
    base_commit: str
    commit: str
    """The deliverable; empty when there was nothing to deliver."""
    proof: ProofVerdict | None
    findings: tuple[Finding, ...] = ()
    refused: bool = False
    """A rule says no: this commit may not be pushed."""

    @property
    def ready(self) -> bool:
        return self.proof is not None and self.proof.ready and not any(f.blocking for f in self.findings)


class Gated(Chapter):
    """The answer of one more gate (plan review, secure, review)."""

    verdict: Verdict


class Delivered(Chapter):
    pull_request: int
    branch: str
    commit: str
    ready: bool
    word: str
    outcome: str = "delivered"
    """How the turn ends: ``overtaken`` where others pushed first, and the next turn takes that in."""


class Settled(Chapter):
    """What was let go of at the end of a turn."""

    released: tuple[str, ...] = ()
