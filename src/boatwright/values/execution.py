"""An execution as everyone sees it: the fold of its events, and nothing that is not in them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from boatwright.values.plan import Risk
from boatwright.values.state import FINISHED, State
from boatwright.values.usage import Cap


class ExecutionView(BaseModel):
    """Where one execution stands after its event number ``sequence``. Made by ``rules.fold`` only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    tenant: str
    repository: str
    source: str
    issue: int | None
    title: str
    body: str
    state: State
    base_ref: str
    base_commit: str
    model: str
    agent: str
    provider: str = ""
    """The program behind the agent; whose daily cap counts."""
    bottles: tuple[str, ...] | None = None
    """As requested; None: the agent's own."""
    budget: Cap
    setup_command: str | None
    """As requested; what was detected is in ``analysis.completed``."""
    test_command: str | None
    requested_by: str
    created: datetime
    updated: datetime
    sequence: int
    turn: int = 0
    round: int = 0
    """The gate round inside the turn; a new turn starts again at 0."""
    stage: str = ""
    """The stage entered last: analyze, plan, review_plan, build, verify, secure, review, deliver."""
    resumed: bool = False
    """PENDING for the second time: the next stage may be any of them."""
    plan_hash: str | None = None
    risk: Risk | None = None
    pull_request: int | None = None
    branch: str | None = None
    head: str | None = None
    """The delivered commit."""
    work_commit: str | None = None
    """The commit of the last completed step: what survives every kill."""
    ready: bool = False
    waits_for: tuple[str, ...] = ()
    """Required checks of the repository that the delivered commit waits for."""
    checks_failed: str = ""
    """The commit on which checks of the repository failed last, and were taken up."""
    word: str | None = None
    """The last word of the proof."""
    parked_code: str | None = None
    reason: str | None = None
    """Why it is parked, failed or cancelled."""
    next_moves: tuple[str, ...] = ()
    usd: Decimal = Decimal(0)
    tokens: int = 0
    base_pinned: bool = False
    only_plan: bool = False
    """The request asked for a plan and nothing else."""
    recorded: bool = False
    replays: str = ""
    """The execution whose tape answers in place of a model."""

    @property
    def finished(self) -> bool:
        return self.state in FINISHED
