"""A turn that the people's own checks woke: a failed one starts a gate round, required ones that passed make ready.

Nothing waits inside a turn. A row of the inbox says *look*; what was found is read from the forge here, once, and stands
in the ledger before anything hangs on it, so that a redone step reads it there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from boatwright import crash, errors
from boatwright.forge.protocol import PullRequest
from boatwright.rules import excerpts, pull_text, standing_text
from boatwright.rules import their_checks as rules
from boatwright.rules.their_checks import Found
from boatwright.stages import ground, living
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.checks import FailedCheck
from boatwright.values.context import Context
from boatwright.values.events import (
    ChecksFailed,
    EffectIntended,
    PullRequestUpdated,
)
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

KIND = rules.KIND


async def settle(context: Context, house: House, cause: str) -> str:
    """What the checks ask of a turn that a row about them woke, alone or beside others.

    Empty: there is something to build. A word: nothing is, and the turn ends with it. ``errors.Parked`` (``their_ci``)
    where checks alone have started as many turns in a row as there are rounds.
    """
    view, alone = await house.view(context.execution), cause == KIND
    if view.state is not State.DELIVERED or not view.head:
        return "parked" if alone and view.state is State.PARKED else ""
    told = rules.unanswered(await context.history(), view.head)
    if told is None:
        pull = await _proposed(context, house, view)
        found, failed = await _look(context, house, view) if pull is not None else (Found.NOTHING, ())
        if found is Found.PASSED and alone and pull is not None:
            await _make_ready(context, house, view, pull)
        if found is not Found.FAILED or cause == "approve":
            return "delivered" if alone else ""
        told = await _record(context, house, view, failed)
    if alone:
        await _refuse_endless(context, house, view, told)
    context.say(f"checks of the repository failed: {rules.listed(told.names)}")
    return ""


async def _proposed(context: Context, house: House, view: ExecutionView) -> PullRequest | None:
    """The open pull request, if its branch is where we left it."""
    assert view.pull_request is not None, "what is delivered has a pull request"
    try:
        pull = await house.forge.pull_request(view.repository, view.pull_request)
    except UNSEEN as error:
        context.say(f"the checks were not looked at: {error}")
        return None
    return pull if pull.state == "open" and pull.head == view.head else None


async def _look(context: Context, house: House, view: ExecutionView) -> tuple[Found, Sequence[FailedCheck]]:
    """How the checks stand now, whatever the row was told; where the forge does not say, another look comes later."""
    head, told = view.head or "", view.checks_failed == view.head
    try:
        checks = await house.forge.their_checks(view.repository, head)
        found = rules.found(checks, waits=view.waits_for, told=told)
        failed = await house.forge.failed_checks(view.repository, head) if found is Found.FAILED else ()
    except UNSEEN as error:
        context.say(f"the checks were not looked at: {error}")
        return Found.NOTHING, ()
    return (found, failed) if failed or found is not Found.FAILED else (Found.NOTHING, ())


UNSEEN = (errors.Parked, errors.BadInput, errors.Refused, errors.Conflict)
"""What a forge answers that is away, has taken a right, or has another state by now: nothing hangs on this one look."""


async def _record(
    context: Context, house: House, view: ExecutionView, failed: Sequence[FailedCheck]
) -> ChecksFailed:
    text = await asyncio.to_thread(excerpts.text, failed)
    fact = ChecksFailed(
        commit=view.head or "",
        names=tuple(rules.listed([check.name]) for check in failed),
        conclusions=tuple(rules.listed([check.conclusion]) for check in failed),
        excerpt=await house.keep("log", text.encode()),
    )
    await context.emit(fact, key=f"t{context.turn}:checks.failed:{view.head}")
    crash.point("checks.recorded")
    return fact


async def _refuse_endless(context: Context, house: House, view: ExecutionView, told: ChecksFailed) -> None:
    times = rules.in_a_row(await context.history()) - 1
    here: Ground = await ground.of_commit(house, view, house.mirror(view), view.base_commit)
    if times >= here.effective.gate_rounds:
        raise errors.Parked(
            rules.enough(told.names, told.commit, times), code=rules.CODE, subject=told.commit
        )


async def _make_ready(context: Context, house: House, view: ExecutionView, pull: PullRequest) -> None:
    """The judged commit is what it was, and what it waited for has passed: nothing is built or proven again."""
    forge, head = house.forge, view.head or ""
    await context.fence()
    target = f"{pull.number}@{head}"
    intended = EffectIntended(effect="ready", kind="naturally unique", target=target)
    await context.emit(intended, key=f"t{context.turn}:intend:ready:{target}")
    try:
        if pull.draft:
            pull = await forge.update_pull_request(view.repository, pull.number, draft=False, head=head)
        crash.point("checks.ready")
        await _say_so(context, house, view, pull)
    except UNSEEN as error:
        context.say(f"pull request {pull.number} was not made ready: {error}")
        return
    ready = PullRequestUpdated(number=pull.number, head=pull.head, draft=False, title=pull.title)
    await context.emit(ready, key=f"t{context.turn}:pull_request.updated")
    context.say(f"pull request {pull.number} is ready: the required checks have passed")


async def _say_so(context: Context, house: House, view: ExecutionView, pull: PullRequest) -> None:
    """In the living comment, which keeps everything else it says, and on the issue."""
    marker = standing_text.living_mark(view.id)
    for comment in await house.forge.comments(view.repository, pull.number):
        body = pull_text.no_longer_waiting(comment.body)
        if comment.marker == marker and body != comment.body:
            await living.keep(
                context, house, view, number=pull.number, marker=marker, body=body, name="ready"
            )
    await living.proposed(context, house, view.branch or pull.branch, ready=True)
