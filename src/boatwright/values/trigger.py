"""What was last heard of an issue that may ask for work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """``changed``: when the newest change we heard of was made. ``asked``: when the newest request was, ``execution`` the
    id it was given, and ``delivery`` what asked. Times are the forge's own; None where it does not say, or nobody asked.
    """

    labels: tuple[str, ...]
    assignees: tuple[str, ...]
    changed: datetime | None = None
    asked: datetime | None = None
    execution: str = ""
    delivery: str = ""
