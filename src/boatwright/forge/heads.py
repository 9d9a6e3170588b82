"""Ready, merged and approved belong to one commit: a change says which it speaks of."""

from __future__ import annotations

from boatwright import errors
from boatwright.forge.protocol import PullRequest
from boatwright.git import names


def stands(pull: PullRequest, head: str | None) -> None:
    """Raise ``errors.Conflict`` where the pull request is not at ``head``; None speaks of no commit."""
    if head is not None and pull.head != names.oid(head):
        raise errors.Conflict(
            f"pull request {pull.number} is at {pull.head[:12]}, not at {head[:12]}",
            subject=str(pull.number),
            next_moves=(f"look again: boatwright pr show {pull.number}",),
        )
