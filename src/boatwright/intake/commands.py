"""What a person tells an execution that exists: one inbox row each, under a key that cannot be stored twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from boatwright import errors
from boatwright.config.ceiling import narrowed
from boatwright.forge.protocol import Comment, PullRequest
from boatwright.intake import request
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import FINISHED, State
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

EVERY = 1_000_000
"""How many executions a round looks at: all there are."""


async def comment(
    house: House, engine: Engine, repository: str, number: int, *, text: str, by: str
) -> Comment:
    """A person's comment; on an open pull request of ours it starts the next turn."""
    if not text.strip():
        raise errors.BadInput("the comment is empty", next_moves=('say something: "…"',))
    posted = await house.forge.post_comment(repository, number, author=by, body=text)
    view = await _of_pull_request(house, repository, number)
    if view is not None and view.state not in FINISHED:
        await _put(engine, view.id, "comment", f"comment:{repository}:{posted.id}", by, {"text": text})
    return posted


async def approve(house: House, engine: Engine, repository: str, number: int, *, sha: str, by: str) -> str:
    """Accept changed tests for exactly the commit ``sha``; the gates run again with that. Returns the execution."""
    pull = await house.forge.pull_request(repository, number)
    view = await _required(house, pull)
    if len(sha) < 7 or not pull.head.startswith(sha):
        raise errors.Conflict(
            f"pull request {number} is at {pull.head[:12]}, not at {sha}: an approval belongs to one commit",
            subject=sha,
            next_moves=(
                f"look again: boatwright pr diff {number}",
                f"boatwright pr approve {number} --sha {pull.head[:12]}",
            ),
        )
    await _put(engine, view.id, "approve", f"approve:{pull.head}", by, {"commit": pull.head})
    return view.id


async def close(house: House, engine: Engine, repository: str, number: int, *, by: str) -> PullRequest:
    """Close without merging: the bottle is destroyed and nobody asks again."""
    pull = await house.forge.close_pull_request(repository, number)
    await reconcile_one(house, engine, pull, by=by)
    return pull


async def merge(
    house: House, engine: Engine, repository: str, number: int, *, sha: str | None, unproven: bool, by: str
) -> PullRequest:
    """Merge the head people saw. A head that is not ready needs ``unproven`` said out loud."""
    pull = await house.forge.pull_request(repository, number)
    if sha is not None and not pull.head.startswith(sha):
        raise errors.Conflict(f"pull request {number} is at {pull.head[:12]}, not at {sha}", subject=sha)
    if pull.draft and not unproven:
        raise errors.Refused(
            f"pull request {number} is a draft: its head {pull.head[:12]} is not proven",
            subject=str(number),
            next_moves=(f"see why: boatwright pr show {number}", f"boatwright pr merge {number} --unproven"),
        )
    merged = await house.forge.merge_pull_request(repository, number, head=pull.head)
    await reconcile_one(house, engine, merged, by=by)
    return merged


async def reconcile_one(house: House, engine: Engine, pull: PullRequest, *, by: str) -> bool:
    """Tell the execution what became of its pull request, once, whoever notices."""
    if pull.state == "open":
        return False
    view = await _of_pull_request(house, pull.repository, pull.number)
    if view is None or view.state in FINISHED:
        return False
    kind = "merge" if pull.state == "merged" else "close"
    payload = {"commit": pull.merged_commit or pull.head}
    return await _put(engine, view.id, kind, f"{kind}:{pull.number}", by, payload)


async def reconcile(house: House, engine: Engine) -> int:
    """The sweep: pull requests that were closed or merged while nobody could take the word."""
    told = 0
    delivered = await asyncio.to_thread(
        house.ledger.executions.list, states=(State.DELIVERED, State.PARKED), limit=EVERY
    )
    for view in delivered:
        if view.pull_request is not None:
            with suppress(errors.BoatwrightError):  # one repository that is away does not end the round
                pull = await house.forge.pull_request(view.repository, view.pull_request)
                told += await reconcile_one(house, engine, pull, by="forge") or await hear(
                    house, engine, view
                )
    return told


