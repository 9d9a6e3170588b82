"""Running things: what was allowed, what came out, which limit ended it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Limit(StrEnum):
    """The limits of a bottle by the name people read when one is hit."""

    WALL = "wall clock"
    CPU = "cpu time"
    MEMORY = "memory"
    PIDS = "processes"
    DISK = "disk"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes, for one process tree in a bottle. ``disk_bytes`` is for workspace and HOME together."""

    wall_seconds: float = 600.0
    cpu_seconds: int = 1_800
    memory_bytes: int = 4 << 30
    pids: int = 512
    disk_bytes: int = 4 << 30
    output_bytes: int = 8 << 20


@dataclass(frozen=True, slots=True)
class ExecResult:
    """How a process in a bottle ended.

    ``exit_code`` is the shell convention (128 + signal). ``output`` is stdout and stderr in the order they
    came, cut in the middle at ``Limits.output_bytes``; ``limit`` names the limit that ended it, if one did.
    """

    exit_code: int
    output: bytes
    seconds: float
    limit: Limit | None = None
    truncated: bool = False
    stdout: bytes = b""
    """Filled only when the caller asked for a separate stdout (pipes of packs, archives)."""
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.limit is None

    def text(self) -> str:
        return self.output.decode("utf-8", "replace")
