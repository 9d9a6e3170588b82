"""Whose a file is, by the name it is shown with: a repository's by its path there, this host's by its whole path."""

from __future__ import annotations

from boatwright.config.policy import FILE

DEVCONTAINERS = (".devcontainer/devcontainer.json", ".devcontainer.json")
_MANIFESTS = ".boatwright/"


def is_repositorys(place: str) -> bool:
    """Whether ``place``, a file with or without a line of it, lies in the base commit: what is said of it is for everybody
    at the repository.
    """
    files = (FILE, *DEVCONTAINERS)
    return place.startswith(_MANIFESTS) or place.partition(" line ")[0] in files