async def hear(house: House, engine: Engine, view: ExecutionView) -> int:
    """Comments of people nobody told the execution of (a kill between the two rows); known ones are known by key."""
    if view.pull_request is None:
        return 0
    new = 0
    for said in await house.forge.comments(view.repository, view.pull_request):
        if not said.marker:
            key = f"comment:{view.repository}:{said.id}"
            new += await _put(engine, view.id, "comment", key, said.author, {"text": said.body})
    return new


async def cancel(house: House, engine: Engine, execution: str, *, reason: str, by: str) -> bool:
    view = await house.view(execution)
    waiting = await asyncio.to_thread(lambda: engine.turns.live(execution) or engine.inbox.waking(execution))
    if view.state in FINISHED and not waiting:
        raise errors.Conflict(
            f"{execution} is {view.state.lower()} already",
            subject=execution,
            next_moves=(f"boatwright show {execution}",),
        )
    return await _put(engine, execution, "cancel", f"cancel:{house.ids.token()}", by, {"reason": reason})


async def resume(house: House, engine: Engine, execution: str, *, by: str, private: bool = False) -> bool:
    """Go on from the last completed step of a parked or interrupted execution."""
    view = await house.view(execution)
    if view.state in FINISHED:
        raise errors.Conflict(
            f"{execution} is {view.state.lower()}: there is nothing to resume",
            subject=execution,
            next_moves=_AFTER if view.state is State.COMPLETED else (f"boatwright retry {execution}",),
        )
    await asyncio.to_thread(request.set_host_cap, house)
    return await _put(engine, execution, "resume", f"resume:{house.ids.token()}", by, {}, private=private)


async def retry(
    house: House, engine: Engine, execution: str, *, stage: str, by: str, private: bool = False
) -> bool:
    """Do a stage and what follows it afresh; the work saved so far stays."""
    view = await house.view(execution)
    if view.state is State.COMPLETED:
        raise errors.Conflict(
            f"{execution} is completed: its pull request is merged", subject=execution, next_moves=_AFTER
        )
    await asyncio.to_thread(request.set_host_cap, house)
    payload = {"from": stage}
    return await _put(engine, execution, "retry", f"retry:{house.ids.token()}", by, payload, private=private)


_AFTER = ("ask for more with a new run: boatwright run",)
"""What is left to do with an execution whose pull request is merged."""


async def raise_budget(house: House, engine: Engine, execution: str, *, budget: Cap, by: str) -> Cap:
    """Set the execution's cap anew, within the host's ceiling. The run goes on when it is resumed.

    What ``budget`` does not speak of, dollars or tokens, stays as it was.
    """
    view = await house.view(execution)
    if view.state is State.COMPLETED:
        raise errors.Conflict(
            f"{execution} is completed: it spends nothing any more", subject=execution, next_moves=_AFTER
        )
    if budget.usd == 0 or budget.tokens == 0:
        raise errors.BadInput(
            f"a budget of {budget} admits no call at all",
            subject=str(budget),
            next_moves=(f"boatwright budget raise {execution} 10usd",),
        )
    house.settings.refuse_above_ceiling(budget)
    # A cap of before the ceiling had both units gets the missing one from there.
    budget = narrowed(narrowed(house.settings.budget.execution, view.budget), budget)
    await asyncio.to_thread(house.wire.budgets().set_cap, "execution", execution, budget, hard=True)
    await asyncio.to_thread(house.wire.cuts().lift, execution)
    await asyncio.to_thread(
        engine.note,
        execution,
        "raise",
        f"raise:{house.ids.token()}",
        by,
        {"budget": budget.model_dump(mode="json")},
    )
    return budget


async def _put(
    engine: Engine,
    execution: str,
    kind: str,
    sender_key: str,
    by: str,
    payload: Mapping[str, object],
    *,
    private: bool = False,
) -> bool:
    return await asyncio.to_thread(
        engine.submit,
        execution,
        kind=kind,
        sender_key=sender_key,
        author=by,
        payload=payload,
        private=private,
    )


async def _of_pull_request(house: House, repository: str, number: int) -> ExecutionView | None:
    return await asyncio.to_thread(house.ledger.executions.by_pull_request, repository, number)


async def _required(house: House, pull: PullRequest) -> ExecutionView:
    view = await _of_pull_request(house, pull.repository, pull.number)
    if view is None:
        raise errors.NotFound(
            f"pull request {pull.number} of {pull.repository} is not one of ours", subject=str(pull.number)
        )
    return view
