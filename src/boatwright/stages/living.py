"""The comments that are kept up to date: on the issue from the plan on, on the pull request once there is one.

Marked effects: a comment is found by its hidden marker and edited in place; what a crashed pass posted twice is removed.
"""

from __future__ import annotations

import asyncio

from boatwright import crash, errors
from boatwright.rules import standing_text
from boatwright.stages.house import House, last
from boatwright.values.context import Context
from boatwright.values.events import CommentPosted, EffectIntended, PlanGenerated
from boatwright.values.execution import ExecutionView
from boatwright.values.plan import Plan

AUTHOR = "boatwright"
DELIVERED = "delivered"
"""The name of the telling that a delivery ends with; its crash points are the delivery's."""


async def keep(
    context: Context, house: House, view: ExecutionView, *, number: int, marker: str, body: str, name: str
) -> None:
    """The comment with this marker says ``body``, once. ``name`` tells the tellings of a turn apart."""
    turn, at = f"t{context.turn}", "deliver" if name == DELIVERED else "told"
    await context.fence()
    intended = EffectIntended(effect="comment", kind="marked", target=marker)
    await context.emit(intended, key=f"{turn}:intend:comment:{name}:{marker}")
    crash.point(f"{at}.intended")
    forge, repository = house.forge, view.repository
    ours = [c for c in await forge.comments(repository, number) if c.marker == marker]
    if ours:
        kept = await forge.edit_comment(repository, ours[0].id, body=body)
        for extra in ours[1:]:
            await forge.delete_comment(repository, extra.id)
    else:
        kept = await forge.post_comment(repository, number, author=AUTHOR, body=body, marker=marker)
    crash.point(f"{at}.commented")
    posted = CommentPosted(number=number, comment=kept.id, marker=marker)
    await context.emit(posted, key=f"{turn}:comment.posted:{name}")


async def working(context: Context, house: House, plan: Plan) -> None:
    """Say where people asked that the plan is made and the change is being written."""
    view = await house.view(context.execution)
    if not view.replays:
        remote = await asyncio.to_thread(house.forge.is_remote, view.repository)
        await _tell(context, house, view, standing_text.working(view, plan, commands=remote), "working")


async def stopped(context: Context, house: House) -> None:
    """Say where people asked why it stopped. Away or shut, the forge does not keep a turn from ending; one that is away
    is not asked again for it.
    """
    view = await house.view(context.execution)
    if view.replays or view.parked_code == "forge":
        return
    generated = last(await context.history(), PlanGenerated)
    remote = await asyncio.to_thread(house.forge.is_remote, view.repository)
    body = standing_text.stopped(view, generated.plan if generated else None, commands=remote)
    await _tell(context, house, view, body, "stopped")


async def ended(context: Context, house: House, outcome: str) -> None:
    """Say where people were told something that nothing more comes."""
    view = await house.view(context.execution)
    told = {
        e.payload.marker: e.payload.number
        for e in await context.history()
        if isinstance(e.payload, CommentPosted)
    }
    remote = await asyncio.to_thread(house.forge.is_remote, view.repository)
    for marker, number in sorted(told.items()):
        body = standing_text.ended(view, outcome, commands=remote)
        await _tried(context, house, view, number, marker, body, f"ended:{marker}")


async def proposed(context: Context, house: House, branch: str, *, ready: bool) -> None:
    """Say on the issue that there is a pull request now."""
    view = await house.view(context.execution)
    if view.issue is not None:
        body = standing_text.proposed(view, branch, ready=ready)
        await _tried(context, house, view, view.issue, standing_text.taken_mark(view.id), body, "proposed")


async def _tell(context: Context, house: House, view: ExecutionView, body: str, name: str) -> None:
    if view.pull_request is not None:
        await _tried(context, house, view, view.pull_request, standing_text.living_mark(view.id), body, name)
    elif view.issue is not None:
        await _tried(context, house, view, view.issue, standing_text.taken_mark(view.id), body, name)


async def _tried(
    context: Context, house: House, view: ExecutionView, number: int, marker: str, body: str, name: str
) -> None:
    """A word to people is worth a try, and not the work: a forge that is away is told of at the next chance."""
    try:
        await keep(context, house, view, number=number, marker=marker, body=body, name=name)
    except (errors.Stopped, errors.StoreUnavailable):
        raise
    except errors.BoatwrightError as error:
        context.say(f"not told at the forge: {error}")
