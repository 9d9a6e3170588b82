"""Which switch is in the way, and what is said of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from boatwright.rules import parking, switching
from boatwright.values.register import Switch


def switch(scope: str, off: bool, reason: str = "") -> Switch:
    return Switch(scope, off, reason, "me", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("switches", "scope"),
    [
        ([], None),
        ([switch("*", False)], None),
        ([switch("tool-1", False), switch("*", False)], None),
        ([switch("tool-2", True)], None),
        ([switch("tool-1", True)], "tool-1"),
        ([switch("tool-1", True), switch("*", False)], "tool-1"),
        ([switch("tool-1", False), switch("*", True)], "*"),
        ([switch("tool-1", True), switch("*", True)], "*"),
    ],
)
def test_which_switch_is_in_the_way(switches: list[Switch], scope: str | None) -> None:
    found = switching.off(switches, "tool-1")
    assert (found.scope if found else None) == scope


def test_what_is_said_of_it() -> None:
    everything, one = switch("*", True, "it burns"), switch("tool-1", True)
    assert switching.sentence(everything) == "Boatwright is switched off by me: it burns"
    assert switching.moves(everything)[-1] == "boatwright switch on"
    assert switching.sentence(one) == "the repository tool-1 is switched off by me"
    assert switching.moves(one)[-1] == "boatwright switch on --repo tool-1"


def test_who_is_parked_by_it_is_told_how_to_go_on() -> None:
    moves = parking.next_moves(switching.CODE, "ex-1", switching.moves(switch("*", True)))
    assert moves == ("boatwright switch show", "boatwright switch on", "boatwright resume ex-1")
