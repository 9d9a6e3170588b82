"""Words of strangers on a terminal: shown, never obeyed."""

from __future__ import annotations

import unicodedata

_KEPT = frozenset("\n\t\u200c\u200d")  # the two joiners are spelling in some scripts and in emoji
_ESCAPED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """``text`` with every character that could move a cursor, change a colour or turn the reading direction
    written as its escape (``\\x1b``, ``\\u202e``). Newline and tab stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def one_line(text: str) -> str:
    """The same for a place that has room for one line: newlines and tabs become spaces."""
    return printable(" ".join(text.split()))


def _shown(character: str) -> str:
    if character in _KEPT or unicodedata.category(character) not in _ESCAPED:
        return character
    return character.encode("unicode_escape").decode("ascii")
