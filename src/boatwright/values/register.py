"""What an operator keeps a register of: tokens of the API, switches, repositories that are served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

EVERYTHING = "*"
"""The scope of the switch that stands above those of repositories."""


@dataclass(frozen=True, slots=True)
class ApiToken:
    """Somebody who may call the API. ``hash`` is the SHA-256 of the token, in hex; the token itself is nowhere."""

    name: str
    hash: str
    by: str
    created: datetime
    revoked: datetime | None = None
    used: datetime | None = None
    """When it was last seen, to the minute."""


@dataclass(frozen=True, slots=True)
class Switch:
    """One kill switch: of everything (``*``), or of a repository by its id."""

    scope: str
    off: bool
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that is served: where its history comes from, and where people talk about it."""

    id: str
    source: str
    """Path or URL."""
    forge: str
    """``github``, ``gitea``, ``forgejo``, ``gitlab`` or ``local``."""
    base_url: str
    """Of the forge's own pages; empty for ``local``."""
    path: str
    """``owner/name`` on the forge; empty for ``local``."""
    by: str
    added: datetime
    active: bool = True
    previous: tuple[str, ...] = ()
    """Paths it had before it was renamed or transferred, the oldest first."""
