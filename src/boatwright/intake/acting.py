"""Doing what an order asks, once: every act has a key derived from what happened, so that done again it is the same act."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from boatwright import errors
from boatwright.intake import commands, overtaken, request, their_checks
from boatwright.intake.answers import Answers
from boatwright.intake.outside import Served
from boatwright.intake.request import Ask
from boatwright.rules import explaining, orders, refusing, unbegun
from boatwright.rules import their_checks as rules
from boatwright.stages.house import House
from boatwright.values.events import HeadApproved
from boatwright.values.execution import ExecutionView
from boatwright.values.order import Command, Decide, Look, Revisit, Say, Start, Verb
from boatwright.values.skipping import Skip, SkipReason
from boatwright.values.state import FINISHED, State
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

SEEN_SECONDS = 10.0
"""How long the deliveries behind it wait for a courtesy."""
_FRESH = "build"
"""Where ``/boatwright retry`` begins when it names no stage."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: ``started``, ``told``, ``answered`` or ``noted``; ``about`` an execution, or in words."""

    outcome: str
    about: str = ""


Result = Done | Skip


class Acting:
    """Each method may be called again with the same order after a kill at any line of it."""

    def __init__(self, house: House, engine: Engine) -> None:
        self._house, self._engine = house, engine

    # --- a new execution ---

    async def start(self, order: Start, served: Served, execution: str, *, answer: str = "") -> Result:
        """Begin the execution whose id was drawn before. One that exists is only seen to have its turn.

        ``answer``: of a request that was taken up before, the mark of the comment that says nothing came of it. Where that
        stands nothing is begun: whoever asked was told to ask again.
        """
        if await asyncio.to_thread(self._house.ledger.executions.get, execution) is not None:
            await asyncio.to_thread(self._engine.start_turn, execution)
            return Done("started", execution)
        ask = Ask(
            served.source,
            issue=order.number,
            agent=order.agent,
            bottles=order.bottles,
            only_plan=order.only_plan,
            by=order.by,
            words=(" ".join(order.title.split()) or f"Issue {order.number}", order.body),
        )
        try:
            if answer and await Answers(self._house, served, order).is_given(answer):
                return Skip(SkipReason.ALREADY_ASKED, "this was answered before: nothing was begun")
            await request.accept(self._house, self._engine, ask, private=False, execution=execution)
        except errors.Conflict as other:
            return Skip(SkipReason.ALREADY_RUNNING, str(other))
        except errors.BoatwrightError as unfit:
            skip = unbegun.skip(unfit)
            if skip is None:
                raise
            return skip
        return Done("started", execution)

    async def seen(self, number: int, served: Served, comment: str) -> str:
        """Show at the forge that what was asked is heard: on the comment that asked, else on the issue. Twice is once.

        It is a courtesy: where the forge does not let us the work goes on, and the sentence that is returned says why.
        """
        on = int(comment) if comment.isdecimal() else None
        try:
            async with asyncio.timeout(SEEN_SECONDS):
                await self._house.forge.react(served.id, number, comment=on)
        except TimeoutError:
            return f"the forge did not take it in {SEEN_SECONDS:g} seconds"
        except errors.BoatwrightError as error:
            return str(error)
        return ""

    # --- words for one that exists ---

    async def say(self, order: Say, served: Served) -> Result:
        view = await self._of_pull(served, order.number)
        if view is None:
            return _not_ours(order.number)
        key = f"comment:{served.id}:{order.key}"
        if view.state in FINISHED and not await self._known(view, key):
            return Skip(SkipReason.NOTHING_TO_DO, f"{view.id} is {view.state.lower()}")
        return await self._put(view, "comment", key, order.by, {"text": orders.words(order)})

    async def decide(self, order: Decide, served: Served) -> Result:
        view = await self._of_pull(served, order.number)
        if view is None:
            return _not_ours(order.number)
        kind = "merge" if order.merged else "close"
        key = f"{kind}:{order.number}"  # the key of the sweep, which may have noticed first
        if view.state in FINISHED and not await self._known(view, key):
            return Skip(SkipReason.NOTHING_TO_DO, f"{view.id} is {view.state.lower()}")
        return await self._put(view, kind, key, order.by, {"commit": order.commit})

    async def look(self, order: Look, served: Served) -> Result:
        """Whether the checks of a commit of ours ask for a turn."""
        views = await their_checks.of_commit(self._house, served.id, order.commit)
        if not views:
            return Skip(SkipReason.NOT_OURS, "no open delivery of ours is at that commit")
        told = [view.id for view in views if await their_checks.look(self._house, self._engine, view)]
        if not told:
            return Skip(SkipReason.NOTHING_TO_DO, f"the checks of {order.commit[:12]} ask for nothing")
        return Done("told", told[0])

    async def revisit(self, order: Revisit, served: Served) -> Result:
        """Ask the forge where the branch of a pull request of ours is, as the patrol does: the delivery only says when."""
        views = await overtaken.of_branch(self._house, served.id, order.branch)
        if not views:
            return Skip(SkipReason.NOT_OURS, "no open pull request of ours has that branch")
        try:
            told = [view.id for view in views if await self._overtaken(view)]
        except errors.NotFound as gone:
            return Skip(SkipReason.NOT_OURS, str(gone))
        if not told:
            return Skip(SkipReason.NOTHING_TO_DO, f"{order.branch[:60]} is where it was left, or was told of")
        return Done("told", told[0])

    async def _overtaken(self, view: ExecutionView) -> bool:
        assert view.pull_request is not None, "one without a pull request is not looked for"
        pull = await self._house.forge.pull_request(view.repository, view.pull_request)
        return await overtaken.notice(self._house, self._engine, view, pull)

    # --- commands ---

    async def command(self, order: Command, served: Served, answers: Answers) -> Result:
        """Everything but the beginning of a plan, which is a request of its own. ``answers``: those to this order."""
        view = await self._of(order, served)
        if view is None:
            return _not_ours(order.number)
        early = await self._is_early(order, served, view, answers)
        if early is not None:
            return early
        acts: Mapping[Verb, Callable[[Command, Served, ExecutionView], Awaitable[Result]]] = {
            Verb.STOP: self._stop,
            Verb.RETRY: self._retry,
            Verb.PLAN: self._plan_again,
            Verb.BUDGET: self._budget,
            Verb.APPROVE: self._approve,
        }
        try:
            if order.verb is Verb.EXPLAIN:  # that one is answered in words
                return await self._explain(order, served, view, answers)
            result = await acts[order.verb](order, served, view)
            if isinstance(result, Done):
                await self.seen(order.number, served, order.comment)
            return result
        except errors.AboveCeiling as over:
            return Skip(SkipReason.NOT_ALLOWED, str(over), "; ".join(over.next_moves))
        except errors.Conflict as late:
            return Skip(SkipReason.NOTHING_TO_DO, str(late))

    async def _is_early(
        self, order: Command, served: Served, view: ExecutionView, answers: Answers
    ) -> Skip | None:
        """Why a comment is not for this execution: it may be told of again minutes later, by a look at the list, when
        what was refused would be done, and another execution of the issue has begun.
        """
        key = _key(order, served)
        if order.verb is Verb.EXPLAIN or await self._known(view, key):
            return None
        if not order.on_pull and await asyncio.to_thread(self._was_told, order, served, key):
            return Skip(SkipReason.ALREADY_ASKED, "an execution of before was told this")
        if await answers.is_given(refusing.marker(order.comment)):
            return Skip(SkipReason.ALREADY_ASKED, "this comment was answered before: nothing was done")
        return None

    def _was_told(self, order: Command, served: Served, key: str) -> bool:
        every = self._house.ledger.executions.of_issue(served.id, order.number)
        return any(self._engine.inbox.has(each.id, key) for each in every)

    async def _stop(self, order: Command, served: Served, view: ExecutionView) -> Result:
        key = _key(order, served)
        if not await self._known(view, key):
            reason = f"stopped by {order.by} in a comment"
            await commands.cancel(self._house, self._engine, view.id, reason=reason, by=order.by, key=key)
        return await self._told(view)

    async def _retry(self, order: Command, served: Served, view: ExecutionView) -> Result:
        key, stage = _key(order, served), order.argument.lower() or _FRESH
        if stage not in refusing.STAGES:
            return Skip(SkipReason.UNKNOWN_COMMAND, f"retry begins at one of {', '.join(refusing.STAGES)}")
        if not await self._known(view, key):
            await commands.retry(self._house, self._engine, view.id, stage=stage, by=order.by, key=key)
        return await self._told(view)

    async def _plan_again(self, order: Command, served: Served, view: ExecutionView) -> Result:
        if view.state not in FINISHED:
            return Skip(SkipReason.ALREADY_RUNNING, f"{view.id} is {view.state.lower()}")
        return Skip(SkipReason.NOTHING_TO_DO, "a plan is asked for on the issue, not on the pull request")

    async def _budget(self, order: Command, served: Served, view: ExecutionView) -> Result:
        key = _key(order, served)
        try:
            cap = Cap.parse(f"{order.argument}usd" if _is_number(order.argument) else order.argument)
            if not await self._known(view, key):
                await commands.raise_budget(
                    self._house, self._engine, view.id, budget=cap, by=order.by, key=key
                )
        except errors.AboveCeiling:
            raise
        except errors.BadInput as error:
            return Skip(SkipReason.UNKNOWN_COMMAND, str(error))
        if view.state is State.PARKED and view.parked_code == "budget":
            await commands.resume(self._house, self._engine, view.id, by=order.by, key=f"{key}:resume")
        return await self._told(view)

    async def _approve(self, order: Command, served: Served, view: ExecutionView) -> Result:
        """A parked execution goes on; of a delivered one, the head is approved that the person has seen."""
        key = _key(order, served)
        if view.state is State.PARKED or await self._known(view, key):
            if not await self._known(view, key):
                await commands.resume(self._house, self._engine, view.id, by=order.by, key=key)
            return await self._told(view)
        head = view.head or ""
        if not head or view.state in FINISHED:
            return Skip(
                SkipReason.NOTHING_TO_DO, f"{view.id} is {view.state.lower()}: nothing waits for approval"
            )
        if not await self._meant(order, view, head):
            instead = f"/boatwright approve {head[:12]}"
            return Skip(SkipReason.NOTHING_TO_DO, f"say which head is meant: {instead}", instead)
        # Known by its comment: told of again after the next delivery, it is not about that one's head.
        if await asyncio.to_thread(self._is_approved, view.id, head):  # at the console, or by somebody else
            await asyncio.to_thread(self._engine.note, view.id, "approved", key, order.by, {"commit": head})
            return await self._told(view)
        return await self._put(view, "approve", key, order.by, {"commit": head})

    async def _meant(self, order: Command, view: ExecutionView, head: str) -> bool:
        """Whether the comment is about this head: it names it, or was written after it was delivered."""
        if order.argument:
            return len(order.argument) >= 7 and head.startswith(order.argument.lower())
        since = await asyncio.to_thread(self._delivered, view.id, head)
        return order.created is not None and since is not None and order.created >= since

    def _is_approved(self, execution: str, head: str) -> bool:
        waiting = self._engine.inbox.waiting(execution)
        return any(row.kind == "approve" and row.payload.get("commit") == head for row in waiting) or any(
            isinstance(event.payload, HeadApproved) and event.payload.commit == head
            for event in self._house.ledger.events.stream(execution)
        )

    def _delivered(self, execution: str, head: str) -> datetime | None:
        """When that commit was delivered first: once it is approved it is delivered again."""
        return rules.delivered(self._house.ledger.events.stream(execution), head)

    async def _explain(self, order: Command, served: Served, view: ExecutionView, answers: Answers) -> Result:
        """Answered once: the answer bears the comment's mark, and is looked for before it is written."""
        marker = f"explain:{order.comment}"
        if not await answers.has(marker):
            head = ""
            if view.pull_request is not None:
                head = (await self._house.forge.pull_request(served.id, view.pull_request)).head
            history = await asyncio.to_thread(self._house.ledger.events.stream, view.id)
            await answers.give(marker, explaining.text(view, head, history))
        return Done("answered", view.id)

    # --- shared ---

    async def _of(self, order: Command, served: Served) -> ExecutionView | None:
        if order.on_pull:
            return await self._of_pull(served, order.number)
        return await asyncio.to_thread(self._house.ledger.executions.for_issue, served.id, order.number)

    async def _of_pull(self, served: Served, number: int) -> ExecutionView | None:
        return await asyncio.to_thread(self._house.ledger.executions.by_pull_request, served.id, number)

    async def _known(self, view: ExecutionView, key: str) -> bool:
        return await asyncio.to_thread(self._engine.inbox.has, view.id, key)

    async def _put(
        self, view: ExecutionView, kind: str, key: str, by: str, payload: Mapping[str, object]
    ) -> Done:
        await asyncio.to_thread(
            lambda: self._engine.submit(view.id, kind=kind, sender_key=key, author=by, payload=payload)
        )
        return Done("told", view.id)

    async def _told(self, view: ExecutionView) -> Done:
        """The row is there; a kill may have come before its turn was claimed."""
        await asyncio.to_thread(self._engine.start_turn, view.id)
        return Done("told", view.id)


def _key(order: Command, served: Served) -> str:
    return f"{order.verb}:{served.id}:{'pull' if order.on_pull else 'issue'}:{order.comment}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _not_ours(number: int) -> Skip:
    return Skip(SkipReason.NOT_OURS, f"no execution belongs to number {number}")
