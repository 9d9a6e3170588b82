"""Programs that run inside a bottle: one stdlib-only file each, handed in as text, never imported there."""

from __future__ import annotations

import functools
from importlib import resources


@functools.cache
def program(name: str) -> str:
    """The source of one of them."""
    return resources.files(__name__).joinpath(f"{name}.py").read_text("utf-8")
