"""The plan: what will be done, where, how it will be shown to work."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_STEPS = 12

Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
RepositoryPath = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1_024)]


class Proof(StrEnum):
    """What the plan promises to show. DESIGN: proof."""

    BEHAVIOUR = "behaviour"  # something that failed before passes after
    NEW = "new"  # something that did not exist before works after
    NONE = "none"  # documentation, configuration: nothing breaks


class Action(StrEnum):
    READ = "read"
    EDIT = "edit"
    ADD = "add"
    DELETE = "delete"
    RUN = "run"
    VERIFY = "verify"
    RESEARCH = "research"


WRITING = frozenset({Action.EDIT, Action.ADD, Action.DELETE})


class Risk(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class PlanStep(BaseModel):
    """One step. ``path`` is repository-relative; a writing step must name one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, StringConstraints(pattern=r"^P\d{1,2}$")]
    action: Action
    path: RepositoryPath | None = None
    command: Sentence | None = None
    acceptance: Sentence

    @model_validator(mode="after")
    def _names_what_it_touches(self) -> Self:
        if self.action in WRITING and not self.path:
            raise ValueError(f"step {self.id}: action {self.action} must name a path")
        return self


class Plan(BaseModel):
    """What the model proposes. Risk and touched paths are ours to compute, never its word."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    goal: Sentence
    proof: Proof = Proof.BEHAVIOUR
    steps: Annotated[tuple[PlanStep, ...], Field(min_length=1, max_length=MAX_STEPS)]
    assumptions: tuple[Sentence, ...] = ()
    changed_tests: tuple[Sentence, ...] = ()
    """Test ids the plan says will be renamed, removed or change their expectation (a person approves them)."""

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [step.id for step in self.steps]
        if len(set(ids)) != len(ids):
            raise ValueError("step ids must be unique")
        return self

    @property
    def touch_paths(self) -> tuple[str, ...]:
        """Sorted unique paths of the writing steps, leading ``./`` and ``/`` stripped."""
        paths = {
            step.path.lstrip("./") if step.path.startswith(("/", "./")) else step.path
            for step in self.steps
            if step.action in WRITING and step.path
        }
        return tuple(sorted(paths))
