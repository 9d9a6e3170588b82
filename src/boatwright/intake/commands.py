"""What a person tells an execution that exists: one inbox row each, under a key that cannot be stored twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from boatwright import errors
from boatwright.config.ceiling import narrowed
from boatwright.forge.protocol import Comment, PullRequest, ReviewComment
from boatwright.intake import overtaken, request, their_checks, unreported
from boatwright.rules import machines, orders, remarks
from boatwright.rules.their_checks import listed
from boatwright.stages import switching
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import FINISHED, State
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

ORDER = "/boatwright"
"""How an order in a comment begins."""
REMOTE_SECONDS = 300.0
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
    """Accept changed tests, and what others pushed to closed paths, for exactly the commit ``sha``; the gates run again
    with that. Returns the execution.
    """
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
    """Merge the head people saw. One that is not ready, or that others pushed, needs ``unproven`` said out loud."""
    pull = await house.forge.pull_request(repository, number)
    if sha is not None and not pull.head.startswith(sha):
        raise errors.Conflict(f"pull request {number} is at {pull.head[:12]}, not at {sha}", subject=sha)
    if pull.draft and not unproven:
        raise errors.Refused(
            f"pull request {number} is a draft: {await _why_draft(house, pull)}",
            subject=str(number),
            next_moves=(f"see why: boatwright pr show {number}", f"boatwright pr merge {number} --unproven"),
        )
    if not unproven:
        view = await _of_pull_request(house, repository, number)
        await overtaken.refuse_unproven(house, view, pull)
    merged = await house.forge.merge_pull_request(repository, number, head=pull.head)
    await reconcile_one(house, engine, merged, by=by)
    return merged


async def _why_draft(house: House, pull: PullRequest) -> str:
    view = await _of_pull_request(house, pull.repository, pull.number)
    if view is not None and view.waits_for and view.head == pull.head:
        return f"its head {pull.head[:12]} waits for the checks {listed(view.waits_for)}"
    return f"its head {pull.head[:12]} is not proven"


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


class Pace:
    """How often an execution whose people are on a server is asked about: a forge counts our calls."""

    def __init__(self, every: float = REMOTE_SECONDS) -> None:
        self._every = every
        self._asked: dict[str, float] = {}
        self.settled = their_checks.Settled()

    def due(self, house: House, view: ExecutionView) -> bool:
        """Whether to ask now. Blocks for a look at the register; what is on the local forge is always due."""
        if not house.forge.is_remote(view.repository):
            return True
        now = house.clock.monotonic()
        if now - self._asked.get(view.id, -self._every) < self._every:
            return False
        self._asked[view.id] = now
        return True


async def reconcile(house: House, engine: Engine, pace: Pace | None = None) -> int:
    """The sweep: pull requests that were closed or merged while nobody could take the word, branches that others moved,
    checks of theirs that ended or that nobody sets. ``pace`` says which are due.
    """
    told = 0
    delivered = await asyncio.to_thread(house.ledger.executions.list, states=overtaken.RESTING, limit=EVERY)
    for view in delivered:
        if view.pull_request is not None and (pace is None or await asyncio.to_thread(pace.due, house, view)):
            with suppress(errors.BoatwrightError):  # one repository that is away does not end the round
                pull = await house.forge.pull_request(view.repository, view.pull_request)
                told += await reconcile_one(house, engine, pull, by="forge") or await hear(
                    house, engine, view
                )
                await overtaken.notice(house, engine, view, pull)
                told += await their_checks.patrol(house, engine, view, pull, pace.settled if pace else None)
                await unreported.tell(house, engine, view, pull)
    return told


async def hear(house: House, engine: Engine, view: ExecutionView) -> int:
    """Comments of people nobody told the execution of (a kill between the two rows); known ones are known by key.

    What we said ourselves, what bots say, and what people without write permission say, is never heard; orders
    (``/boatwright …``) are for whoever takes orders. A remark on a line comes with its place.
    """
    if view.pull_request is None:
        return 0
    repository, number = view.repository, view.pull_request
    place = await asyncio.to_thread(house.ledger.repositories.place, repository)
    kind = place.kind if place is not None else "local"
    said = await _said(house, repository, number, kind=kind)
    if place is not None:  # there the hearing obeys what calls us
        said = [each for each in said if not orders.is_command(each[2])]
    heard = await _who_is_heard(house, repository, _people(house, kind, {who for _, who, _ in said}))
    new = 0
    for key, author, text in said:
        if author in heard:
            new += await _put(
                engine, view.id, "comment", f"comment:{repository}:{key}", author, {"text": text}
            )
    return new


async def _said(house: House, repository: str, number: int, *, kind: str) -> list[tuple[str, str, str]]:
    """(name, author, words) of what was said at a pull request, without what bears our mark."""
    said = [
        (remarks.name(kind, comment.id, on_line=False), comment.author, comment.body)
        for comment in await house.forge.comments(repository, number)
        if not comment.marker
    ]
    on_lines = await house.forge.review_comments(repository, number)
    return said + [
        (remarks.name(kind, remark.id, on_line=True), remark.author, _placed(remark)) for remark in on_lines
    ]


def _people(house: House, kind: str, authors: set[str]) -> set[str]:
    """Those that are no bots: the loop guard, as deliveries have it."""
    setting = house.settings.forge(kind)
    return {who for who in authors if not machines.is_machine(kind, who, setting.bots)}


def _placed(remark: ReviewComment) -> str:
    """The words after the place they are about, as the agent reads them."""
    if remark.body.lstrip().lower().startswith(ORDER):
        return remark.body
    place = remark.path if remark.line is None else f"{remark.path}:{remark.line}"
    return f"About {place}:\n{remark.body}"


async def _who_is_heard(house: House, repository: str, authors: set[str]) -> set[str]:
    others = authors - {await house.forge.me(repository)} if authors else authors
    return {who for who in others if (await house.forge.permission(repository, who)).may_write}


async def cancel(
    house: House, engine: Engine, execution: str, *, reason: str, by: str, key: str = ""
) -> bool:
    """``key`` tells the same wish from another; without one every call is a wish of its own."""
    view = await house.view(execution)
    waiting = await asyncio.to_thread(lambda: engine.turns.live(execution) or engine.inbox.waking(execution))
    if view.state in FINISHED and not waiting:
        raise errors.Conflict(
            f"{execution} is {view.state.lower()} already",
            subject=execution,
            next_moves=(f"boatwright show {execution}",),
        )
    return await _put(
        engine, execution, "cancel", key or f"cancel:{house.ids.token()}", by, {"reason": reason}
    )


async def resume(
    house: House, engine: Engine, execution: str, *, by: str, private: bool = False, key: str = ""
) -> bool:
    """Go on from the last completed step of a parked or interrupted execution."""
    view = await house.view(execution)
    if view.state in FINISHED:
        raise errors.Conflict(
            f"{execution} is {view.state.lower()}: there is nothing to resume",
            subject=execution,
            next_moves=_AFTER if view.state is State.COMPLETED else (f"boatwright retry {execution}",),
        )
    await switching.refuse(house, view.repository)
    await asyncio.to_thread(request.set_host_cap, house)
    key = key or f"resume:{house.ids.token()}"
    return await _put(engine, execution, "resume", key, by, {}, private=private)


async def go_on(house: House, engine: Engine, view: ExecutionView, *, key: str, by: str) -> bool:
    """The same by itself, without a person: once for each ``key``, whoever notices."""
    await asyncio.to_thread(request.set_host_cap, house)
    return await _put(engine, view.id, "resume", key, by, {})


async def retry(
    house: House, engine: Engine, execution: str, *, stage: str, by: str, private: bool = False, key: str = ""
) -> bool:
    """Do a stage and what follows it afresh; the work saved so far stays."""
    view = await house.view(execution)
    if view.state is State.COMPLETED:
        raise errors.Conflict(
            f"{execution} is completed: its pull request is merged", subject=execution, next_moves=_AFTER
        )
    await switching.refuse(house, view.repository)
    await asyncio.to_thread(request.set_host_cap, house)
    payload = {"from": stage}
    key = key or f"retry:{house.ids.token()}"
    return await _put(engine, execution, "retry", key, by, payload, private=private)


_AFTER = ("ask for more with a new run: boatwright run",)
"""What is left to do with an execution whose pull request is merged."""


async def raise_budget(
    house: House, engine: Engine, execution: str, *, budget: Cap, by: str, key: str = ""
) -> Cap:
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
        key or f"raise:{house.ids.token()}",
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
