"""Which binds can be made now. Below the workspace the bottle decides what is there: a link is not mounted on."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from boatwright.bottle.protocol import HOME, WORKSPACE, Bind


def possible(binds: Iterable[Bind], workspace: Path, home: Path) -> tuple[tuple[Bind, ...], tuple[str, ...]]:
    """The binds whose place exists, and a note for each that was left out because the bottle's own files forbid it."""
    kept: list[Bind] = []
    notes: list[str] = []
    for bind in binds:
        if _fits(bind.target, WORKSPACE, workspace) and _fits(bind.target, HOME, home):
            kept.append(bind)
        else:
            notes.append(f"{bind.target} was not mounted: the workspace has no directory for it")
    return tuple(kept), tuple(notes)


def _fits(target: PurePosixPath, inside: PurePosixPath, outside: Path) -> bool:
    """True for a target elsewhere, or one whose parents are real directories and which is none or one itself."""
    if not target.is_relative_to(inside) or target == inside:
        return True
    place = outside
    parts = target.relative_to(inside).parts
    for number, part in enumerate(parts, 1):
        place = place / part
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            return number == len(parts)
        except OSError:
            return False
        if not stat.S_ISDIR(mode):
            return False
    return True
