"""Rights a push needs beyond the right to push, found before it, and understood where only the push can say so."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from boatwright import errors
from boatwright.git.mirror import Mirror
from boatwright.git.run import GitFailed
from boatwright.rules import push_refusals
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView

CODE = "forge_rights"


async def require(
    house: House, view: ExecutionView, mirror: Mirror, there: tuple[str, str], commit: str
) -> None:
    """``errors.Parked`` (``forge_rights``) naming the right and the path, before anything is pushed.

    ``there``: the base and where the branch is. A path that is at one of them as we would push it needs no right of ours.
    """
    base, now = [await asyncio.to_thread(_paths, mirror, each, commit) for each in there]
    paths = sorted(base & now)
    missing = await house.forge.missing_for(view.repository, paths)
    if missing:
        first = missing[0]
        raise parked(
            f"our login lacks the right '{first.right}' {first.why}", [each.remedy for each in missing]
        )


def _paths(mirror: Mirror, base: str, commit: str) -> frozenset[str]:
    changes = mirror.changed(base, commit, counts=False)
    return frozenset(path for change in changes for path in (change.path, change.renamed_from) if path)


def parked(why: str, remedies: Sequence[str]) -> errors.Parked:
    return errors.Parked(f"the change was not pushed: {why}", code=CODE, next_moves=tuple(remedies))


def push(mirror: Mirror, url: str, commit: str, branch: str, old: str | None) -> None:
    """Push; a forge's refusal for want of a right is the same park as one that was found before. Blocks."""
    try:
        mirror.push(url, commit, branch, old)
    except GitFailed as failed:
        refused = push_refusals.read(failed.complaint)
        if refused is None:
            raise
        raise parked(refused.why, (refused.remedy,)) from failed
