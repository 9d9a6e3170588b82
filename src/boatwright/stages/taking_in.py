"""Others push to the branch of our pull request: their commits are taken in, never overwritten.

At the start of a turn the branch is looked at. What somebody else put there is fetched, merged with the saved work
against the last head that work accounts for, and recorded; everything after goes on from the merge. Right before the
push it is looked at again: nothing unproven is pushed, the turn ends and the next one takes it in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from boatwright import crash, errors
from boatwright.git import merging, names
from boatwright.git.merging import ThreeWay
from boatwright.git.mirror import Mirror
from boatwright.ledger.inbox import Inbox
from boatwright.rules import instructions
from boatwright.rules import taking_in as rules
from boatwright.rules.taking_in import Form, Standing
from boatwright.stages import deliverable
from boatwright.stages.house import House
from boatwright.values.chapters import Delivered
from boatwright.values.context import Context
from boatwright.values.events import PushMergedIn
from boatwright.values.execution import ExecutionView
from boatwright.values.finding import Finding


@dataclass(frozen=True, slots=True)
class _Taken:
    base: str
    merged: ThreeWay
    commit: str
    commits: int
    authors: tuple[str, ...]
    root: str


async def take_in(context: Context, house: House, view: ExecutionView, mirror: Mirror) -> None:
    """Take in what others pushed since our work last accounted for the branch; most often there is nothing.

    ``errors.Parked`` (conflict) where their work and ours conflict in a way no markers show. A redo finds the record
    and does nothing.
    """
    history = await context.history()
    stands, work = rules.standing(history), rules.saved(history)
    if not stands.ours or not work or view.replays:
        return
    url = house.forge.push_url(view.repository)
    if not stands.theirs(await asyncio.to_thread(mirror.remote_head, url, stands.branch)):
        return
    await context.fence()
    theirs = await asyncio.to_thread(mirror.take_branch, url, stands.branch, names.theirs(view.id))
    crash.point("taking_in.fetched")
    if theirs is None or not stands.theirs(theirs):
        return
    await hide(context, house, view, unless=theirs if theirs == view.head else "")
    ours = rules.made_by_us(history)
    taken = await asyncio.to_thread(_merge, mirror, view, stands, work, theirs, ours)
    _refuse_unseen(stands, theirs, taken)
    payload = PushMergedIn(
        branch=stands.branch,
        head=theirs,
        ours=taken.root,
        base=taken.base,
        commit=taken.commit,
        tree=taken.merged.tree,
        commits=taken.commits,
        authors=taken.authors,
        conflicts=taken.merged.marked,
    )
    await context.emit(payload, key=f"t{context.turn}:push.merged_in:{theirs}")
    crash.point("taking_in.recorded")
    await asyncio.to_thread(mirror.set_work, view.id, taken.commit)
    context.say(rules.sentence(payload) or "others moved the branch; the work goes on from there")


def _merge(
    mirror: Mirror, view: ExecutionView, stands: Standing, work: str, theirs: str, ours: frozenset[str]
) -> _Taken:
    """Their head and the saved work, each against the last head of the branch that the work accounts for."""
    now = deliverable.current_base(mirror, view)
    root = _root(mirror, stands, theirs) or mirror.merge_base(theirs, now) or view.base_commit
    below = mirror.merge_base(root, now) or view.base_commit
    mine = deliverable.tree_on(mirror, below, view.base_commit, work)
    merged = merging.three_way(mirror, base=root, ours=mine, theirs=theirs)
    base = mirror.merge_base(theirs, now) or below
    commits, authors = merging.others(mirror, theirs, base=base, ours=ours)
    # Their head alone is its parent: what it stands on is what they left the branch on, whatever ours was.
    commit = mirror.scratch_commit(merged.tree, parent=theirs)
    return _Taken(base, merged, commit, commits, authors, root)


def _root(mirror: Mirror, stands: Standing, theirs: str) -> str | None:
    """The newest head of ours that theirs goes on from; where they dropped it, the one the work accounts for."""
    known = [each for each in stands.ours if mirror.has(each)]
    below = (each for each in reversed(known) if mirror.is_ancestor(each, theirs))
    return next(below, stands.head if stands.head in known else None)


def _refuse_unseen(stands: Standing, theirs: str, taken: _Taken) -> None:
    """Markers in a text file are for the agent; everything else, and what instructs agents, is for a person."""
    unseen = (*taken.merged.unseen, *instructions.among(taken.merged.marked))
    if unseen:
        raise errors.Parked(
            f"somebody pushed {theirs[:12]} to {stands.branch}, and it conflicts with the work where no markers can "
            f"show it: {rules.listed(unseen)}",
            code="conflict",
            subject=theirs,
            next_moves=(
                f"push to {stands.branch} what does not touch these files, or has them as they were at {taken.root[:12]}",
                "boatwright retry EXECUTION --from build",
            ),
        )


async def hide(context: Context, house: House, view: ExecutionView, *, unless: str) -> None:
    """A pull request that is open already is a draft while its branch moves: ready belongs to one commit."""
    if view.pull_request is None:
        return
    await context.fence()
    pull = await house.forge.pull_request(view.repository, view.pull_request)
    if pull.state == "open" and not pull.draft and pull.head != unless:
        await house.forge.update_pull_request(view.repository, pull.number, draft=True)


# --- judging -----------------------------------------------------------------------------------------------


async def forms(context: Context, mirror: Mirror) -> Mapping[str, Form]:
    """Every path as others pushed it last, where they changed it. What cannot be told any more is nobody's but ours."""
    merges = rules.merges(await context.history())

    def read() -> Mapping[str, Form]:
        return rules.forms(
            mirror.changed(each.ours, each.head, renames=False, counts=False)
            for each in merges
            if mirror.has(each.ours) and mirror.has(each.head)
        )

    return await asyncio.to_thread(read)


