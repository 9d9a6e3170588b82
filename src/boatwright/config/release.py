"""Which release of Boatwright this process is; turns are pinned to it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

VARIABLE = "BOATWRIGHT_RELEASE"


def current(environment: Mapping[str, str]) -> str:
    """The installed version; ``BOATWRIGHT_RELEASE`` names another for upgrade drills."""
    return environment.get(VARIABLE) or metadata.version("boatwright")
