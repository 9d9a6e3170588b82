"""A bottle outside any execution: one agent, what it was asked, and what there is to go on from."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from boatwright.values.calls import ForgeCalls
from boatwright.values.usage import Cap


class SoloState(StrEnum):
    """What is written down. A bottle that says RUNNING and that no process holds was interrupted."""

    STARTING = "starting"  # its agent has not begun: nothing of it is worth keeping yet
    RUNNING = "running"
    STOPPED = "stopped"
    FROZEN = "frozen"
    KILLED = (
        "killed"  # its directories are gone: a cut said so. What was saved elsewhere goes on in a new bottle
    )


class SoloEnd(BaseModel):
    """How the newest run of the agent ended: its stop by name, in its own words, and what a person can do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stop: str
    summary: str = ""
    detail: str = ""
    moves: tuple[str, ...] = ()
    exit_code: int | None = None
    """The program's own, where it was a program that ended."""
    at: datetime


class SoloTopic(BaseModel):
    """The issue a bottle's agent may call its forge about, in the words it had when somebody asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: str
    """Its id here, whichever directory the bottle was begun in."""
    forge: str
    """The kind of forge it was read at."""
    calls: ForgeCalls
    """How far calls go as its own repository's policy has it; those of the agent's manifest may end before."""
    issue: int
    title: str
    body: str


class Solo(BaseModel):
    """One bottle's record. Digests name artifacts; empty: there is none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: str
    account: str
    """Who pays: a budget of its own for as long as this bottle lives, whoever had its name before."""
    agent: str
    provider: str
    bottles: tuple[str, ...] | None
    """As asked for; None: the agent's own."""
    model: str
    budget: Cap
    color: str | None = None
    repository: str = ""
    """Whose manifests hold, and whose bill it is; empty: this host's alone."""
    source: str = ""
    commit: str = ""
    copied: bool = False
    """The workspace began as the files of ``commit``; else it began empty."""
    setup_command: str | None = None
    backend: str = ""
    """What made it, and makes it again after a freeze; empty: of a release with one backend."""
    created: datetime
    state: SoloState = SoloState.STARTING
    prompts: tuple[str, ...] = ()
    heard: int = 0
    """How many of the prompts the saved session knows."""
    session: str = ""
    transcript: str = ""
    step: int = 0
    archive: str = ""
    end: SoloEnd | None = None
    terminal: bool = False
    """Its newest run is, or was, at a terminal of the bottle's own."""
    recorded: bool = False
    """What its models are asked and answer is kept as a tape, in every run of it."""
    topic: SoloTopic | None = None
    """None: its agent has no forge to call."""

    @property
    def artifacts(self) -> tuple[str, ...]:
        """What must be kept for as long as the bottle is known."""
        return tuple(each for each in (self.session, self.transcript, self.archive, *self.prompts) if each)
