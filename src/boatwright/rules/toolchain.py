"""Which toolchains a command line needs, told from its words, so that a missing one is named before anything runs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable

PACKAGES = {
    "bun": "bun", "bundle": "ruby-bundler", "cabal": "cabal-install", "cargo": "cargo", "composer": "composer",
    "deno": "deno", "dotnet": "dotnet-sdk", "go": "golang", "gradle": "gradle", "java": "default-jdk", "make": "make",
    "mix": "elixir", "mvn": "maven", "node": "nodejs", "npm": "npm", "npx": "npm", "php": "php-cli", "pnpm": "pnpm",
    "python3": "python3", "ruby": "ruby", "rustc": "rustc", "sbt": "sbt", "stack": "haskell-stack", "swift": "swift",
    "yarn": "yarnpkg",
}  # fmt: skip
"""A toolchain's program, and what a Debian calls its package."""
_OPERATORS = ";&|()\n"
_ASSIGNS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_THROUGH = frozenset({"exec", "env", "time", "nice", "command"})


def needed(line: str) -> tuple[str, ...]:
    """The toolchain programs that commands of ``line`` begin with, each once, in order."""
    return tuple(dict.fromkeys(each for each in _commands(line) if each in PACKAGES))


def first(line: str) -> tuple[str, ...]:
    """As :func:`needed`, of its first command alone: a later one may be what an earlier one installs."""
    return tuple(each for each in _commands(line)[:1] if each in PACKAGES)


def _commands(line: str) -> list[str]:
    """The word each command begins with; nothing for a line that no shell would take."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=_OPERATORS)
    lexer.whitespace, lexer.commenters = " \t\r", ""
    found: list[str] = []
    begins = True
    try:
        for word in lexer:
            if set(word) <= set(_OPERATORS):
                begins = True
            elif begins and not _ASSIGNS.match(word) and word not in _THROUGH:
                found.append(word)
                begins = False
    except ValueError:
        return []
    return found


def sentence(missing: Iterable[str], place: str) -> str:
    """What a person is told; ``place`` says whose programs there are."""
    names = list(missing)
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not in this environment ({place})"


def moves(missing: Iterable[str]) -> tuple[str, ...]:
    """What a person can do about it."""
    packages = " ".join(dict.fromkeys(PACKAGES[each] for each in missing))
    return (
        f"install it on this host: apt-get install {packages}",
        "name an image that has it: environment: {image: REF} in .boatwright.yml on the base branch",
    )
