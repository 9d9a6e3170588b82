"""Cutting by command, and what takes a cut back: of an execution or of a bottle by itself, whether it works or not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from boatwright import errors
from boatwright.intake import commands, request
from boatwright.intake.solo import records
from boatwright.rules import bottle_cap, cutting
from boatwright.rules.cutting import Order
from boatwright.stages import bottles, charging, solo_cut
from boatwright.stages.house import House
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.events import BottleDestroyed, BottleFrozen, BottleThawed
from boatwright.values.execution import ExecutionView
from boatwright.values.solo import Solo
from boatwright.values.state import FINISHED
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

NOTHING = Cap.parse("0usd,0tok")
"""The cap of what has been cut: no call fits under it, whoever opens a wire again."""
PATIENCE = 150.0
"""Seconds a bottle's supervisor is waited for; it may have a lot to save and to archive."""
_POLL = 0.2


@dataclass(frozen=True, slots=True)
class Named:
    """Whose calls are meant: an execution, a bottle by itself, or (neither) whoever has a wire of that name open."""

    account: str
    view: ExecutionView | None = None
    solo: Solo | None = None

    @property
    def shown(self) -> str:
        return self.solo.slug if self.solo else self.account


@dataclass(frozen=True, slots=True)
class Done:
    """What a cut did: ``wires`` open ones ended, and ``carried_out``, whether its policy is carried out already."""

    named: Named
    wires: int
    carried_out: bool


def find(house: House, named: str) -> Named:
    """An execution by the start of its id or by its bottle's name, or a bottle by itself."""
    solo = _solo(house, named)
    if solo is not None:
        return Named(solo.account, solo=solo)
    try:
        view = house.ledger.executions.find(named.removesuffix("-agent"))
    except errors.NotFound:
        if named.startswith("ex-"):
            raise
        raise errors.NotFound(
            f"there is no execution and no bottle {named!r}",
            subject=named,
            next_moves=("boatwright status", "boatwright bottle list"),
        ) from None
    return Named(view.id, view=view)


def of_account(house: House, account: str) -> Named:
    """Whose account it is; neither execution nor bottle where there is none any more."""
    view = house.ledger.executions.get(account)
    solo = None if view else next((each for each in records(house).all() if each.account == account), None)
    return Named(account, view, solo)


def _solo(house: House, named: str) -> Solo | None:
    try:
        return records(house).find(named)
    except errors.BadInput:  # no bottle of a person's can be called that
        return None


async def _meant(house: House, named: str) -> Named:
    try:
        return await asyncio.to_thread(find, house, named)
    except errors.NotFound:
        for each in (await house.wire.status())["wires"]:
            if each.get("bottle") == named:
                return Named(each["execution"])
        raise


async def cut(house: House, engine: Engine, named: str, policy: CutPolicy, *, by: str) -> Done:
    """From now on no call of it is carried, on any wire, until its budget is raised; calls under way end.

    What the policy asks of the bottle besides is done by who works on it; where nobody does, here and now.
    """
    meant = await _meant(house, named)
    _refuse_finished(meant.view)
    account = meant.account
    await asyncio.to_thread(house.wire.budgets().set_cap, "execution", account, NOTHING, hard=True)
    order = Order(policy, Cause.COMMAND, cutting.sentence(meant.shown))
    now = house.clock.now()
    await asyncio.to_thread(house.wire.cuts().write, account, order, at=now, by=by)
    mine = [each["id"] for each in (await house.wire.status())["wires"] if each["execution"] == account]
    for wire in mine:
        await house.wire.cut(wire)
    if meant.view is not None:
        carried = await _execution(house, engine, meant.view)
    else:
        carried = await _bottle(house, meant)
    return Done(meant, len(mine), carried)


def _refuse_finished(view: ExecutionView | None) -> None:
    if view is not None and view.state in FINISHED:
        raise errors.Conflict(
            f"{view.id} is {view.state.lower()}: it calls nobody any more",
            subject=view.id,
            next_moves=(f"boatwright wire show {view.id}",),
        )


