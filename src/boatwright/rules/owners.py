"""Whose files a change touches, by the repository's CODEOWNERS: the last line that fits a path names its owners.

The syntax is GitHub's, with GitLab's sections (each has owners of its own). Gitea's and Forgejo's files are regular
expressions, which mean something else: they are left to those forges. The forge asks owners for their review itself,
once a pull request is ready; here they are only named.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from pathspec import GitIgnoreSpec

LONGEST, MOST_LINES = 1 << 20, 5_000
"""Bytes and lines that are read; GitHub itself takes 3 MB."""

_HOMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "github": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
        "gitlab": ("CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"),
        "local": (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"),
    }
)
_SECTION = re.compile(r"^\^?\[([^\]]{1,200})\](?:\[\d{1,3}\])?(?:\s+(.*))?$")
_WORD = re.compile(r"(?:\\.|[^\s\\])+")
_OWNER = re.compile(r"^@?[A-Za-z0-9][A-Za-z0-9._%+/-]*(@[A-Za-z0-9.-]+)?$")


@dataclass(frozen=True, slots=True)
class _Rule:
    section: str
    spec: GitIgnoreSpec
    owners: tuple[str, ...]


def find(paths: Collection[str], forge: str) -> str | None:
    """Which of a repository's files that kind of forge reads; None where it has none that means what we read."""
    return next((path for path in _HOMES.get(forge, ()) if path in paths), None)


def of(text: str, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Owner → the paths that are theirs, both in the order they come. A path nobody owns is not in it."""
    rules = tuple(_rules(text[:LONGEST]))
    found: dict[str, list[str]] = {}
    for path in paths:
        last: dict[str, tuple[str, ...]] = {r.section: r.owners for r in rules if r.spec.match_file(path)}
        for owner in dict.fromkeys(owner for owners in last.values() for owner in owners):
            found.setdefault(owner, []).append(path)
    return {owner: tuple(theirs) for owner, theirs in found.items()}


def _rules(text: str) -> Iterator[_Rule]:
    section, default = "", tuple[str, ...]()
    for line in map(str.strip, text.splitlines()[:MOST_LINES]):
        if not line or line.startswith("#"):
            continue
        if headed := _SECTION.match(line):
            section, default = headed[1].casefold(), _owners(_words(headed[2] or ""))
            continue
        pattern, *words = _words(line) or ("!",)
        if pattern.startswith("!"):
            continue  # neither forge knows an exception, and a line can be without a word
        owners = _owners(words)
        yield _Rule(section, _spec(pattern), owners or (() if words else default))


def _spec(pattern: str) -> GitIgnoreSpec:
    """``docs/*`` means the files right in there, which is less than it means to git."""
    return GitIgnoreSpec.from_lines([pattern, f"!{pattern}/**"] if pattern.endswith("/*") else [pattern])


def _words(line: str) -> list[str]:
    """The words up to a comment; a blank that belongs to a path is written with a backslash."""
    words = _WORD.findall(line)
    ends = next((at for at, word in enumerate(words) if at and word.startswith("#")), len(words))
    return words[:ends]


def _owners(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word for word in words if _OWNER.match(word) and "@" in word)
