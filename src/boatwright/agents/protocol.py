"""Provider: whoever writes the code, started headless, resumed, and read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from boatwright.bottle.protocol import Bottle
from boatwright.values.usage import ModelRef


class Stop(StrEnum):
    """Why a gate round of the agent ended."""

    FINISHED = "finished"  # it said it is done
    STEP_LIMIT = "step limit"
    TOKEN_LIMIT = "token limit"  # noqa: S105 - a limit, not a password
    WALL_CLOCK = "wall clock"
    REPEATED_CALL = "same call three times"
    BUDGET = "budget"
    CREDENTIAL = "credential"
    MODEL_UNAVAILABLE = "model unavailable"  # 429, 529, 5xx, cut streams: tried again, then given up
    MODEL_GARBAGE = "model answered garbage"
    SAVE_FAILED = "step could not be saved"


@dataclass(frozen=True, slots=True)
class ModelWire:
    """How to reach the model: a unix socket of the wire's gateway lane, and the model's name there.

    ``protocol`` is ``anthropic`` (Messages) or ``openai`` (Chat Completions). No key: the wire adds it.
    """

    socket: Path
    protocol: str
    model: ModelRef
    revive: Callable[[], Awaitable[None]] | None = None
    """Opens a wire again that broke or forgot its key; awaited before another attempt. Idempotent."""
    silence_seconds: float | None = None
    """No byte for this long is a dead call; None: as patient as ``agents.model.Patience`` is."""


@dataclass(frozen=True, slots=True)
class RoundLimits:
    steps: int = 40
    wall_seconds: float = 1_800.0
    output_tokens_per_call: int = 8_192
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One model reply with its tool calls, done. ``transcript`` is the whole conversation so far, as bytes."""

    number: int
    transcript: bytes
    tools: tuple[str, ...]
    said: str


@dataclass(frozen=True, slots=True)
class Task:
    """One gate round for an agent. ``transcript`` continues an earlier conversation; None starts one."""

    system: str
    prompt: str
    transcript: bytes | None
    first_step: int
    bottle: Bottle
    wire: ModelWire
    limits: RoundLimits
    before_step: Callable[[], Awaitable[None]]
    """Awaited before each model call: the fence. What it raises ends the round."""
    on_step: Callable[[StepRecord], Awaitable[None]]
    """Awaited after each step: saves it. When it returns, the step is durable."""
    say: Callable[[str], None]
    may_run: Callable[[str], bool] = lambda _: True
    """Whether the policy (``allowed_commands``) admits a shell command; one it does not is answered, not run."""


@dataclass(frozen=True, slots=True)
class RoundResult:
    stop: Stop
    summary: str
    steps: int
    transcript: bytes
    detail: str = ""
    """One sentence for people when ``stop`` is not FINISHED."""
    moves: tuple[str, ...] = ()
    """What they can do about it."""


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def wired(self) -> bool:
        """Whether its bottle needs a wire. The built-in agent thinks on the host; its bottle has none."""
        ...

    async def run(self, task: Task) -> RoundResult:
        """Work until done or a limit. Errors of ours (fence, budget) pass through; a model's failures are a Stop."""
        ...
