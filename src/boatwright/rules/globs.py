"""One way to match repository paths everywhere: gitignore patterns, the last match wins, ``!`` takes back."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from pathspec import GitIgnoreSpec


@lru_cache(maxsize=256)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def matches(patterns: Iterable[str], path: str) -> bool:
    """Whether ``path`` (repository-relative, forward slashes) is named by the gitignore ``patterns``."""
    return _compiled(tuple(patterns)).match_file(path)


def first_match(patterns: Iterable[str], path: str) -> str | None:
    """The first single pattern that names ``path``, for messages; None when none does."""
    return next((pattern for pattern in patterns if matches((pattern,), path)), None)
