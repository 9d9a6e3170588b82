"""Which binds can be made now, and from where.

Below the workspace the bottle decides what is there: a link is not mounted on. And a bottle's uid
must be able to walk to what it is shown: what lies in root's home is copied to a shelf first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle.binary import reachable
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


class Shelf:
    """Read-only copies of small things that a bottle is to see and its uid cannot reach: files of our own package."""

    MOST = 64 << 20

    def __init__(self, place: Path) -> None:
        self._place = place
        self._copies: dict[Path, Path] = {}

    def within_reach(self, binds: Iterable[Bind], uid: int) -> tuple[Bind, ...]:
        """The binds, each unreachable read-only source replaced by its copy."""
        return tuple(
            bind if bind.writable or not self._needs_copy(bind.source, uid) else self._moved(bind)
            for bind in binds
        )

    @staticmethod
    def _needs_copy(source: Path, uid: int) -> bool:
        # As a user it would be no use: what we cannot read we cannot copy.
        return uid != os.geteuid() and source.exists() and not reachable(source, uid, want=stat.S_IROTH)

    def _moved(self, bind: Bind) -> Bind:
        if bind.source not in self._copies:
            self._copies[bind.source] = self._copy(bind.source)
        return Bind(self._copies[bind.source], bind.target)

    def _copy(self, source: Path) -> Path:
        files = [source] if source.is_file() else sorted(each for each in source.rglob("*") if each.is_file())
        if sum(each.stat().st_size for each in files) > self.MOST:
            raise errors.MissingPart(
                f"a bottle's uid cannot read {source}, and it is too large to copy",
                subject=str(source),
                next_moves=(f"move {source} where everybody may read it",),
            )
        digest = hashlib.sha256()
        for each in files:
            digest.update(os.fsencode(each.relative_to(source.parent)) + b"\0" + each.read_bytes() + b"\0")
        copy = self._place / digest.hexdigest()[:24]
        if not copy.exists():
            self._lay_out(source, copy)
        return copy / source.name

    def _lay_out(self, source: Path, copy: Path) -> None:
        self._place.mkdir(parents=True, exist_ok=True)
        self._place.chmod(0o711)
        fresh = copy.with_name(f".{copy.name}-{os.urandom(4).hex()}")
        fresh.mkdir()
        if source.is_dir():
            shutil.copytree(source, fresh / source.name, symlinks=True)
        else:
            shutil.copyfile(source, fresh / source.name)
        for each in (fresh, *fresh.rglob("*")):
            if not each.is_symlink():
                each.chmod(0o755 if each.is_dir() else 0o644)
        try:
            fresh.rename(copy)
        except OSError:  # another worker was quicker with the same bytes
            shutil.rmtree(fresh)
