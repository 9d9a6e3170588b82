"""Merging at a server that keeps drafts in titles: the same steps at each of them.

A draft does not merge there, so it is made ready first and a draft again when the merge is refused. A server works out in
the background whether two branches merge; until it has, it says *later*, which some say of a conflict, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from boatwright import errors
from boatwright.forge.protocol import PullRequest

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before each further try, while the server is not sure yet."""


class Attempt(Enum):
    DONE = "done"
    LATER = "later"
    """Not sure yet, or it does not merge."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Steps:
    """What merging asks of an adapter, for one pull request."""

    read: Callable[[], Awaitable[PullRequest]]
    set_draft: Callable[[bool], Awaitable[PullRequest]]
    attempt: Callable[[], Awaitable[Attempt]]
    """One try to merge; twice is once."""
    sleep: Callable[[float], Awaitable[None]]


async def land(steps: Steps, head: str) -> PullRequest:
    """The merged pull request. ``errors.Conflict`` when it is closed, elsewhere, or does not merge; it is then as before."""
    pull = await steps.read()
    if pull.state == "merged" and pull.head == head:
        return pull
    require_open(pull)
    require_head(pull, head)
    if pull.draft:
        await steps.set_draft(False)
    merged = await _tried(steps, head)
    if merged.state == "merged" and merged.head == head:
        return merged
    if pull.draft and merged.state == "open":
        await steps.set_draft(True)
    require_open(merged)
    require_head(merged, head)
    raise _refused(merged)


async def _tried(steps: Steps, head: str) -> PullRequest:
    """How the pull request stands after as many tries as make sense."""
    for pause in (*PAUSES, None):
        attempt = await steps.attempt()
        now = await steps.read()
        if now.state != "open" or now.head != head or attempt is Attempt.REFUSED or pause is None:
            return now
        await steps.sleep(pause)
    raise AssertionError("the last try has no pause after it")


def require_open(pull: PullRequest) -> None:
    if pull.state != "open":
        raise errors.Conflict(
            f"pull request {pull.number} is {pull.state} already",
            subject=str(pull.number),
            next_moves=(f"boatwright pr show {pull.number}",),
        )


def require_head(pull: PullRequest, head: str) -> None:
    """The commit a caller speaks of is where the branch is, so that nobody decides on what was not judged."""
    if pull.head != head:
        raise errors.Conflict(
            f"pull request {pull.number} is at {pull.head[:12] or 'nothing'}, not at {head[:12]}",
            subject=str(pull.number),
            next_moves=(f"look again: boatwright pr show {pull.number}",),
        )


def _refused(pull: PullRequest) -> errors.Conflict:
    return errors.Conflict(
        f"{pull.branch} does not merge into {pull.base_ref}, or its rules do not let us",
        subject=pull.branch,
        next_moves=(
            "boatwright pr comment N 'merge the base'",
            "look at the pull request's page: it says why",
        ),
    )