async def unresolved(context: Context, mirror: Mirror, commit: str) -> tuple[Finding, ...]:
    """Files of a conflict that still hold its markers in ``commit``, and that did not hold any as others pushed them."""
    merges = rules.conflicted(await context.history())

    def read() -> tuple[Finding, ...]:
        left = (
            path
            for each in merges
            for path in each.conflicts
            if _marked(mirror, commit, path) and not _marked(mirror, each.head, path)
        )
        return rules.unresolved(tuple(left))

    return await asyncio.to_thread(read)


def _marked(mirror: Mirror, commit: str, path: str) -> bool:
    try:
        return merging.holds_markers(mirror.read(commit, path, merging.READ_CAP) or b"")
    except errors.BadInput:
        return False  # larger than any file that was given to an agent with markers


# --- right before the push ---------------------------------------------------------------------------------


async def hand_over(context: Context, house: House, branch: str, theirs: str) -> Delivered:
    """Push nothing: the next turn takes ``theirs`` in, and proves what comes of it. Only so often without a delivery."""
    if not rules.may_go_on(await context.history()):
        raise errors.Parked(
            f"others pushed to {branch} {rules.MOST_IN_A_ROW + 1} times while the work was proven: it is at "
            f"{theirs[:12]} now, and nothing was pushed over it",
            code="conflict",
            subject=theirs,
            next_moves=(
                "boatwright retry EXECUTION --from build (when nobody pushes to the branch meanwhile)",
            ),
        )
    await context.fence()
    inbox = Inbox(house.ledger.database, context.clock)
    key = f"{rules.PUSHED}:t{context.turn}:{theirs}"
    await asyncio.to_thread(
        lambda: inbox.put(context.execution, kind=rules.PUSHED, sender_key=key, payload={"commit": theirs})
    )
    crash.point("taking_in.handed_over")
    context.say(f"somebody pushed {theirs[:12]} meanwhile: nothing is pushed, the next turn takes it in")
    return Delivered(pull_request=0, branch=branch, commit="", ready=False, word="", outcome="overtaken")
