"""The deliverable: one clean commit on the current base, the same id however often it is made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from boatwright import crash, errors
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.signing import Signer
from boatwright.git.trees import Change
from boatwright.rules import pull_text, taking_in
from boatwright.stages import ground, keys
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.chapters import Built, Planned
from boatwright.values.context import Context
from boatwright.values.event import Event
from boatwright.values.events import BuildCompleted, DeliverableCreated
from boatwright.values.execution import ExecutionView


@dataclass(frozen=True, slots=True)
class Deliverable:
    """The commit that is judged, pushed and proposed, and what it changes against its base."""

    commit: str
    base: str
    changes: tuple[Change, ...]
    ground: Ground
    """What holds at ``base``."""


async def make(
    context: Context, house: House, view: ExecutionView, mirror: Mirror, planned: Planned, built: Built
) -> Deliverable:
    """The agent's tree on the base as it is now, as one commit.

    A base that moved meanwhile is merged in; ``errors.Parked`` (conflict) names the paths where that fails. The
    dates are those of the recorded end of the first round that left this tree, so that a redo, and a later round
    that changes nothing, make the same id.
    """
    when = _ended(await context.history(), built.round)
    base = await asyncio.to_thread(current_base, mirror, view)
    here = await ground.of_commit(house, view, mirror, base)
    tree = await asyncio.to_thread(tree_on, mirror, base, view.base_commit, built.commit)
    git = here.composed.git
    message = pull_text.commit_message(
        planned.plan, issue=view.issue, execution=view.id,
        sign_off=str(git) if house.settings.git.sign_off else "",
    )  # fmt: skip
    sign = await asyncio.to_thread(keys.signer, house)
    words = Words(message, Author(git.name, git.email), when, sign)
    commit = await asyncio.to_thread(_commit, mirror, tree, base, _theirs(await context.history()), words)
    changes = tuple(await asyncio.to_thread(mirror.changed, base, commit))
    crash.point("deliverable.created")
    if changes:
        await asyncio.to_thread(mirror.pin_deliverable, view.id, built.round, commit)
        created = DeliverableCreated(
            round=built.round,
            commit=commit,
            tree=tree,
            base_commit=base,
            files=len(changes),
            added=sum(c.added or 0 for c in changes),
            deleted=sum(c.deleted or 0 for c in changes),
        )
        await context.emit(created, key=f"deliverable:{built.round}:{commit}")
    return Deliverable(commit=commit, base=base, changes=changes, ground=here)


@dataclass(frozen=True, slots=True)
class Words:
    """What a commit says beside its tree."""

    message: str
    author: Author
    when: datetime
    sign: Signer | None = None


def _theirs(history: Sequence[Event]) -> str | None:
    """The head others left the branch at, as it was taken in last."""
    taken = taking_in.merges(history)
    return taken[-1].head if taken else None


def _commit(mirror: Mirror, tree: str, base: str, theirs: str | None, words: Words) -> str:
    """The one commit on the base. On what others pushed, where they did: their commits stay in its history.

    Where nothing is to be added to their head, it is the deliverable itself.
    """
    parents: tuple[str, ...] = (base,)
    if theirs is not None:
        stands = mirror.is_ancestor(base, theirs)
        if stands and mirror.tree_of(theirs) == tree:
            return theirs
        parents = (theirs,) if stands else (theirs, base)
    return mirror.commit_tree(
        tree, parents, message=words.message, author=words.author, when=words.when, sign=words.sign
    )


def _ended(history: Sequence[Event], number: int) -> datetime:
    ends = [(event.payload, event.time) for event in history if isinstance(event.payload, BuildCompleted)]
    tree = next((end.tree for end, _ in ends if end.round == number), None)
    for end, when in ends:
        if end.round == number or (tree and end.tree == tree):
            return when
    raise errors.BoatwrightError(f"gate round {number} has no end in the ledger")


def current_base(mirror: Mirror, view: ExecutionView) -> str:
    """Where the base branch is now; a base named by tag or commit, or gone, stays what it was."""
    if view.base_pinned:
        return view.base_commit
    try:
        return mirror.fetch(view.base_ref)
    except errors.BadInput:
        return view.base_commit


def tree_on(mirror: Mirror, base: str, old_base: str, work: str) -> str:
    """The tree of ``work``, which stands on ``old_base``, on ``base``. ``errors.Parked`` (conflict) names the paths."""
    if base == old_base:
        return mirror.tree_of(work)
    merged = mirror.merge(base, work)
    if not merged.clean:
        paths = ", ".join(merged.conflicts[:5])
        raise errors.Parked(
            f"the base moved to {base[:12]} and the work does not merge with it: {paths}",
            code="conflict",
            subject=base,
        )
    return merged.tree
