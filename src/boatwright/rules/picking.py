"""What somebody typed at a list: a number or a name; several of them; nothing, for what is usual."""

from __future__ import annotations

import re
from collections.abc import Sequence

from boatwright import errors

NONE = "-"
"""What is typed for none at all, where nothing typed means the usual."""
_BETWEEN = re.compile(r"[\s,]+")


def one(typed: str, names: Sequence[str]) -> str:
    """The name that was meant. ``errors.BadInput`` says what there is."""
    text = typed.strip()
    if text in names:
        return text
    if text.isdecimal() and text.isascii() and 1 <= int(text[:9]) <= len(names):
        return names[int(text[:9]) - 1]
    raise errors.BadInput(
        f"{text[:40]!r} is not on the list: type a number from 1 to {len(names)}, or a name",
        subject=text[:40],
    )


def several(typed: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """The names that were meant, in the order typed, each once. None: nothing was typed; empty: ``-``, none."""
    words = [word for word in _BETWEEN.split(typed.strip()) if word]
    if not words:
        return None
    if words == [NONE]:
        return ()
    return tuple(dict.fromkeys(one(word, names) for word in words))


def agreed(typed: str) -> bool | None:
    """Yes or no; None for anything else, which is asked again. Nothing typed is no."""
    text = typed.strip().lower()
    if text in {"y", "yes"}:
        return True
    return False if text in {"", "n", "no"} else None
