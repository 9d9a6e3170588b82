"""Which statuses of a commit are other people's, where a forge tells them by name (Gitea, Forgejo, GitLab)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from boatwright.forge import marks
from boatwright.rules import their_checks

Said = Mapping[str, Any]


def without_ours(latest: Mapping[str, Said], me: str, by: Callable[[Said], str]) -> list[Said]:
    """By name; ``by`` reads who set one."""
    return [
        said
        for name, said in sorted(latest.items())
        if not their_checks.is_ours(name) and not is_mine(said, me, by(said))
    ]


def is_mine(said: Said, me: str, by: str) -> bool:
    """A status that we set bears our marks; one of a job that our push began is by us, too, and bears none."""
    return by == me and marks.status_marks(str(said.get("target_url") or "")) is not None
