"""What a gate says."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _unicode(text: str) -> str:
    """Names of files may hold bytes that are no text; what is told and stored shows them escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


Words = Annotated[str, AfterValidator(_unicode)]


class Finding(BaseModel):
    """One thing that is not as it should be: rule, what was seen, the limit, how to mend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Words
    observed: Words
    limit: Words = ""
    fix: Words = ""
    path: Words = ""
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
