"""What a reviewing model is asked to hand in: the model-facing shape, before it becomes a Verdict of ours."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_REMARKS = 20

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]


class Opinion(StrEnum):
    APPROVE = "approve"
    REQUEST_CHANGES = "request_changes"


class Remark(BaseModel):
    """One thing to change: where, what was seen, how to mend it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = ""
    line: int | None = None
    observed: Line
    fix: str = ""


class Review(BaseModel):
    """Approve, or request changes and say which."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Opinion
    summary: str = ""
    findings: Annotated[tuple[Remark, ...], Field(max_length=MAX_REMARKS)] = ()

    @model_validator(mode="after")
    def _names_what_to_change(self) -> Self:
        if self.verdict is Opinion.REQUEST_CHANGES and not self.findings:
            raise ValueError("a review that requests changes must name at least one finding")
        return self