async def _execution(house: House, engine: Engine, view: ExecutionView) -> bool:
    """A turn that lives ends by itself, wherever it is worked on. Without one there is at most an archive to let go."""
    if await asyncio.to_thread(engine.turns.live, view.id):
        return False
    cut = await asyncio.to_thread(house.wire.cuts().of, view.id)
    if cut is None or cut.done:
        return True
    slug = bottles.slug_of(view.id)
    if cut.policy is CutPolicy.KILL and await asyncio.to_thread(_is_kept, house, view.id, slug):
        await bottles.let_go(house, slug)
        gone = BottleDestroyed(slug=slug, reason="cut")
        key = f"bottle.cut:{cut.at.isoformat()}"
        await asyncio.to_thread(house.ledger.events.append, view.id, gone, key=key)
    await asyncio.to_thread(house.wire.cuts().carried_out, cut)
    return True


def _is_kept(house: House, execution: str, slug: str) -> bool:
    history = house.ledger.events.stream(execution)
    newest = next(
        (
            each.payload
            for each in reversed(history)
            if isinstance(each.payload, BottleFrozen | BottleThawed | BottleDestroyed)
            and each.payload.slug == slug
        ),
        None,
    )
    return isinstance(newest, BottleFrozen | BottleThawed)


async def _bottle(house: House, meant: Named) -> bool:
    """Whoever works on it sees the row; a bottle that nobody holds is dealt with here."""
    if meant.solo is None:
        return False
    until = house.clock.monotonic() + PATIENCE
    while house.clock.monotonic() < until:
        await solo_cut.finish_all(house)
        cut = await asyncio.to_thread(house.wire.cuts().of, meant.account)
        if cut is None or cut.done or not cut.policy.ends_the_agent:
            return cut is None or cut.done
        await asyncio.sleep(_POLL)
    return False


# --- taking it back ---


@dataclass(frozen=True, slots=True)
class Raised:
    """The new cap. ``bottle``: that of its bottle, which was narrower, is as wide now."""

    named: Named
    cap: Cap
    bottle: bool


async def raise_budget(house: House, engine: Engine, named: str, budget: Cap, *, by: str) -> Raised:
    """Set the cap of an execution, or of a bottle by itself, anew; what was cut carries calls again."""
    return await raise_named(house, engine, await asyncio.to_thread(find, house, named), budget, by=by)


async def raise_named(house: House, engine: Engine, meant: Named, budget: Cap, *, by: str) -> Raised:
    if meant.view is not None:
        cap = await commands.raise_budget(house, engine, meant.view.id, budget=budget, by=by)
    else:
        cap = await _raise_bottle(house, meant, budget)
    return Raised(meant, cap, await asyncio.to_thread(_widen, house, meant, cap))


async def _raise_bottle(house: House, meant: Named, budget: Cap) -> Cap:
    request.refuse_empty(budget, None)
    cap = house.settings.refuse_above_ceiling(budget)
    if meant.solo is not None:  # what a kill left half torn down cannot be gone on with
        await solo_cut.finish_unheld(house, meant.solo.slug)
    await asyncio.to_thread(house.wire.budgets().set_cap, "execution", meant.account, cap, hard=True)
    await asyncio.to_thread(house.wire.cuts().lift, meant.account)
    return cap


def _widen(house: House, meant: Named, cap: Cap) -> bool:
    """A cap of the bottle's own below the raised one would stop it again at once."""
    budgets = house.wire.budgets()
    slug = bottles.slug_of(meant.account) if meant.view else meant.shown
    key = charging.account_of(meant.account, slug)
    wide = bottle_cap.lifted(budgets.cap("bottle", key, daily=False), cap)
    if wide is None:
        return False
    hard = all(each.hard for each in budgets.standing("bottle", key) if not each.period)
    budgets.set_cap("bottle", key, wide, hard=hard)
    return True
