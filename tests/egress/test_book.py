"""The book's shortcut against the rule it stands for, and a hold whose caller leaves while it waits."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.egress import book
from boatwright.egress.booking import Payer, Reserve
from boatwright.egress.hold import Hold
from boatwright.rules import budget
from boatwright.rules.budget import Account, Amount, Need, Scope
from boatwright.values.usage import Cap

amounts = st.integers(0, 3_000)
limits = st.none() | st.integers(0, 9_000)
caps = st.builds(Account, st.sampled_from(Scope), st.just("k"), st.just(""), limits, limits, st.booleans())
booked = st.tuples(amounts, amounts, amounts, amounts).map(list)
needs = st.builds(
    Need, amounts, st.integers(1, 900), st.integers(1, 900), st.integers(1, 4),
    st.none() | st.integers(0, 3_000_000), st.none() | st.integers(0, 3_000),
)  # fmt: skip


@given(st.lists(st.tuples(caps, booked), max_size=4), needs)
def test_the_shortcut_grants_what_the_rule_grants(chain: list[tuple[Account, list[int]]], need: Need) -> None:
    found = book.whole(chain, need)
    accounts = [
        replace(cap, used=Amount(have[0], have[1]), held=Amount(have[2], have[3])) for cap, have in chain
    ]
    if found is not None:
        assert found == budget.grant(accounts, need)


def test_the_shortcut_is_taken_up_to_the_last_token_and_no_further() -> None:
    need = Need(sent_tokens=1_000, most=4_000, least=1_024)
    cap = Account(Scope.EXECUTION, "k", limit_tokens=6_000)
    assert book.whole([(cap, [0, 900, 0, 100])], need) is not None
    assert book.whole([(cap, [0, 900, 0, 101])], need) is None
    assert book.whole([], need) is None


def test_a_moment_and_its_day_are_utc() -> None:
    late = datetime.fromisoformat("2026-11-21T23:30:00-02:00")
    assert book.stamp(late) == "2026-11-22T01:30:00.000000+00:00"
    assert book.day_of(late) == book.stamp(late)[:10] == "2026-11-22"
    now = datetime.now(UTC)
    assert book.day_of(now) == book.stamp(now)[:10]


@pytest.mark.parametrize("fits", [True, False])
async def test_a_caller_that_leaves_while_it_waits_holds_nothing(
    bench: Any, monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    if not fits:
        await asyncio.to_thread(bench.budgets.set_cap, "execution", "ex-1", Cap(tokens=1))
    entered, go_on, apply = asyncio.Event(), threading.Event(), bench.budgets.apply
    loop = asyncio.get_running_loop()

    def slowly(operations: Any) -> Any:
        loop.call_soon_threadsafe(entered.set)
        go_on.wait()
        return apply(operations)

    monkeypatch.setattr(bench.budgets, "apply", slowly)
    request = Reserve(
        "r1", Payer("ex-1"), Need(10, 10, 10, 1, 0, 0), datetime.now(UTC), owner="me", provider="scripted"
    )

    async def call() -> None:
        async with Hold(bench.proxy, request):
            raise AssertionError("it was cancelled before it had a reservation")

    caller = asyncio.create_task(call())
    try:
        await entered.wait()
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
    finally:
        go_on.set()
    await bench.proxy._booked()
    rows = await asyncio.to_thread(bench.budgets.usage, "ex-1")
    assert [row.source for row in rows] == (["released"] if fits else [])
    assert await asyncio.to_thread(bench.budgets.open_reservations) == 0
