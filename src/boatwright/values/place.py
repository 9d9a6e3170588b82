"""Where a repository lives among people: which forge, at which address, under which name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ForgePlace:
    """One repository on one forge.

    ``kind`` is ``github``, ``gitea``, ``forgejo``, ``gitlab`` or ``local``; ``base_url`` is the address people open
    (``https://github.com``, ``https://git.example.org``), without a path of the repository and without a slash at its
    end; ``path`` is ``owner/name`` as the forge spells it.
    """

    kind: str
    base_url: str
    path: str

    @property
    def url(self) -> str:
        """Where git fetches and pushes: never with a user name or password."""
        return f"{self.base_url}/{self.path}.git"
