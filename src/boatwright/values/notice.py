"""What is told to people outside when an execution waits for them, or is over."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Topic(StrEnum):
    """What a notice is about."""

    PARKED = "parked"
    DELIVERED = "delivered"  # as a draft, or ready
    FAILED = "failed"
    CANCELLED = "cancelled"


class Channel(StrEnum):
    WEBHOOK = "webhook"
    MAIL = "mail"


class Notice(BaseModel):
    """One notice, made from one event. No body of an issue, no prompt, no output of a program; every text is one line."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    id: str
    """``EXECUTION:SEQUENCE`` of the event: the same whenever it is sent, so that a second one can be told."""
    topic: Topic
    execution: str
    repository: str
    """Our name for it."""
    at: datetime
    title: str
    """Of the request: somebody else's words."""
    code: str = ""
    """Of a park or failure, machine-readable."""
    reason: str = ""
    next_moves: tuple[str, ...] = ()
    issue: int | None = None
    issue_url: str = ""
    pull_request: int | None = None
    pull_request_url: str = ""
    ready: bool = False
    word: str = ""
    """Of the proof."""
    usd: Decimal
    """Spent by the execution so far."""
    tokens: int
