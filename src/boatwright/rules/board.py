"""The board of live bottles: which of them stand on it, in what order, and how their budgets read.

``used`` was charged, ``held`` is reserved by calls under way, ``left`` is what may still be held. Which budgets bind
is :func:`rules.budget.binding`'s word: those of the nearest scope that has a cap govern, hard ones bind besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from boatwright.rules import budget as rule
from boatwright.rules.budget import NANO, Account
from boatwright.values.solo import SoloState
from boatwright.values.state import FINISHED, State

USD, TOKENS = "USD", "tokens"
INTERRUPTED = "interrupted"
"""The state of a bottle that says it works and that no living process holds: its process was killed."""

_AT_EASE = frozenset({"finished", "failed"})
"""Ends of an agent's run after which nothing of it waits to go on."""


class Place(StrEnum):
    """Where a bottle stands on the board; the order of showing."""

    WORKING = "working"  # something goes on in it, or its wire is open
    STOPPED = "stopped"  # it can go on, and waits for somebody to say so
    RESTING = "resting"  # delivered, frozen or done: shown when asked for


PLACES = tuple(Place)


@dataclass(frozen=True, slots=True)
class Meter:
    """One unit of one cap, in dollars or tokens."""

    unit: str
    used: Decimal
    held: Decimal
    cap: Decimal
    left: Decimal

    @property
    def taken(self) -> Decimal:
        """The part of the cap that is used or held, between 0 and 1. Of a cap of nothing: all of it."""
        return _share(self.used + self.held, self.cap)


@dataclass(frozen=True, slots=True)
class Binding:
    """One cap that binds a bottle's calls. ``governs``: it belongs to the nearest scope that has one."""

    scope: str
    key: str
    period: str
    """Empty: for all time; else the UTC day."""
    hard: bool
    governs: bool
    cut: bool
    """Nothing at all may be spent: somebody cut it."""
    meters: tuple[Meter, ...]

    @property
    def taken(self) -> Decimal:
        return max((meter.taken for meter in self.meters), default=Decimal(0))


def bindings(chain: Sequence[Account]) -> tuple[Binding, ...]:
    """Every cap that binds a call of this chain, the nearest scope first."""
    bound = rule.binding(chain)
    return tuple(
        Binding(
            scope=account.scope.value,
            key=account.key,
            period=account.period,
            hard=account.hard,
            governs=account.scope is bound[0].scope,
            cut=account.limit_usd == 0 and account.limit_tokens == 0,
            meters=_meters(account),
        )
        for account in bound
    )


def tightest(bound: Sequence[Binding]) -> Binding | None:
    """The cap that stops the bottle first: of which the largest part is taken; of equals the nearest."""
    return max(bound, key=lambda one: one.taken, default=None)


def of_execution(state: State, *, wire: bool) -> Place | None:
    """Where an execution's bottle stands; None: its execution is over, and no wire of it was left open."""
    if wire:
        return Place.WORKING
    if state in FINISHED:
        return None
    return {State.PARKED: Place.STOPPED, State.DELIVERED: Place.RESTING}.get(state, Place.WORKING)


def of_solo(state: str, stop: str, *, wire: bool) -> Place:
    """Where a bottle by itself stands: its state as people see it, and how its agent's newest run ended."""
    if wire or state in {SoloState.STARTING, SoloState.RUNNING}:
        return Place.WORKING
    if state == INTERRUPTED or (state == SoloState.STOPPED and stop not in _AT_EASE):
        return Place.STOPPED
    return Place.RESTING


def seen(state: SoloState, *, held: bool) -> str:
    """A bottle's state as people see it: one that says it runs, and that nobody holds, was cut off by a kill."""
    if held:
        return SoloState.RUNNING
    return INTERRUPTED if state in {SoloState.STARTING, SoloState.RUNNING} else state


def wire_word(cuts: Sequence[bool], *, proxy: bool, cut: bool) -> str:
    """The wire in a word. ``cuts``: of each open wire, whether it refuses everything; ``cut``: its budget does."""
    if cuts and not proxy:
        return "no proxy"
    if any(cuts) or cut:
        return "cut"
    return "open" if cuts else "closed"


# --- how it reads ---


def bar(meter: Meter, width: int) -> str:
    """``[##=.....]``: used, held, left. What there is of each shows where it can; only a full cap fills it."""
    inner = max(1, width - 2)
    used = _marks(_share(meter.used, meter.cap), inner)
    taken = max(used, _marks(meter.taken, inner))
    if meter.held and taken == used:
        taken = max(used, min(used + 1, inner - bool(meter.left)))
    return f"[{'#' * used}{'=' * (taken - used)}{'.' * (inner - taken)}]"


def percent(share: Decimal) -> str:
    """Rounded down, so that 100 % means nothing is left; anything above nothing is at least 1 %."""
    whole = int(share * 100)
    return f"{whole if whole or not share else 1} %"


def amount(value: Decimal, unit: str) -> str:
    """As ``budget show`` and ``wire show`` write it."""
    return f"{value:.4f} USD" if unit == USD else f"{int(value):,} tokens"


def age(seconds: float) -> str:
    """How long ago, in the largest unit that fits."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def _meters(account: Account) -> tuple[Meter, ...]:
    meters = []
    if account.limit_usd is not None:
        meters.append(_meter(USD, account.used.usd, account.held.usd, account.limit_usd, NANO))
    if account.limit_tokens is not None:
        meters.append(_meter(TOKENS, account.used.tokens, account.held.tokens, account.limit_tokens, 1))
    return tuple(meters)


def _meter(unit: str, used: int, held: int, cap: int, per: int) -> Meter:
    left = max(0, cap - used - held)
    return Meter(unit, *(Decimal(each) / per for each in (used, held, cap, left)))


def _share(part: Decimal, whole: Decimal) -> Decimal:
    if whole <= 0:
        return Decimal(1)
    return min(Decimal(1), max(Decimal(0), part / whole))


def _marks(share: Decimal, width: int) -> int:
    marks = int(share * width)
    return marks if marks or not share else 1
