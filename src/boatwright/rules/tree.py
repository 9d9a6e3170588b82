"""What a tree may not newly hold: links that leave it, names that collide or mean ``.git``, submodules.

Pure: paths, modes and link targets in, findings out. Only what head adds or changes is looked at; what base
already has stays. A finding stops delivery, never the saving of a step. Sources: DESIGN "Tree handling on the
host"; git's own ``verify_path``, which knows the NTFS and HFS+ spellings of ``.git``.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from boatwright.values.finding import Finding

LINK, GITLINK = "120000", "160000"
_REGULAR = frozenset({"100644", "100755", "100664"})
_HOPS = 40
_IGNORED_BY_HFS = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
_NTFS_SHORT = {".git": re.compile(r"git~\d+"), ".gitmodules": re.compile(r"(?:gitmod~\d+|gi7eba~\d+)")}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One new or changed leaf of head. ``target`` is what a link says; empty for anything else."""

    path: str
    mode: str
    target: str = ""


def findings(
    before: Collection[str],
    new: Iterable[Leaf],
    *,
    gone: Collection[str] = (),
    links: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """What is wrong with head, in the order of its paths.

    ``before``: every path of base. ``new``: what head adds or changes. ``gone``: paths head takes out.
    ``links``: targets of links that base has and head keeps, so that a chain over them is followed.
    """
    leaves = sorted(new, key=lambda leaf: leaf.path)
    chain = dict(links or {}) | {leaf.path: leaf.target for leaf in leaves if leaf.mode == LINK}
    found = [finding for leaf in leaves for finding in _of_leaf(leaf, chain)]
    return (*found, *_collisions(before, leaves, gone))


def means_git(component: str, name: str = ".git") -> bool:
    """Whether some file system takes ``component`` for ``name``: other case, ignored characters, short
    names."""
    plain = _IGNORED_BY_HFS.sub("", component).lower()
    windows = re.split(r"[:\\]", plain, maxsplit=1)[0].rstrip(". ")
    return windows == name or _NTFS_SHORT[name].fullmatch(windows) is not None


def leaves_tree(path: str, target: str, links: Mapping[str, str]) -> bool:
    """Whether the link at ``path`` ends outside of the tree or in its ``.git``, followed over the tree's
    other links."""
    todo = target.split("/")[::-1]
    at = path.split("/")[:-1]
    hops = 0
    if target.startswith("/") or "\\" in target:
        return True
    while todo:
        part = todo.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            if not at:
                return True
            at.pop()
            continue
        at.append(part)
        if means_git(part):
            return True
        onward = links.get("/".join(at))
        if onward is not None and hops < _HOPS:
            if onward.startswith("/"):
                return True
            hops += 1
            at.pop()
            todo.extend(onward.split("/")[::-1])
    return False


def _of_leaf(leaf: Leaf, links: Mapping[str, str]) -> Iterable[Finding]:
    parts = leaf.path.split("/")
    if any(part in {"", ".", ".."} or means_git(part) or _hidden_git(part) for part in parts):
        yield _finding(
            leaf,
            "tree.git_entry",
            f"{_shown(leaf.path)} would be a .git directory on some file system",
            "remove it",
        )
    if means_git(parts[-1], ".gitmodules"):
        yield _finding(
            leaf, "tree.gitmodules", f"{_shown(leaf.path)} is new or changed", "leave submodules as they are"
        )
    if leaf.mode == GITLINK:
        yield _finding(
            leaf,
            "tree.submodule",
            f"{_shown(leaf.path)} is a new or moved submodule",
            "add files, not a submodule",
        )
    elif leaf.mode == LINK and leaves_tree(leaf.path, leaf.target, links):
        observed = f"{_shown(leaf.path)} is a link that leaves the tree: {_shown(leaf.target)[:200]}"
        yield _finding(leaf, "tree.link_leaves", observed, "link to a path inside the repository, relatively")
    elif leaf.mode != LINK and leaf.mode not in _REGULAR:
        yield _finding(leaf, "tree.mode", f"{_shown(leaf.path)} has mode {leaf.mode}", "use a plain file")


def _hidden_git(part: str) -> bool:
    """A backslash is a separator on Windows: ``a\\.git\\config`` is one name here and three there."""
    return any(means_git(piece) for piece in part.split("\\")) if "\\" in part else False


def _collisions(before: Collection[str], new: Collection[Leaf], gone: Collection[str]) -> Iterable[Finding]:
    """Two names that one case-blind or normalising file system would make one; only where a new path takes
    part."""
    if not new:
        return
    known = set(before)
    added = [leaf for leaf in new if leaf.path not in known]
    if not added:
        return
    spellings: dict[str, str] = {}
    for path in known.difference(gone):
        for prefix in _prefixes(path):
            spellings.setdefault(_fold(prefix), prefix)
    for leaf in added:
        for prefix in _prefixes(leaf.path):
            other = spellings.setdefault(_fold(prefix), prefix)
            if other != prefix:
                observed = f"{_shown(prefix)} and {_shown(other)} are one name where case does not count"
                yield _finding(leaf, "tree.collision", observed, "use one spelling")
                break


def _prefixes(path: str) -> Iterable[str]:
    yield path
    while path := posixpath.dirname(path):
        yield path


def _fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _finding(leaf: Leaf, rule: str, observed: str, fix: str) -> Finding:
    return Finding(
        rule=rule, observed=observed, limit="what base already has", fix=fix, path=_shown(leaf.path)
    )


def _shown(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode().replace("\n", "\\n")
