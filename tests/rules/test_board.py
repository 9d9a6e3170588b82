"""Which bottles stand on the board and in what order, what of a budget binds, and how it reads."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import board
from boatwright.rules.board import Meter, Place
from boatwright.rules.budget import Account, Scope
from boatwright.testing.board import account
from boatwright.values.solo import SoloState
from boatwright.values.state import State


def meter(used: int, held: int, cap: int) -> Meter:
    left = max(0, cap - used - held)
    return Meter("tokens", *(Decimal(each) for each in (used, held, cap, left)))


@pytest.mark.parametrize(
    ("state", "wire", "place"),
    [
        (State.PENDING, False, Place.WORKING),
        (State.EXECUTING, False, Place.WORKING),
        (State.VERIFYING, True, Place.WORKING),
        (State.PARKED, False, Place.STOPPED),
        (State.PARKED, True, Place.WORKING),
        (State.DELIVERED, False, Place.RESTING),
        (State.COMPLETED, False, None),
        (State.CANCELLED, False, None),
        (State.FAILED, True, Place.WORKING),
    ],
)
def test_where_an_execution_s_bottle_stands(state: State, wire: bool, place: Place | None) -> None:
    assert board.of_execution(state, wire=wire) is place


@pytest.mark.parametrize(
    ("state", "stop", "wire", "place"),
    [
        ("starting", "", False, Place.WORKING),
        ("running", "", False, Place.WORKING),
        ("interrupted", "", False, Place.STOPPED),
        ("stopped", "budget", False, Place.STOPPED),
        ("stopped", "stopped", False, Place.STOPPED),
        ("stopped", "finished", False, Place.RESTING),
        ("stopped", "failed", False, Place.RESTING),
        ("frozen", "budget", False, Place.RESTING),
        ("frozen", "finished", True, Place.WORKING),
    ],
)
def test_where_a_bottle_by_itself_stands(state: str, stop: str, wire: bool, place: Place) -> None:
    assert board.of_solo(state, stop, wire=wire) is place


@pytest.mark.parametrize(
    ("state", "held", "word"),
    [
        (SoloState.RUNNING, True, "running"),
        (SoloState.RUNNING, False, "interrupted"),
        (SoloState.STARTING, False, "interrupted"),
        (SoloState.STOPPED, True, "running"),
        (SoloState.STOPPED, False, "stopped"),
        (SoloState.FROZEN, False, "frozen"),
    ],
)
def test_a_bottle_that_nobody_holds_does_not_run(state: SoloState, held: bool, word: str) -> None:
    assert board.seen(state, held=held) == word


@pytest.mark.parametrize(
    ("cuts", "proxy", "cut", "word"),
    [
        ([], True, False, "closed"),
        ([], False, False, "closed"),
        ([False], True, False, "open"),
        ([False, True], True, False, "cut"),
        ([False], True, True, "cut"),
        ([], True, True, "cut"),
        ([False], False, False, "no proxy"),
    ],
)
def test_the_wire_in_a_word(cuts: list[bool], proxy: bool, cut: bool, word: str) -> None:
    assert board.wire_word(cuts, proxy=proxy, cut=cut) == word


OWN = account(Scope.EXECUTION, "e", 5, used=(1, 0), held=(1, 0), hard=True)
HOST = account(Scope.HOST, "*", 50, period="2026-01-02", used=(45, 0), hard=True)
AGENT = account(Scope.AGENT, "claude", None, 1_000, used=(0, 10))
SOFT = account(Scope.REPOSITORY, "r", 1, used=(1, 0))
CUT = account(Scope.EXECUTION, "e", 0, 0, hard=True)


@pytest.mark.parametrize(
    ("chain", "told", "tightest"),
    [
        ([], [], None),
        ([OWN, HOST], [("execution", True), ("host", False)], "host"),
        ([AGENT, OWN, SOFT, HOST], [("agent", True), ("execution", False), ("host", False)], "host"),
        ([OWN, SOFT], [("execution", True)], "execution"),
        ([CUT, HOST], [("execution", True), ("host", False)], "execution"),
    ],
)
def test_what_binds_who_governs_and_what_stops_it_first(
    chain: list[Account], told: list[tuple[str, bool]], tightest: str | None
) -> None:
    bound = board.bindings(chain)
    assert [(each.scope, each.governs) for each in bound] == told
    found = board.tightest(bound)
    assert (found.scope if found else None) == tightest


def test_a_cap_in_both_units_has_a_meter_for_each() -> None:
    (bound,) = board.bindings([account(Scope.EXECUTION, "e", 2, 1_000, used=(0.5, 400), held=(0.25, 100))])
    usd, tokens = bound.meters
    assert (usd.unit, usd.used, usd.held, usd.left) == (
        "USD",
        Decimal("0.5"),
        Decimal("0.25"),
        Decimal("1.25"),
    )
    assert (tokens.unit, tokens.used, tokens.held, tokens.left) == ("tokens", 400, 100, 500)
    assert bound.taken == Decimal("0.5") and not bound.cut


def test_cut_is_a_cap_of_nothing_in_both_units() -> None:
    (bound,) = board.bindings([CUT])
    assert bound.cut and bound.taken == 1
    (bound,) = board.bindings([account(Scope.EXECUTION, "e", 0)])
    assert not bound.cut and bound.taken == 1


@pytest.mark.parametrize(
    ("used", "held", "cap", "drawn", "said"),
    [
        (0, 0, 100, "[..........]", "0 %"),
        (1, 0, 1_000, "[#.........]", "1 %"),
        (0, 1, 1_000, "[=.........]", "1 %"),
        (20, 30, 100, "[##===.....]", "50 %"),
        (999, 0, 1_000, "[#########.]", "99 %"),
        (100, 0, 100, "[##########]", "100 %"),
        (150, 0, 100, "[##########]", "100 %"),
        (0, 0, 0, "[##########]", "100 %"),
    ],
)
def test_a_bar_and_its_percent(used: int, held: int, cap: int, drawn: str, said: str) -> None:
    one = meter(used, held, cap)
    assert (board.bar(one, 12), board.percent(one.taken)) == (drawn, said)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 80))
def test_a_bar_has_its_width_and_is_full_only_when_nothing_is_left(
    used: int, held: int, cap: int, width: int
) -> None:
    one = meter(used, held, cap)
    drawn = board.bar(one, width)
    assert len(drawn) == max(3, width)
    if len(drawn) > 3:
        assert ("." not in drawn) == (one.left == 0)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (3_599, "59 min"), (7_300, "2 h"), (200_000, "2 d")],
)
def test_an_age(seconds: float, said: str) -> None:
    assert board.age(seconds) == said


def test_amounts_read_as_elsewhere() -> None:
    assert board.amount(Decimal("0.31244"), "USD") == "0.3124 USD"
    assert board.amount(Decimal(84_210), "tokens") == "84,210 tokens"
