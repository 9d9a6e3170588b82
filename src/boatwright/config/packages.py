"""System packages of a repository's bottles: the names a policy may ask for, and what the host says of them.

A name becomes an argument of apt, which reads a word that ends in a dash as a removal: what could be an option, a
version, a pattern or a removal is no name here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator

NAME = re.compile(r"[a-z0-9](?:[a-z0-9+.-]{0,98}[a-z0-9+])")
MOST = 50
ANY = "any"
_PATTERN = re.compile(r"[a-z0-9*?][a-z0-9*?+.-]{0,99}")


def is_name(text: str) -> bool:
    """Whether ``text`` may be the name of a Debian package, and nothing else to apt."""
    return NAME.fullmatch(text) is not None


def _read(value: Any) -> tuple[str, ...]:
    """The names as people write them, each once, in order of the alphabet."""
    names = _words(value, "should be a list of package names, as system_packages: [jq, libpq-dev]")
    for name in names:
        if not is_name(name):
            raise ValueError(f"holds {name[:60]!r}, which is no name of a Debian package")
    if len(set(names)) > MOST:
        raise ValueError(
            f"names {len(set(names))} packages; at most {MOST} are taken: build an image of them"
        )
    return tuple(sorted(set(names)))


def _read_ceiling(value: Any) -> tuple[str, ...]:
    """``any``, or the names and patterns that a repository may ask for."""
    if value == ANY:
        return ("*",)
    patterns = _words(value, "should be any, or a list of names and patterns, as [jq, 'lib*-dev']")
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(
                f"holds {pattern[:60]!r}, which is no pattern of package names; * and ? stand for others"
            )
    return tuple(patterns)


def _words(value: Any, should: str) -> Sequence[str]:
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ValueError(should)
    return value


def beyond(patterns: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Those of ``names`` that none of the operator's patterns admits."""
    allowed = tuple(patterns)
    return tuple(name for name in names if not any(fnmatchcase(name, each) for each in allowed))


Wish = Annotated[tuple[str, ...], BeforeValidator(_read)]
Allowed = Annotated[tuple[str, ...], BeforeValidator(_read_ceiling)]
