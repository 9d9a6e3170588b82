"""What a gate says."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Finding(BaseModel):
    """One thing that is not as it should be: rule, what was seen, the limit, how to mend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    observed: str
    limit: str = ""
    fix: str = ""
    path: str = ""
    line: int | None = None
    blocking: bool = True

    def block(self) -> str:
        """The mechanical failure block people and agents read."""
        lines = [f"FAILED: {self.rule}", f"Observed: {self.observed}"]
        if self.limit:
            lines.append(f"Limit: {self.limit}")
        if self.fix:
            lines.append(f"Fix: {self.fix}")
        return "\n".join(lines)


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
    COULD_NOT_CHECK = "could_not_check"


class Verdict(BaseModel):
    """A gate's answer. *Could not check* is never green."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    outcome: Outcome
    summary: str
    findings: tuple[Finding, ...] = ()

    @property
    def green(self) -> bool:
        return self.outcome is Outcome.PASS
