"""An operator's side of what agents ask: see it, answer, grant, refuse; and say that somebody is there at all.

Whoever shows asks to a person calls :func:`present` every few seconds while the person watches, and :func:`leave` at the
end: agents ask only while somebody is there. Synchronous where nothing is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from boatwright import errors
from boatwright.intake import cuts
from boatwright.ledger.asks import FRESH
from boatwright.rules import asking
from boatwright.rules.asking import Decision, NotAsked
from boatwright.stages.house import House
from boatwright.values.asking import Ask, AskKind, AskState
from boatwright.values.state import FINISHED
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

BEAT_SECONDS = FRESH.total_seconds() / 4
"""How often :func:`present` is to be called."""


def present(house: House, operator: str) -> None:
    """``operator`` (any name) watches: good for :data:`BEAT_SECONDS` four times over."""
    house.ledger.asks.beat(operator)


def leave(house: House, operator: str) -> None:
    """``operator`` stops watching; the next question is answered with *no operator* at once."""
    house.ledger.asks.leave(operator)


def waiting(house: House) -> Sequence[Ask]:
    """What waits for an answer, the oldest first; what an execution asked that is over is left out."""
    return [each for each in house.ledger.asks.open() if not _over(house, each)]


def _over(house: House, ask: Ask) -> bool:
    view = house.ledger.executions.get(ask.account)
    return view is not None and view.state in FINISHED


async def answer(house: House, name: str, text: str, *, by: str) -> Ask:
    """Answer a question. ``name``: its id, or the start of it. ``errors.Conflict`` when it is closed already."""
    ask = await asyncio.to_thread(house.ledger.asks.get, name)
    if ask.wish.kind is not AskKind.QUESTION:
        raise errors.BadInput(
            f"{ask.id} asks for a {ask.wish.kind.value}: it is granted or refused",
            subject=ask.id,
            next_moves=(f"boatwright asks grant {ask.id}", f'boatwright asks refuse {ask.id} "…"'),
        )
    said = asking.answer(text)
    return await asyncio.to_thread(house.ledger.asks.close, ask.id, AskState.ANSWERED, said, by=by)


async def refuse(house: House, name: str, why: str, *, by: str) -> Ask:
    """Refuse anything that waits; the agent is told why."""
    ask = await asyncio.to_thread(house.ledger.asks.get, name)
    said = asking.answer(why)
    return await asyncio.to_thread(house.ledger.asks.close, ask.id, AskState.REFUSED, said, by=by)


async def grant(
    house: House,
    engine: Engine,
    name: str,
    *,
    budget: str | None = None,
    route: str | None = None,
    note: str = "",
    by: str,
) -> Ask:
    """Grant what was asked for, or something else of its kind, within the ceiling of settings.yml.

    ``budget`` is *more*, as it was asked. What is granted is written down before it is done, as a whole: killed in
    between, granting again does exactly that. A route takes effect on the open wire within a second or two.
    """
    ask = await asyncio.to_thread(house.ledger.asks.get, name)
    _refuse_another(ask, budget=budget, route=route)
    if not ask.decision:
        decided = _more(house, ask, budget) if ask.wish.kind is AskKind.BUDGET else _opened(house, ask, route)
        if not decided.allowed:
            raise errors.Refused(
                f"{ask.id} cannot be granted: {decided.why}", subject=ask.id, next_moves=decided.next_moves
            )
        ask = await asyncio.to_thread(house.ledger.asks.decide, ask.id, decided.granted)
    if ask.wish.kind is AskKind.BUDGET:
        meant = await asyncio.to_thread(cuts.of_account, house, ask.account)
        await cuts.raise_named(house, engine, meant, Cap.parse(ask.decision), by=by)
    said = asking.answer(note) if note.strip() else ""
    return await asyncio.to_thread(house.ledger.asks.close, ask.id, AskState.ANSWERED, said, by=by)


def _refuse_another(ask: Ask, *, budget: str | None, route: str | None) -> None:
    kind = ask.wish.kind
    if kind is AskKind.QUESTION:
        raise errors.BadInput(
            f"{ask.id} is a question: it is answered",
            subject=ask.id,
            next_moves=(f'boatwright asks answer {ask.id} "…"',),
        )
    if (budget is not None and kind is not AskKind.BUDGET) or (
        route is not None and kind is not AskKind.ROUTE
    ):
        raise errors.BadInput(
            f"{ask.id} asks for a {kind.value}, and nothing else is granted for it",
            subject=ask.id,
            next_moves=(f"boatwright asks grant {ask.id}",),
        )


def _more(house: House, ask: Ask, budget: str | None) -> Decision:
    now = house.wire.budgets().cap("execution", ask.account)
    if now is None:
        return Decision("", f"{ask.account} has no cap any more: it is over")
    decided = asking.raised(now, Cap.parse(budget if budget is not None else ask.wish.wanted))
    if decided.allowed:
        house.settings.refuse_above_ceiling(Cap.parse(decided.granted))
    return decided


def _opened(house: House, ask: Ask, route: str | None) -> Decision:
    try:
        wanted = asking.destination(route) if route is not None else ask.wish.wanted
    except NotAsked as error:
        raise errors.BadInput(
            f"{route!r} is no host", subject=str(route), next_moves=("--route name:443",)
        ) from error
    network = house.settings.network
    return asking.opened(wanted, network.ceiling, network.allow)
