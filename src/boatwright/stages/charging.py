"""Who pays for what a bottle's agent asks: its own budget, those of the bottles it extends, its run's."""

from __future__ import annotations

from boatwright.rules import bottle_cap
from boatwright.rules.budget import Scope
from boatwright.rules.composed import Composed
from boatwright.stages.house import House
from boatwright.stages.wiring import Charge, Payer


def account_of(payer: str, slug: str) -> str:
    """The key of a bottle's own budget: a name that is used again must not inherit a bill."""
    return slug if slug.startswith("ex-") else payer


def of(house: House, payer: Payer, composed: Composed, slug: str) -> Charge:
    """The charge of a bottle; what its manifests say of its budget becomes its cap, unless it has one. Blocks."""
    account = account_of(payer.id, slug)
    parents = tuple(each.account(payer.repository) for each in composed.parents)
    _set_cap(house, payer.id, account, composed)
    return Charge(slug, account, parents, composed.effective.shutdown)


def _set_cap(house: House, payer: str, account: str, composed: Composed) -> None:
    """Soft: it governs where nothing nearer has a cap, and the hard ones bind besides."""
    named = [each.cap for each in composed.budgets if each.scope == "bottle"]
    budgets = house.wire.budgets()
    if not named or budgets.cap(Scope.BOTTLE, account) is not None:
        return
    cap = bottle_cap.of_manifests(named, budgets.cap(Scope.EXECUTION, payer))
    if cap is not None:
        budgets.set_cap(Scope.BOTTLE, account, cap, hard=False)
