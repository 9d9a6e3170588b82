"""Required checks that nobody sets: the pull request that waits for them says so, once, and what a person can do.

It goes on being looked at: a check that reports late is taken up as if nothing had been said.
"""

from __future__ import annotations

import asyncio

from boatwright.forge.protocol import Comment, PullRequest
from boatwright.intake import executions
from boatwright.rules import pull_text, standing_text
from boatwright.rules import their_checks as rules
from boatwright.stages.house import House
from boatwright.values.events import CommentPosted
from boatwright.values.execution import ExecutionView
from boatwright.workflows.engine import Engine


async def tell(house: House, engine: Engine, view: ExecutionView, pull: PullRequest) -> bool:
    """Say it in the living comment, in place. Again it is the same comment; the event that it was said comes last."""
    if not rules.is_watched(view) or not view.waits_for or not view.head or not _is_left(view, pull):
        return False
    history = await asyncio.to_thread(house.ledger.events.stream, view.id)
    key = f"{rules.UNREPORTED}{view.head}"
    if any(event.key == key for event in history):
        return False
    overdue = rules.is_overdue(history, view.head, house.clock.now())
    if not overdue or await executions.is_barred(house, engine, view):
        return False
    checks = await house.forge.their_checks(view.repository, view.head)
    names = rules.unreported(view.waits_for, checks)
    stuck = rules.is_given_up(history, view.head) and rules.found(checks, waits=view.waits_for, told=True)
    if not names and stuck is not rules.Found.PASSED:
        return False
    told = await _waiting(house, view, pull, names)
    if told is None or await _has_moved(house, engine, view):
        return False
    comment, body = told
    if body != comment.body:
        await house.forge.edit_comment(pull.repository, comment.id, body=body)
    said = CommentPosted(number=pull.number, comment=comment.id, marker=standing_text.living_mark(view.id))
    await asyncio.to_thread(house.ledger.events.append, view.id, said, key=key)
    return True


def _is_left(view: ExecutionView, pull: PullRequest) -> bool:
    """Whether the pull request is as its delivery left it: an open draft at that commit."""
    return pull.state == "open" and pull.draft and pull.head == view.head


async def _has_moved(house: House, engine: Engine, view: ExecutionView) -> bool:
    """Whether a turn has begun, or another commit was delivered, while the forge was asked."""
    now = await house.view(view.id)
    if (now.head, now.waits_for) != (view.head, view.waits_for):
        return True
    return await executions.is_barred(house, engine, view)


async def _waiting(
    house: House, view: ExecutionView, pull: PullRequest, names: tuple[str, ...]
) -> tuple[Comment, str] | None:
    """The comment that is to say it, and what it says then; None where there is none that waits."""
    for told in await house.forge.comments(pull.repository, pull.number):
        if told.marker == standing_text.living_mark(view.id):
            body = pull_text.not_coming(told.body, names)
            return (told, body) if pull_text.NOT_COMING in body else None
    return None
