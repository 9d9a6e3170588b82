"""The model clients take seconds to import. They are loaded here, at first use and only the protocol that is
used, so that a command without a model starts at once; :func:`warm` does it beforehand, in a thread.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from boatwright import errors

if TYPE_CHECKING:
    from boatwright.agents.model import Patience

    __all__ = ["PROTOCOLS", "Patience", "asking", "builtin", "protocol", "warm"]

PROTOCOLS = {
    "anthropic": "boatwright.agents.model_anthropic",
    "openai": "boatwright.agents.model_openai",
}


def asking() -> ModuleType:
    return importlib.import_module("boatwright.agents.asking")


def builtin() -> ModuleType:
    return importlib.import_module("boatwright.agents.builtin")


def protocol(name: str) -> ModuleType:
    """The module that makes models of one protocol. Raises ``errors.BadInput`` for a name it does not
    know.
    """
    if name not in PROTOCOLS:
        raise errors.BadInput(f"'{name}' is not a model protocol: {' or '.join(PROTOCOLS)}", subject=name)
    return importlib.import_module(PROTOCOLS[name])


def warm(name: str = "anthropic") -> None:
    """Import all that a gate round over protocol ``name`` needs. Meant for ``asyncio.to_thread`` while
    something else is waited for, such as the base's tests; calling it twice costs nothing.
    """
    asking()
    builtin()
    protocol(name)
