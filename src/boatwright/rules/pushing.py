"""What a bottle may push through its gate: which refs, how they may move, how much. Pure; the words are for git's stderr."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from boatwright.rules import naming

SPACE = "refs/heads/agent/"
"""The branches a bottle may push to, and nothing else of the repository."""
NOTHING = "0" * 40
MOST_REFS, MOST_COMMITS, MOST_OBJECTS = 16, 1_000, 50_000


@dataclass(frozen=True, slots=True)
class Update:
    """One ref as the client wants it: ``old`` is what it believes, :data:`NOTHING` stands for no such ref."""

    ref: str
    old: str
    new: str

    @property
    def removes(self) -> bool:
        return self.new == NOTHING


def refusals(updates: Sequence[Update], now: Mapping[str, str]) -> dict[str, str]:
    """The refs that may not be moved as asked, each with why. ``now``: the bottle's own refs as they are."""
    found = {}
    many = len(updates) > MOST_REFS or len({each.ref for each in updates}) < len(updates)
    for each in updates:
        why = f"at most {MOST_REFS} refs are pushed at once, each once" if many else _why(each, now)
        if why:
            found[each.ref] = why
    return found


def _why(update: Update, now: Mapping[str, str]) -> str:
    name = update.ref.removeprefix(SPACE)
    if name == update.ref or not naming.valid_branch(name):
        return f"only branches below {SPACE.removeprefix('refs/heads/')} may be pushed, such as agent/work"
    if now.get(update.ref, NOTHING) != update.old:
        return "it has moved meanwhile: fetch first"
    beside = next((ref for ref in now if _clash(ref, update.ref)), "")
    return f"{beside.removeprefix('refs/heads/')} is in its way" if beside and not update.removes else ""


def _clash(one: str, other: str) -> bool:
    """A ref and a folder of refs cannot have one name."""
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")


def too_much(commits: int, objects: int) -> str:
    """Why a push of this size is refused; empty when it is not."""
    if commits > MOST_COMMITS:
        return f"{commits:,} commits are more than the {MOST_COMMITS:,} a push may bring"
    if objects > MOST_OBJECTS:
        return f"{objects:,} objects are more than the {MOST_OBJECTS:,} a push may bring"
    return ""
