"""Provider: whoever writes the code, started headless, resumed, and read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Protocol

from boatwright.bottle.protocol import Bind, Bottle
from boatwright.bottle.terminal import Terminal
from boatwright.egress.wires import Denial
from boatwright.values.usage import ModelRef


def native(model: ModelRef) -> str:
    """What is spoken to a model by our own calls. The scripted model speaks all; Chat Completions loads faster."""
    return "anthropic" if model.provider == "anthropic" else "openai"


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
    BOTTLE_LIMIT = "limit of the bottle"
    BLOCKED = "blocked"  # it says so itself, and why
    SILENT = "did not report"  # nothing was heard of it for too long
    FAILED = "agent failed"  # the program ended badly, for a reason of its own
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
    refused: Callable[[], Awaitable[Sequence[Denial]]] | None = None
    """What this wire has refused so far. A program in a bottle may keep that to itself."""
    last_status: Callable[[], Awaitable[int]] | None = None
    """What the provider answered to the call that ended last, by the wire's own record; 0: nothing yet."""
    quiet: Callable[[], Awaitable[float]] | None = None
    """Seconds since it carried anything: a call of a model, or of a service of this host."""
    services: tuple[str, ...] = ()
    """Names of what of this host may be asked over it."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What tells clients inside of them."""


@dataclass(frozen=True, slots=True)
class RoundLimits:
    steps: int = 40
    wall_seconds: float = 1_800.0
    output_tokens_per_call: int = 8_192
    tokens: int | None = None
    save_seconds: float = 60.0
    """How long a program in a bottle works before its work is saved again (DESIGN §4, Step)."""


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One piece of work to save. ``transcript`` is the whole conversation so far, as bytes.

    Of the built-in agent: one model reply with its tool calls, done. Of a program: what it did in a minute, and
    ``session``, what it keeps in HOME to go on from.
    """

    number: int
    transcript: bytes
    tools: tuple[str, ...]
    said: str
    session: bytes = b""


@dataclass(frozen=True, slots=True)
class Task:
    """One gate round for an agent. ``transcript`` (of a program: ``session``) continues an earlier conversation;
    None starts one. An empty ``prompt`` goes on with the round they break off in; ``opening`` is that round's
    whole prompt, for who has lost it.
    """

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
    opening: str = ""
    skills: Mapping[str, tuple[bytes, bool]] = field(default_factory=dict)
    """Files of the agent's skills by path (``NAME/SKILL.md`` …), and whether each may be run."""
    session: bytes | None = None
    program: PurePosixPath | None = None
    before: tuple[PurePosixPath, ...] = ()
    """What the program is run by, where its first line cannot say so in a bottle."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a program is to end early: it is stopped at once, wherever it is, and saved as it is."""
    terminal: Terminal | None = None
    """Where a person works with it: it runs as its own program there, and no prompt is given to it."""


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
    exit_code: int | None = None
    """The program's own, where the agent is one."""


@dataclass(frozen=True, slots=True)
class Host:
    """What a provider may know of the host: its variables, who bottles run as, where copies for them go."""

    environment: Mapping[str, str]
    uid: int
    shelf: Path


@dataclass(frozen=True, slots=True)
class Fitting:
    """What a provider's bottle is given besides the repository's environment; ``program`` is its path inside."""

    binds: tuple[Bind, ...] = ()
    program: PurePosixPath | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    before: tuple[PurePosixPath, ...] = ()


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def wired(self) -> bool:
        """Whether its bottle needs a wire. The built-in agent thinks on the host; its bottle has none."""
        ...

    @property
    def screen(self) -> bool:
        """Whether it can work with a person at a terminal."""
        ...

    def speaks(self, model: ModelRef) -> str:
        """The protocol in which it asks this model. Raises ``errors.BadInput`` when it cannot use it."""
        ...

    def fit(self, host: Host) -> Fitting:
        """What its bottle needs. Raises ``errors.MissingPart`` with the remedy where this host has it not."""
        ...

    async def run(self, task: Task) -> RoundResult:
        """Work until done or a limit. Errors of ours (fence, budget) pass through; a model's failures are a Stop."""
        ...
