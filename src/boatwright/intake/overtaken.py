"""Somebody moved the branch of a pull request nobody works on: its head is no longer what was proven, and it says so.

No turn starts for it. A comment or a retry takes the new head in and proves it (``stages/taking_in.py``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from boatwright import errors
from boatwright.forge.protocol import Check, PullRequest
from boatwright.intake import executions
from boatwright.rules import naming, standing_text
from boatwright.rules import taking_in as rules
from boatwright.stages.house import House
from boatwright.values.events import BranchMoved
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State
from boatwright.workflows.engine import Engine

CHECK = "boatwright/verify"
RESTING = (State.DELIVERED, State.PARKED)
"""States in which a branch is looked at. A turn that is live looks itself."""


async def of_branch(house: House, repository: str, branch: str) -> list[ExecutionView]:
    """Executions whose pull request is of that branch, and that nobody works on as far as their state says."""
    if not naming.is_branch(branch):  # CI pushes all day, and there are thousands of executions
        return []
    views = await executions.of(house, repository, RESTING)
    return [view for view in views if view.branch == branch and view.pull_request is not None]


async def notice(house: House, engine: Engine, view: ExecutionView, pull: PullRequest) -> bool:
    """Tell people once of a head that somebody else made: a draft, a check on it that is not green, the comments.

    Each may be done again without harm; the event that it was said comes last. A turn that is live says it itself.
    A head that was told of and is ready all the same (somebody clicked, or it came back) is made a draft again.
    """
    if pull.state != "open" or pull.head == view.head or pull.number != view.pull_request:
        return False
    if await executions.is_live(engine, view):
        return False
    history = await asyncio.to_thread(house.ledger.events.stream, view.id)
    stands = rules.standing(history)
    if not stands.theirs(pull.head):
        return False
    if not pull.draft:
        await house.forge.update_pull_request(pull.repository, pull.number, draft=True)
    key = f"branch.moved:{stands.head}:{pull.head}"
    said = any(event.key == key for event in history)
    if said and pull.draft:
        return False
    await house.forge.set_check(_check(view, pull, stands.head))
    await _tell(house, view, pull, stands.head)
    if said:
        return False
    moved = BranchMoved(number=pull.number, branch=stands.branch, head=pull.head, ours=stands.head)
    await asyncio.to_thread(house.ledger.events.append, view.id, moved, key=key)
    return True


async def refuse_unproven(house: House, view: ExecutionView | None, pull: PullRequest) -> None:
    """What is not the head of a delivery that came to its end is not merged by us as if it were proven."""
    if view is None or pull.head == view.head:
        return
    stands = rules.standing(await asyncio.to_thread(house.ledger.events.stream, view.id))
    if stands.theirs(pull.head):
        why = f"{(view.head or stands.head)[:12]} is what was judged: somebody moved it"
    else:
        why = "its delivery did not come to an end"
    raise errors.Refused(
        f"pull request {pull.number} is at {pull.head[:12]}, and {why}",
        subject=str(pull.number),
        next_moves=(
            f"boatwright retry {view.id} proves what is there",
            f"boatwright pr merge {pull.number} --unproven",
        ),
    )


def _check(view: ExecutionView, pull: PullRequest, ours: str) -> Check:
    return Check(
        repository=pull.repository,
        commit=pull.head,
        name=CHECK,
        conclusion="action_required",  # never green, and nothing of it has failed
        summary=f"Somebody else pushed this head. It is not proven; the last one that was taken up is {ours[:12]}.",
        external_id=f"{view.id}:{CHECK}:{pull.head}",
    )


async def _tell(house: House, view: ExecutionView, pull: PullRequest, ours: str) -> None:
    """The comments that are there go on saying what they say, and no longer that this head is ready."""
    notice = rules.moved(pull.head, ours, view.id)
    await _rewrite(
        house,
        pull,
        pull.number,
        standing_text.living_mark(view.id),
        lambda body: rules.with_notice(body, notice),
    )
    if view.issue is not None:
        await _rewrite(
            house,
            pull,
            view.issue,
            standing_text.taken_mark(view.id),
            lambda body: standing_text.moved(body, pull.head),
        )


async def _rewrite(
    house: House, pull: PullRequest, number: int, marker: str, say: Callable[[str], str]
) -> None:
    for told in await house.forge.comments(pull.repository, number):
        if told.marker == marker:
            body = say(told.body)
            if body != told.body:
                await house.forge.edit_comment(pull.repository, told.id, body=body)
            return
