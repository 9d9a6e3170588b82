"""What people read while work goes on, when it stopped, and when it is proposed: enough to act on, and nothing of the host."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

import pytest
from tests.rules.test_texts import PLAN

from boatwright.rules import explaining, standing_text
from boatwright.rules.parking import HIDDEN, IN_SHORT, NEXT_MOVES, PUBLIC
from boatwright.values.execution import ExecutionView


@dataclass(frozen=True)
class View:
    id: str = "ex-1"
    state: str = "PARKED"
    stage: str = "build"
    parked_code: str | None = None
    reason: str | None = None
    next_moves: tuple[str, ...] = ()
    usd: Decimal = Decimal("0.50")
    tokens: int = 1_200
    budget: str = "5 USD"
    pull_request: int | None = None
    ready: bool = False
    head: str | None = None
    checks_failed: str = ""
    waits_for: tuple[str, ...] = ()


def view(**words: Any) -> ExecutionView:
    return cast("ExecutionView", View(**words))


def test_while_it_works_people_see_the_plan_the_cost_and_where_to_look() -> None:
    said = standing_text.working(view(), PLAN, commands=True)
    assert said.split("\n\n")[0] == "**Working on it**: the plan is made."
    assert "1. edit `src/a.py`: \\`pages\\` keeps it" in said
    assert "So far 0.5000 USD and 1,200 tokens of 5 USD." in said
    assert "`/boatwright retry`" in said and said.endswith("`boatwright show ex-1`")


def test_a_forge_that_hears_no_commands_offers_none() -> None:
    assert "/boatwright" not in standing_text.working(view(), PLAN, commands=False)


def test_stopped_it_says_why_and_what_next_with_no_word_that_does_something() -> None:
    parked = view(
        parked_code="no_change", reason="the agent left <!-- x --> no change, @team. Closes #9",
        next_moves=("boatwright retry ex-1 --from build",),
    )  # fmt: skip
    said = standing_text.stopped(parked, None, commands=True)
    assert (
        said.startswith("**Stopped** (`no_change`): the agent left")
        and "- `boatwright retry ex-1 --from build`" in said
    )
    assert "\\<!--" in said and "@team" not in said and "Closes #9" not in said


@pytest.mark.parametrize("code", sorted({*NEXT_MOVES, "something new"} - PUBLIC))
def test_what_is_wrong_with_the_host_is_not_told_to_everybody(code: str) -> None:
    parked = view(
        parked_code=code,
        reason="/srv/secret-place: env:COMPANY_KEY is not set",
        next_moves=("chmod 600 /srv/secret-place",),
    )
    for said in (standing_text.stopped(parked, PLAN, commands=True), explaining.text(parked)):
        assert "COMPANY_KEY" not in said and "/srv" not in said and IN_SHORT.get(code, HIDDEN) in said


@pytest.mark.parametrize(
    ("ready", "words"), [(True, "a pull request, ready for review"), (False, "a draft pull request")]
)
def test_proposed_it_says_where(ready: bool, words: str) -> None:
    said = standing_text.proposed(view(), "agent/7-x", ready=ready)
    assert words in said and "`agent/7-x`" in said
