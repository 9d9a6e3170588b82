"""Which accounts belong to programs. Nobody obeys those: two programs that answer each other never end, and spend."""

from __future__ import annotations

import re
from collections.abc import Collection

_GITLAB = re.compile(r"(project|group)_[0-9]+_bot.*|ghost[0-9]*|support-bot|alert-bot")
_GITEA = frozenset({"gitea-actions", "forgejo-actions", "actions-user", "ghost"})


def is_of_the_forge(kind: str, login: str) -> bool:
    """Whether a forge of this kind made the account itself, for a program. GitHub says so of an account, not by its name."""
    if kind == "gitlab":
        return _GITLAB.fullmatch(login) is not None
    return kind in {"gitea", "forgejo"} and login in _GITEA


def is_machine(kind: str, login: str, bots: Collection[str]) -> bool:
    """Whether a program speaks by its name: the forge's own, an App's, or one of ``bots``, in whatever case."""
    name = login.lower()
    return is_of_the_forge(kind, login) or name.endswith("[bot]") or name in {each.lower() for each in bots}
