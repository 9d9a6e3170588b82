"""Instructions for agents as the base has them, in a round that goes on from an agent's own work.

The workspace is laid with the base's form of every such file the work has changed. When a step is saved, a file that
still has that form stands for the agent's earlier edit, which is kept; one the agent edits anew is taken as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.rules import instructions


@dataclass(frozen=True, slots=True)
class Pinned:
    """The files of ``work`` that instruct agents and differ from ``base``; both are commits of the mirror."""

    mirror: Mirror
    base: str
    work: str
    paths: tuple[str, ...] = ()

    @classmethod
    def between(cls, mirror: Mirror, base: str, work: str) -> Pinned:
        changed = mirror.changed(base, work, renames=False, counts=False)
        return cls(mirror, base, work, instructions.among(change.path for change in changed))

    def laid(self) -> str:
        """What the workspace begins with: a commit, or the tree of one but for those files."""
        return (
            self.mirror.compose(self.work, dict.fromkeys(self.paths, self.base)) if self.paths else self.work
        )

    def kept(self, seen: str) -> str:
        """The tree to save, of the tree that was seen in the workspace."""
        same = (path for path in self.paths if self._form(seen, path) == self._form(self.base, path))
        take: dict[str, str | None] = dict.fromkeys(same, self.work)
        return self.mirror.compose(seen, take) if take else seen

    def told(self) -> str:
        """What the agent is told of it; empty when there is nothing to tell."""
        if not self.paths:
            return ""
        named = ", ".join(names.shown(path) for path in self.paths[:10])
        more = f" and {len(self.paths) - 10} more" if len(self.paths) > 10 else ""
        return (
            f"\n\nYour earlier changes to {named}{more} are kept, though you see the base's form of them here: "
            "instructions for agents come from the base branch. Edit them again only if they must change further."
        )

    def _form(self, tree: str, path: str) -> tuple[str, str] | None:
        entry = self.mirror.entry(tree, path)
        return (entry.mode, entry.oid) if entry else None
