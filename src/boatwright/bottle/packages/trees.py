"""The trees of system packages that are kept, by what is in them.

``packages/<key>/`` holds ``usr`` (what lies under the host's) and ``packages.json`` (what came, and the digest of the
whole tree); ``packages/for-<wish>`` says what a list of names meant, so that a later round gets the same. A tree is whole
or not there: it is made beside its place and renamed. One that is not what was kept is no tree.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.bottle import store
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir

LOCK, MAKING, GONE, WISH = ".lock-", ".making-", ".gone-", "for-"
RECORD, USR = "packages.json", "usr"
_KEY = re.compile(r"[0-9a-f]{24}")


@dataclass(frozen=True, slots=True)
class Tree:
    """Packages laid out. ``path`` lies under /usr; ``pins`` is what came; ``left_out`` the top directories that did not."""

    key: str
    path: Path
    pins: tuple[str, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meant:
    """What a wish came to: which tree, of which packages."""

    key: str
    pins: tuple[str, ...]


def shown(state: StateDir, spec: BottleSpec) -> Path | None:
    """What lies under /usr in the bottle of ``spec``: ``errors.MissingPart`` rather than nothing where it is gone."""
    if not spec.packages:
        return None
    path = _place(state, spec.packages) / USR
    if not path.is_dir() or path.is_symlink():
        raise errors.MissingPart(
            f"the system packages of the bottle {spec.slug} are not on this host any more",
            subject=spec.slug,
            next_moves=("boatwright resume it: they are fetched again",),
        )
    return path


def find(state: StateDir, key: str) -> Tree | None:
    """The tree of that key, in use from now on for gc; None where there is none, or it is not what was kept."""
    place = _place(state, key)
    try:
        said: dict[str, Any] = json.loads((place / RECORD).read_bytes())
        pins, left_out = tuple(said["pins"]), tuple(said["left_out"])
        if said["tree"] != census(place / USR):
            return None
        os.utime(place)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Tree(key, place / USR, pins, left_out)


def seal(state: StateDir, made: Path, tree: Tree) -> Tree:
    """Write down what ``made`` is and move it, whole, to its place; whatever was there and is not whole goes."""
    place = _place(state, tree.key)
    facts = {"pins": tree.pins, "left_out": tree.left_out, "tree": census(made / USR)}
    _write(made / RECORD, facts)
    discard(state, tree.key)
    made.chmod(0o755)
    made.rename(place)
    return Tree(tree.key, place / USR, tree.pins, tree.left_out)


def discard(state: StateDir, key: str) -> None:
    """Take a tree away; bottles that have it open keep what they have."""
    gone = state.packages / f"{GONE}{key}-{os.urandom(4).hex()}"
    with suppress(FileNotFoundError):
        _place(state, key).rename(gone)
        store.erase(gone)


def remembered(state: StateDir, wish: str) -> Meant | None:
    try:
        said = json.loads((state.packages / f"{WISH}{wish}").read_bytes())
        return Meant(_place(state, said["key"]).name, tuple(map(str, said["pins"])))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(state: StateDir, wish: str) -> None:
    """What the wish meant is in use: gc takes what was not for long."""
    with suppress(FileNotFoundError):
        os.utime(state.packages / f"{WISH}{wish}")


def remember(state: StateDir, wish: str, meant: Meant) -> None:
    fresh = state.packages / f"{MAKING}{wish}-{os.urandom(4).hex()}"
    _write(fresh, {"key": meant.key, "pins": meant.pins})
    fresh.rename(state.packages / f"{WISH}{wish}")


def wish_of(left: Path) -> str:
    """The wish that something half made was made for."""
    return left.name.removeprefix(MAKING).rpartition("-")[0]


def erase(left: Path) -> None:
    if left.is_dir() and not left.is_symlink():
        store.erase(left)
    else:
        left.unlink(missing_ok=True)


def census(root: Path) -> str:
    """The digest of a whole tree: names, kinds, modes, contents, where links lead. Links are not followed.

    Contents are read once per process, and again when anything about a file has changed.
    """
    outline = hashlib.sha256()
    for path, found in _walk(root):
        facts = (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        outline.update(os.fsencode(path) + b"\0" + repr(facts).encode() + b"\0")
    return _contents(root, outline.hexdigest())


@functools.lru_cache(maxsize=64)
def _contents(root: Path, _outline: str) -> str:
    whole = hashlib.sha256()
    for path, found in _walk(root):
        name, said = os.fsencode(path.relative_to(root)), b""
        if stat.S_ISLNK(found.st_mode):
            said = os.fsencode(path.readlink())
        elif stat.S_ISREG(found.st_mode):
            with path.open("rb") as file:
                said = hashlib.file_digest(file, "sha256").digest()
        whole.update(b"%d %d %o\0" % (len(name), len(said), found.st_mode) + name + said)
    return whole.hexdigest()


def _walk(root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything below, in an order of its own; ``NotADirectoryError`` where the top is a link."""
    if not stat.S_ISDIR(root.lstat().st_mode):
        raise NotADirectoryError(f"{root} is no directory")
    waiting = [root]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            found = path.lstat()
            yield path, found
            if stat.S_ISDIR(found.st_mode):
                waiting.append(path)


def _place(state: StateDir, key: str) -> Path:
    if not _KEY.fullmatch(key):
        raise ValueError(f"{key[:40]!r} is no key of a tree")
    return state.packages / key


def _write(path: Path, content: dict[str, Sequence[str] | str]) -> None:
    with path.open("w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
