"""Which policy holds, what a second cut does to a first, when going on lifts one; and caps of bottles by manifest."""

from __future__ import annotations

from decimal import Decimal

import pytest

from boatwright.rules import bottle_cap, budget, cutting
from boatwright.rules.budget import Account, Amount, Scope, Short
from boatwright.rules.cutting import Order
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.usage import Cap

CUTOFF, FREEZE, KILL = CutPolicy


def test_policies_stand_in_order_and_the_strictest_of_several_holds() -> None:
    assert CUTOFF.strictness < FREEZE.strictness < KILL.strictness
    assert (CUTOFF.ends_the_agent, FREEZE.ends_the_agent, KILL.ends_the_agent) == (False, True, True)
    assert cutting.strictest([FREEZE, KILL, CUTOFF]) is KILL
    assert cutting.strictest([]) is CUTOFF


EMPTY, PERSON = Cause.EXHAUSTED, Cause.COMMAND


@pytest.mark.parametrize(
    ("standing", "new", "after", "again"),
    [
        (None, (CUTOFF, EMPTY), (CUTOFF, EMPTY), True),
        ((CUTOFF, EMPTY), (CUTOFF, EMPTY), (CUTOFF, EMPTY), False),
        ((CUTOFF, EMPTY), (KILL, PERSON), (KILL, PERSON), True),
        ((KILL, EMPTY), (CUTOFF, PERSON), (KILL, PERSON), False),
        ((FREEZE, PERSON), (CUTOFF, EMPTY), (FREEZE, PERSON), False),
        ((CUTOFF, PERSON), (FREEZE, EMPTY), (FREEZE, PERSON), True),
    ],
)
def test_a_cut_is_never_made_milder_and_a_person_s_word_stays(
    standing: tuple[CutPolicy, Cause] | None,
    new: tuple[CutPolicy, Cause],
    after: tuple[CutPolicy, Cause],
    again: bool,
) -> None:
    before = Order(*standing, "before") if standing else None
    merged = cutting.merged(before, Order(*new, "new"))
    assert (merged.policy, merged.cause) == after
    assert merged.sentence == ("before" if standing and standing[1] is PERSON and new[1] is EMPTY else "new")
    assert cutting.again(before, merged, done=before is not None) is again
    assert cutting.again(before, merged, done=False)


@pytest.mark.parametrize(
    ("cause", "done", "lifted"),
    [(EMPTY, True, True), (EMPTY, False, False), (PERSON, True, False), (PERSON, False, False)],
)
def test_going_on_lifts_an_empty_budget_that_was_dealt_with(cause: Cause, done: bool, lifted: bool) -> None:
    assert cutting.lifted_by_going_on(cause, done) is lifted


def short(kind: str, **account: object) -> Short:
    return Short(kind, Account(Scope.EXECUTION, "k", **account), Amount(10, 100))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "exhausted"),
    [
        (short("usd", limit_usd=30, used=Amount(25, 0)), True),
        (short("usd", limit_usd=30, used=Amount(5, 0), held=Amount(20, 0)), False),
        (short("tokens", limit_tokens=150, used=Amount(0, 51)), True),
        (short("tokens", limit_tokens=150, used=Amount(0, 50), held=Amount(0, 9)), False),
        (short("usd", limit_usd=0, limit_tokens=0), True),
        (short("price", limit_usd=0), False),
        (short("login", limit_usd=0), False),
        (Short("none", None), False),
    ],
)
def test_what_only_comes_too_early_exhausts_nothing(found: Short, exhausted: bool) -> None:
    assert budget.exhausted(found) is exhausted


def usd(amount: int) -> Cap:
    return Cap(usd=Decimal(amount))


@pytest.mark.parametrize(
    ("named", "run", "cap"),
    [
        ([], usd(5), None),
        ([usd(2)], usd(5), None),  # a person asked for more, by flag or by a raise
        ([usd(2)], usd(2), usd(2)),
        ([usd(4)], usd(3), usd(4)),
        ([usd(2), usd(1)], usd(1), usd(2)),  # the nearest says it
        ([Cap(tokens=9), usd(2)], usd(2), Cap(usd=Decimal(2), tokens=9)),
        ([Cap(usd=Decimal(2), tokens=9)], Cap(usd=Decimal(5), tokens=9), Cap(tokens=9)),
        ([usd(2)], None, usd(2)),
    ],
)
def test_what_manifests_say_of_a_bottle(named: list[Cap], run: Cap | None, cap: Cap | None) -> None:
    assert bottle_cap.of_manifests(named, run) == cap


@pytest.mark.parametrize(
    ("bottle", "raised", "cap"),
    [
        (None, usd(8), None),
        (usd(2), usd(8), usd(8)),
        (usd(9), usd(8), None),
        (Cap(tokens=5), usd(8), None),
        (Cap(usd=Decimal(2), tokens=5), usd(8), Cap(usd=Decimal(8), tokens=5)),
    ],
)
def test_a_raise_widens_a_narrower_cap_of_the_bottle(
    bottle: Cap | None, raised: Cap, cap: Cap | None
) -> None:
    assert bottle_cap.lifted(bottle, raised) == cap
