"""Test runs as evidence: which case said what, how we read it, and the word of the verdict."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from boatwright.values.finding import Finding
from boatwright.values.process import Limit


class CaseOutcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"  # could not run: collection, import, fixture
    SKIPPED = "skipped"


class Cause(StrEnum):
    """Why a case failed, as far as the runner can tell."""

    ASSERTION = "assertion"
    RAISED = "raised"  # an exception raised inside existing code
    MISSING_NAME = "missing_name"  # the name under test does not exist yet
    UNKNOWN = "unknown"


class Case(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    outcome: CaseOutcome
    cause: Cause | None = None
    message: str = ""
    file: str = ""
    """Repository-relative path of the test file, where the report says it."""


class Run(StrEnum):
    """Whose code with whose tests. DESIGN: proof."""

    BB = "B/B"
    HH = "H/H"
    BH = "B/H"  # base code, head's form of the changed test files
    HB = "H/B"  # head code, base's form of the changed test files

    @property
    def words(self) -> str:
        """The run as people are told of it."""
        code, tests = ("new" if side == "H" else "old" for side in self.value.split("/"))
        return f"{code} code, {tests} tests"


class HowRead(StrEnum):
    JUNIT = "junit"  # ids and outcomes from the runner's own report
    TEXT = "text"  # parsed from what it printed
    EXIT_CODE = "exit code"  # one id for the whole command


class RunReport(BaseModel):
    """One run of the test command on one commit. Counts are evidence; zero cases is a failure."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commit: str
    cases: tuple[Case, ...]
    exit_code: int
    how_read: HowRead
    seconds: float
    limit: Limit | None = None
    output: str = ""
    """Digest of the full output in the artifact store; empty when not stored."""

    def by_id(self) -> dict[str, Case]:
        return {case.id: case for case in self.cases}

    def count(self, outcome: CaseOutcome) -> int:
        return sum(1 for case in self.cases if case.outcome is outcome)


class Word(StrEnum):
    """The verdict of the proof, in one word."""

    PROVEN = "proven"
    NEW_BEHAVIOUR = "new behaviour"
    NO_REGRESSION = "no regression, as planned"
    UNPROVEN = "unproven"
    REGRESSION = "regression"
    REFUSED = "refused"
    COULD_NOT_CHECK = "could not check"


READY = frozenset({Word.PROVEN, Word.NEW_BEHAVIOUR, Word.NO_REGRESSION})


class ProofVerdict(BaseModel):
    """What the proof says of one commit, with the ids that decided it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: Word
    commit: str
    sentence: str
    how_read: HowRead
    fixed: tuple[str, ...] = ()
    """Fail before (B/H), pass after (H/H)."""
    new: tuple[str, ...] = ()
    """Could not run before because a name did not exist; pass after."""
    still_passing: int = 0
    regressions: tuple[str, ...] = ()
    changed_tests: tuple[str, ...] = ()
    """Old tests that fail in H/B, or vanished: a person approves these for this commit."""
    unstable: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def ready(self) -> bool:
        return self.word in READY
