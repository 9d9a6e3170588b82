"""What a scanner is asked, and what it may answer. No answer of it holds a secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes, and what people call them: a path, or words such as ``message of commit 1a2b3c``."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Leak:
    """One finding. ``excerpt`` tells its length, never its text; ``line`` counts from 1, 0 where it is not known."""

    name: str
    line: int
    rule: str
    excerpt: str


class CouldNotCheck(Exception):
    """Nothing is known of these bytes; the sentence says why."""


class Scanner(Protocol):
    @property
    def name(self) -> str: ...

    def scan(self, blobs: Sequence[Blob]) -> tuple[Leak, ...]:
        """The secrets in these bytes. Blocks. Raises :class:`CouldNotCheck` where they could not all be looked at."""
        ...
