"""One delivery, from its bytes to its end: read, routed, authorised, done, marked. A kill between any two lines neither
loses nor doubles it: what a request is given is written before it is used, and what is done has a key of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from boatwright import crash
from boatwright.config.forges import ForgeSetting
from boatwright.egress.log import Log
from boatwright.intake import readers
from boatwright.intake.acting import Acting, Done, Result
from boatwright.intake.answers import Answers
from boatwright.intake.outside import Outside, Served
from boatwright.rules import authorisation, news, orders, refusing, unbegun
from boatwright.rules.authorisation import Standing
from boatwright.rules.news import News
from boatwright.rules.orders import Terms
from boatwright.stages.house import House
from boatwright.values.delivery import STREAM, Delivery
from boatwright.values.events import DeliverySkipped
from boatwright.values.incoming import Happening, IssueChanged, Moved
from boatwright.values.order import (
    Command,
    Decide,
    Look,
    Misspoken,
    Move,
    Note,
    Order,
    Revisit,
    Say,
    Start,
    Verb,
)
from boatwright.values.people import Permission
from boatwright.values.skipping import Skip, SkipReason
from boatwright.values.trigger import Heard
from boatwright.workflows.engine import Engine

_DETAIL = 300
_NAMED = 100
Beside = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class _Case:
    """A delivery whose repository is known."""

    delivery: Delivery
    served: Served
    setting: ForgeSetting

    @property
    def name(self) -> str:
        """What a request is remembered by: a delivery that is processed again is the same one."""
        return f"delivery:{self.delivery.id}"


@dataclass(frozen=True, slots=True)
class Place:
    """The repository a delivery is about, as far as order is concerned; empty where it is about none. ``also``: what later
    deliveries will call that repository once this one is heard.
    """

    key: str
    also: str = ""


class Hearing:
    """Processes deliveries; holds nothing between two of them."""

    def __init__(self, house: House, engine: Engine, outside: Outside, log: Log) -> None:
        self._house, self._outside, self._log = house, outside, log
        self._acting = Acting(house, engine)
        self._deliveries, self._watched = house.ledger.deliveries, house.ledger.watched

    async def process(self, delivery: Delivery) -> Result:
        """Do what it asks, or ignore it with a reason; either way it is processed afterwards.

        ``errors.BoatwrightError`` when it cannot be done now: then it is not processed, and may be tried again.
        """
        event = await asyncio.to_thread(self._read, delivery)
        if isinstance(event, Skip):
            return await self._end(delivery, "", event)
        return await self._happened(delivery, event)

    def place(self, delivery: Delivery) -> Place:
        """Behind which others of its forge a delivery has to stand. Blocks."""
        event = self._read(delivery)
        if isinstance(event, Skip):
            return Place("")
        if isinstance(event, Moved):
            return Place(self._key(delivery, event.old), also=_unknown(event.at.path))
        return Place(self._key(delivery, event.at.path))

    def _key(self, delivery: Delivery, name: str) -> str:
        found = self._outside.repositories.of(delivery.forge, name)
        return _unknown(name) if found is None else found.id

    def _read(self, delivery: Delivery) -> Happening | Skip:
        body = self._deliveries.body(delivery.id)
        if body is None:
            return Skip(SkipReason.OTHER_SHAPE, "its bytes are gone")
        return readers.read(delivery.forge, delivery.event, delivery.content_type, body)

    async def _happened(self, delivery: Delivery, event: Happening) -> Result:
        setting = self._house.settings.forge(delivery.forge)
        terms = Terms(setting.label, frozenset(setting.bots))
        order = orders.order(event, terms)
        if isinstance(order, Note):
            return await self._end(delivery, event.at.path, Done("noted", order.about))
        known = await self._served(delivery, event, order)
        if isinstance(known, Skip):
            return await self._end(delivery, event.at.path, known)
        if isinstance(order, Move):
            return await self._end(delivery, event.at.path, Done("noted", f"{order.old} is {known.path} now"))
        case = _Case(delivery, known, setting)
        if isinstance(event, IssueChanged):
            return await self._issue(case, event, order)
        result = order if isinstance(order, Skip) else await self._obey(case, order)
        return await self._end(delivery, event.at.path, result)

    async def _served(self, delivery: Delivery, event: Happening, order: Order | Skip) -> Served | Skip:
        """The repository, unless it is none of ours, signed for another one, called otherwise, or switched off."""
        name = order.old if isinstance(order, Move) else event.at.path
        found = await self._register(delivery, name)
        if found is None:
            return Skip(SkipReason.UNKNOWN_REPOSITORY, "it is not served here: boatwright repo add")
        signer = await self._register(delivery, delivery.signer) if delivery.signer else found
        if signer is None or signer.id != found.id:  # by id: it may be called otherwise than in settings.yml
            return Skip(SkipReason.WRONG_REPOSITORY, f"signed with the secret of {delivery.signer}")
        if isinstance(order, Move):
            return await self._moved(delivery, found, name)
        strays = await self._strays(found, name)
        if strays is not None or _passes_switch(order):
            return strays or found
        off = await asyncio.to_thread(self._outside.switches.is_off, found.id)
        return Skip(SkipReason.SWITCHED_OFF, off) if off is not None else found

    async def _register(self, delivery: Delivery, name: str) -> Served | None:
        return await asyncio.to_thread(self._outside.repositories.of, delivery.forge, name)

    async def _moved(self, delivery: Delivery, found: Served, old: str) -> Served | Skip:
        """With the name its forge says it has now: what an event says of that, anybody may say who knows one secret."""
        if found.path.casefold() != old.casefold():
            return found  # known already
        now = await self._outside.called(found.id, old)
        if now in {"", found.path}:
            return Skip(
                SkipReason.UNKNOWN_REPOSITORY, f"its forge does not say that {old[:_NAMED]} has moved"
            )
        await asyncio.to_thread(self._outside.repositories.rename, found.id, now)
        return await self._register(delivery, now) or found

    async def _strays(self, found: Served, name: str) -> Skip | None:
        """Why what happened under a name of before is none of its: somebody may have taken that name meanwhile."""
        if found.path.casefold() == name.casefold():
            return None
        now = await self._outside.called(found.id, name)
        if now.casefold() == found.path.casefold():
            return None
        return Skip(SkipReason.UNKNOWN_REPOSITORY, f"{name[:_NAMED]} is not {found.path} any more")

    # --- issues ---

    async def _issue(self, case: _Case, event: IssueChanged, order: Order | Skip) -> Result:
        """What an issue asks, if it is news; whatever comes of it, how the issue stands now is remembered."""
        if isinstance(order, Start):
            before = await asyncio.to_thread(self._watched.get, case.served.id, event.number)
            said = news.judge(before, event, case.setting.label, case.name)
            refused = _not_new(said) or await self._refused(case, order)
            if refused is None:
                result = await self._begin(case, event, order)
                return await self._end(case.delivery, event.at.path, result)
            order = refused
        skip = order if isinstance(order, Skip) else Skip(SkipReason.NO_TRIGGER)

        def remember(writer: Connection) -> None:
            stood = self._watched.get(case.served.id, event.number, connection=writer)
            self._watched.put(case.served.id, event.number, news.heard(stood, event), connection=writer)

        return await self._end(case.delivery, event.at.path, skip, remember)

    async def _begin(self, case: _Case, event: IssueChanged, order: Start) -> Result:
        label, now = case.setting.label, self._house.clock.now()

        def judge(before: Heard | None) -> News:
            return news.judge(before, event, label, case.name)

        def asked(before: Heard | None, execution: str) -> Heard:
            return news.asked(before, event, execution=execution, delivery=case.name, now=now)

        return await self._start(case, order, judge, asked)

    async def _plan(self, case: _Case, command: Command, order: Start) -> Result:
        name, now = f"comment:{command.comment}", self._house.clock.now()

        def asked(before: Heard | None, execution: str) -> Heard:
            return news.asked_by_comment(before, command.created or now, execution=execution, delivery=name)

        return await self._start(
            case, order, lambda before: news.asks_anew(before, command.created, name), asked, command.comment
        )

    async def _start(
        self,
        case: _Case,
        order: Start,
        judge: Callable[[Heard | None], News],
        asked: Callable[[Heard | None, str], Heard],
        comment: str = "",
    ) -> Result:
        """Give the request its execution's id, durably, and then begin that execution: begun again, it is the same."""

        def claim() -> tuple[str, News]:
            with self._house.ledger.database.write() as writer:
                before = self._watched.get(case.served.id, order.number, connection=writer)
                said = judge(before)
                if said is News.MINE and before is not None:
                    return before.execution, said
                if said is not News.NEW:
                    return "", said
                execution = self._house.ids.execution_id()
                self._watched.put(case.served.id, order.number, asked(before, execution), connection=writer)
                return execution, said

        execution, said = await asyncio.to_thread(claim)
        if not execution:
            return _not_new(said) or Skip(SkipReason.ALREADY_ASKED)
        crash.point("pump.claimed")
        mark = refusing.marker(comment) if comment else unbegun.marker(execution)
        before = mark if said is News.MINE else ""
        result = await self._acting.start(order, case.served, execution, answer=before)
        if isinstance(result, Done):
            await self._acknowledge(case, order, comment)
        elif result.fault is not None and not comment:  # a command is answered with the others
            answers = Answers(self._house, case.served, order)
            await self._tell(case, order, answers, mark, unbegun.text(order, result, case.setting.label))
        return result

    async def _acknowledge(self, case: _Case, order: Start, comment: str) -> None:
        """After the execution exists: what people see is never more than what there is."""
        crash.point("pump.started")
        why = await self._acting.seen(order.number, case.served, comment)
        if why:
            self._log.line("unacknowledged", delivery=case.delivery.id, number=order.number, about=why)

    # --- everything else ---

    async def _obey(self, case: _Case, order: Order) -> Result:
        refused = await self._refused(case, order)
        if refused is not None:
            return refused
        return await self._done(case, order)

    async def _done(self, case: _Case, order: Order) -> Result:
        acting, served = self._acting, case.served
        result: Result = Skip(SkipReason.NOTHING_TO_DO)
        match order:
            case Say():
                result = await acting.say(order, served)
            case Decide():
                result = await acting.decide(order, served)
            case Look():
                result = await acting.look(order, served)
            case Revisit():
                result = await acting.revisit(order, served)
            case Misspoken():
                answers = Answers(self._house, served, order)
                result = await self._told_why(case, order, order.why, answers)
            case Command():
                answers = Answers(self._house, served, order)
                done = await self._command(case, order, answers)
                result = await self._told_why(case, order, done, answers)
        return result

    async def _command(self, case: _Case, order: Command, answers: Answers) -> Result:
        plan = orders.plan(order) if order.verb is Verb.PLAN else None
        if plan is not None:
            return await self._plan(case, order, plan)
        return await self._acting.command(order, case.served, answers)

    async def _told_why(
        self, case: _Case, order: Command | Misspoken, result: Result, answers: Answers
    ) -> Result:
        """Whoever may give commands and gave one that is not followed reads so where they gave it."""
        if isinstance(result, Skip) and refusing.is_answered(result):
            body = refusing.text(order, result, case.setting.label)
            await self._tell(case, order, answers, refusing.marker(order.comment), body)
        return result

    async def _tell(
        self, case: _Case, order: Command | Misspoken | Start, answers: Answers, mark: str, body: str
    ) -> None:
        """An answer, while there is no switch that is off; a forge that does not let us leaves a line."""
        if await self._is_off(case):
            return
        shut = await answers.tell(mark, body)
        if shut:
            self._log.line("unanswered", delivery=case.delivery.id, number=order.number, about=shut)

    async def _is_off(self, case: _Case) -> bool:
        """To stop is heard while the switch is off; nobody is answered."""
        return await asyncio.to_thread(self._outside.switches.is_off, case.served.id) is not None

    async def _refused(self, case: _Case, order: Order) -> Skip | None:
        wanted = authorisation.wanted(order)
        if wanted is None:
            return None
        organisation = case.setting.organisation
        people = await asyncio.to_thread(self._outside.people, case.delivery.forge, case.served.id)
        me = "" if case.setting.shared_login else await people.me()
        permission = Permission.NONE
        if wanted.login:
            permission = await people.permission(case.served.id, wanted.login)
        members = [
            login for login in wanted.members if organisation and await people.is_member(organisation, login)
        ]
        return authorisation.refusal(order, Standing(permission, frozenset(members), me))

    async def _end(
        self, delivery: Delivery, path: str, result: Result, beside: Beside | None = None
    ) -> Result:
        """It is processed: marked in the transaction that remembers what came of it, and one line is logged."""
        crash.point("pump.acted")
        await asyncio.to_thread(self._mark, delivery, path, result, beside)
        crash.point("pump.finished")
        outcome, reason, about = _told(result)
        self._log.line(
            outcome,
            delivery=delivery.id,
            forge=delivery.forge,
            event=delivery.event,
            path=path,
            decision="skip" if reason else "done",
            reason=reason,
            about=about,
        )
        return result

    def _mark(self, delivery: Delivery, path: str, result: Result, beside: Beside | None) -> None:
        outcome, reason, about = _told(result)
        with self._house.ledger.database.write() as writer:
            if isinstance(result, Skip):
                skipped = _event(delivery, path, result)
                self._house.ledger.events.append(
                    STREAM, skipped, key=f"skipped:{delivery.id}", connection=writer
                )
            if beside is not None:
                beside(writer)
            self._deliveries.finish(delivery.id, outcome, reason=reason, about=about, connection=writer)


def _told(result: Result) -> tuple[str, str, str]:
    """Outcome, reason and what it is about, as rows and lines have them."""
    if isinstance(result, Skip):
        return "skipped", result.reason.value, result.detail
    return result.outcome, "", result.about


def _event(delivery: Delivery, path: str, skip: Skip) -> DeliverySkipped:
    return DeliverySkipped(
        delivery=delivery.id,
        forge=delivery.forge,
        event=delivery.event,
        path=path,
        reason=skip.reason,
        detail=skip.detail[:_DETAIL],
    )


def _not_new(said: News) -> Skip | None:
    if said is News.KNOWN:
        return Skip(SkipReason.ALREADY_ASKED, "the issue bore its trigger when it was last heard of")
    if said is News.STALE:
        return Skip(SkipReason.STALE, "something newer was heard before")
    return None


def _unknown(name: str) -> str:
    """What stands for a repository no register knows by that name."""
    return f"?{name.casefold()}"


def _passes_switch(order: Order | Skip) -> bool:
    """What ends work is heard when everything is switched off, too."""
    return isinstance(order, Decide) or (isinstance(order, Command) and order.verb is Verb.STOP)
