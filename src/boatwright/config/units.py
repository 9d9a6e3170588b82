"""Durations and sizes as people write them: ``10m``, ``90``, ``2GiB``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_SECONDS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600}
_BYTES = {
    "": 1,
    "b": 1,
    "k": 1 << 10,
    "kb": 1_000,
    "kib": 1 << 10,
    "m": 1 << 20,
    "mb": 1_000_000,
    "mib": 1 << 20,
    "g": 1 << 30,
    "gb": 1_000_000_000,
    "gib": 1 << 30,
}
_NUMBER = re.compile(r"\s*([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)\s*\Z")


def _quantity(value: Any, units: dict[str, int], example: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"should be written like {example}")
    match = _NUMBER.match(str(value))
    if match is None or match[2].lower() not in units:
        raise ValueError(f"should be written like {example}")
    return float(match[1]) * units[match[2].lower()]


def seconds(value: Any) -> float:
    """``90``, ``90s``, ``10m``, ``1h`` as seconds."""
    return _quantity(value, _SECONDS, "90s, 10m or 1h")


def size(value: Any) -> int:
    """``1048576``, ``512MiB``, ``2GiB``, ``2GB`` as bytes."""
    return int(_quantity(value, _BYTES, "512MiB or 2GiB"))


Seconds = Annotated[float, BeforeValidator(seconds)]
Bytes = Annotated[int, BeforeValidator(size)]


def refuse_any(value: Any) -> None:
    """Nothing is taken and then ignored: a key this release does not act on is an error wherever it stands."""
    raise PydanticCustomError("not_enforced", "is not enforced by this release")


NotEnforced = Annotated[None, BeforeValidator(refuse_any)]
"""A key that has a name and a meaning, but that nothing acts on yet."""
