"""What a bottle may be called: a path segment, a word of a shell, and no name that is ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

from boatwright import errors

LONGEST = 63
_LABEL = re.compile(rf"[a-z][a-z0-9-]{{0,{LONGEST - 1}}}")
_OURS = ("ex-", "env-", "prepare-", "verify-")
"""How the names of bottles begin that Boatwright makes for itself."""


def refuse(label: str) -> None:
    """``errors.BadInput`` unless ``label`` may name a bottle of a person's."""
    if not _LABEL.fullmatch(label):
        raise errors.BadInput(
            f"{label[:80]!r} cannot name a bottle: a label is made of a-z, 0-9 and '-', begins with a letter, "
            f"and has at most {LONGEST} characters",
            subject=label[:80],
            next_moves=("--label NAME", "boatwright bottle list"),
        )
    if label.startswith(_OURS):
        raise errors.BadInput(
            f"'{label}' cannot name a bottle: names that begin with {', '.join(_OURS)} are Boatwright's own",
            subject=label,
            next_moves=("--label NAME",),
        )


def candidates(label: str) -> Iterator[str]:
    """The label itself, then with -2, -3 … behind it, never longer than a label may be."""
    yield label
    for number in count(2):
        tail = f"-{number}"
        yield f"{label[: LONGEST - len(tail)]}{tail}"
