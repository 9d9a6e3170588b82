"""Merging three trees we choose, where no history says which: in our own gitdir, without a work tree or a driver.

The mirror's ``info/attributes`` outranks every ``.gitattributes`` and defines no driver; nothing of a repository's
settings is read (``git.run``). What comes out is a tree; where sides disagree it holds git's markers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from boatwright import errors
from boatwright.git import names
from boatwright.git.mirror import SCRATCH
from boatwright.git.trees import EXECUTABLE, FILE, Trees

MOST_COMMITS, MOST_AUTHORS = 1_000, 20
READ_CAP = 4 << 20
"""Bytes of a file in which markers are looked for. In a larger one nobody is asked to find them."""


@dataclass(frozen=True, slots=True)
class ThreeWay:
    """``marked``: paths whose file holds markers an agent can see. ``unseen``: every other path in conflict."""

    tree: str
    marked: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


def three_way(mirror: Trees, *, base: str, ours: str, theirs: str) -> ThreeWay:
    """What ``ours`` and ``theirs`` each do to ``base`` (commits or trees), in one tree.

    git chooses the base of a merge by history, so the three are given one: commits nobody will push.
    """
    root = _commit(mirror, mirror.tree_of(base), ())
    mine, other = (_commit(mirror, mirror.tree_of(each), (root,)) for each in (ours, theirs))
    merged = mirror.merge(mine, other)
    marked = tuple(path for path in merged.conflicts if _marked(mirror, merged.tree, path, (mine, other)))
    return ThreeWay(merged.tree, marked, tuple(path for path in merged.conflicts if path not in marked))


def holds_markers(data: bytes) -> bool:
    """Whether a text holds the marker triple of a conflict, in its order."""
    at = 0
    for line in _MARKER.finditer(data):
        if line[0].startswith(_TRIPLE[at]):
            at += 1
        if at == len(_TRIPLE):
            return True
    return False


_TRIPLE = (b"<" * 7, b"=" * 7, b">" * 7)
_MARKER = re.compile(rb"(?m)^(?:(?:<{7}|>{7})(?: [^\n]*)?\r?|={7}\r?)$")
"""A line that is a marker; only the two outer ones have a label."""


def others(mirror: Trees, head: str, *, base: str, ours: Collection[str]) -> tuple[int, tuple[str, ...]]:
    """How many commits of ``head`` are neither in ``base`` nor ``ours``, and the names of who wrote them, as data."""
    ran = mirror.run(
        "rev-list", "--no-commit-header", "--format=%H%x09%an", f"--max-count={MOST_COMMITS}",
        names.oid(head), f"^{names.oid(base)}",
    )  # fmt: skip
    pairs = (each.partition("\t") for each in ran.out.decode("utf-8", "replace").split("\n") if each)
    found = [who for oid, _, who in pairs if oid not in ours]
    return len(found), tuple(dict.fromkeys(found))[:MOST_AUTHORS]


def _commit(mirror: Trees, tree: str, parents: tuple[str, ...]) -> str:
    return mirror.commit_tree(tree, parents, "a side of a merge", SCRATCH, datetime.fromtimestamp(0, UTC))


def _marked(mirror: Trees, tree: str, path: str, sides: tuple[str, str]) -> bool:
    """Whether the merged file shows its conflict between the two labels of this very merge."""
    entry = mirror.entry(tree, path)
    if entry is None or entry.mode not in {FILE, EXECUTABLE} or names.shown(path) != path:
        return False
    try:
        data = mirror.read(tree, path, READ_CAP) or b""
    except errors.BadInput:
        return False
    mine, other = (side.encode() for side in sides)
    return b"\0" not in data and b"<<<<<<< " + mine in data and b">>>>>>> " + other in data
