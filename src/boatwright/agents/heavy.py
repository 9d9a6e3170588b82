"""The model clients take seconds to import. They are loaded here, at first use, so that a command without a
model starts at once; :func:`warm` does it beforehand, in a thread, while something else is waited for."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from boatwright.agents.model import Patience

    __all__ = ["Patience", "asking", "builtin", "warm"]


def asking() -> ModuleType:
    return importlib.import_module("boatwright.agents.asking")


def builtin() -> ModuleType:
    return importlib.import_module("boatwright.agents.builtin")


def warm() -> None:
    """Import everything a gate round needs. Meant for ``asyncio.to_thread``; calling it twice costs
    nothing.
    """
    asking()
    builtin()
