"""The budgets database on SQLite and PostgreSQL: reserve, settle once, charge what a dead proxy left,
never pass a cap.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.egress import booking
from boatwright.egress.booking import Outcome, Payer, Reservation, Reserve, Settle
from boatwright.egress.budget import Budgets, parse_prices
from boatwright.egress.journal import Journal
from boatwright.ledger.database import Database
from boatwright.rules.budget import Need, Short
from boatwright.testing.clock import ManualClock
from boatwright.values.usage import Cap, Usage

TRIALS = int(os.environ.get("BOATWRIGHT_TRIALS", "1500"))
"""Randomised calls per database in the overshoot trial; ``make bench`` and the long runs raise it."""

NOW = datetime(2026, 11, 21, 23, 59, tzinfo=UTC)
PAYER = Payer("ex-1", "repo", "builtin", "bo-1", "base")
NEED = Need(sent_tokens=1_000, most=1_000, least=500, sent_pico=1_000 * 3_000_000, answer_pico=15_000_000)
FULL = 18_000_000  # nano-dollars of NEED


@pytest.fixture
def budgets(database_url: str) -> Iterator[Budgets]:
    opened = Budgets(Database.open(database_url), clock=ManualClock(NOW))
    yield opened
    opened.database.dispose()


def ask(number: int, **changes: Any) -> Reserve:
    given = Reserve(
        id=f"r{number}", payer=PAYER, need=NEED, at=NOW, owner="me", provider="scripted", model="m"
    )
    return replace(given, **changes)


def held(result: Reservation | Short) -> Reservation:
    assert isinstance(result, Reservation)
    return result


def test_reserve_settle_and_the_rows(budgets: Budgets) -> None:
    prices = '{"input":"3","output":"15"}'
    got = held(budgets.reserve(ask(1, purpose="plan", prices=prices, price_table="t 1")))
    assert (got.held.usd, got.held.tokens, got.answer_tokens) == (FULL, 2_000, 1_000)
    usage = Usage(input=10, cache_read=5, cache_write=4, output=3, reasoning=2)
    assert budgets.settle("r1", Outcome("provider", 200, usage, 12_345)) == booking.Settled("r1")
    (row,) = budgets.usage("ex-1")
    assert (row.usage, row.usd, row.source, row.status, row.purpose) == (
        usage, Decimal("0.000012345"), "provider", 200, "plan",
    )  # fmt: skip
    assert (row.reserved_usd, row.reserved_tokens) == (Decimal("0.018"), 2_000)
    assert parse_prices(row) == {"input": "3", "output": "15"} and row.price_table == "t 1"
    assert row.event().usd == row.usd
    for scope, key in (("agent", "builtin"), ("bottle", "bo-1"), ("parent", "base"), ("execution", "ex-1"),
                       ("repository", "repo"), ("host", "*")):  # fmt: skip
        for day in ("", "2026-11-21") if scope in {"agent", "repository", "host"} else ("",):
            used, held_now = budgets.used(scope, key, day=day)
            assert (used.usd, used.tokens, held_now.usd) == (12_345, 22, 0)


def test_the_book_knows_what_a_wire_carries(budgets: Budgets) -> None:
    wire, execution = ask(1).wire, ask(1).payer.execution
    assert budgets.traffic(execution, wire) == (0, 0)
    held(budgets.reserve(ask(1)))
    assert budgets.traffic(execution, wire) == (0, 1)
    assert budgets.traffic(execution, f"{wire}-other") == (0, 0)
    budgets.charge("r1")
    (row,) = budgets.usage(execution)
    assert budgets.traffic(execution, wire) == (row.id, 0) and row.id > 0


def test_settling_again_changes_nothing(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    assert not budgets.settle("r1", Outcome("provider", 200, Usage(input=1), 100)).again
    assert budgets.settle("r1", Outcome("provider", 200, Usage(input=9), 900)).again
    assert budgets.charge("r1").again and budgets.release("r1").again
    assert budgets.release("never heard of").again
    (row,) = budgets.usage("ex-1")
    assert row.usage == Usage(input=1)
    assert budgets.used("execution", "ex-1")[0].usd == 100


def test_released_costs_nothing_and_says_so(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    budgets.release("r1")
    (row,) = budgets.usage("ex-1")
    assert (row.source, row.usd, row.usage.tokens) == ("released", 0, 0)


def test_what_an_owner_left_is_charged_in_full_and_only_that(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    held(budgets.reserve(ask(2, owner="other")))
    assert (budgets.charge_open("me"), budgets.charge_open("me")) == (1, 0)
    (row,) = budgets.usage("ex-1")
    assert (row.source, row.usd, row.usage.tokens) == ("estimate", row.reserved_usd, 2_000)
    assert budgets.owners() == ["other"] and budgets.open_reservations("other") == 1


def test_the_defaults_stand_where_nobody_set_a_cap(budgets: Budgets) -> None:
    assert budgets.cap("execution", "ex-1") == Cap(usd=Decimal(5))
    assert budgets.cap("host", "*") == Cap(usd=Decimal(50))
    assert budgets.cap("agent", "builtin") is None
    short = budgets.reserve(ask(1, need=replace(NEED, sent_pico=5_000_000_000_001)))
    assert isinstance(short, Short) and short.account is not None and short.account.scope == "execution"


@pytest.mark.parametrize("scope", ["agent", "bottle", "parent", "execution", "repository", "host"])
def test_every_scope_can_bind(budgets: Budgets, scope: str) -> None:
    key = dict(PAYER.scopes())[scope]  # type: ignore[index]
    budgets.set_cap(scope, key, Cap(tokens=3_000))
    held(budgets.reserve(ask(1)))
    short = budgets.reserve(ask(2, need=replace(NEED, least=1_000)))
    assert isinstance(short, Short) and short.account is not None and short.account.scope == scope
    standing = budgets.standing(scope, key)[0]
    assert (standing.held_tokens, standing.used_tokens) == (2_000, 0)


def test_a_raise_is_seen_at_once_also_by_another_process_like_writer(budgets: Budgets) -> None:
    budgets.set_cap("execution", "ex-1", Cap(tokens=1_000))
    assert isinstance(budgets.reserve(ask(1)), Short)
    Budgets(budgets.database).set_cap("execution", "ex-1", Cap(tokens=2_000))
    assert held(budgets.reserve(ask(2))).held.tokens == 2_000
    budgets.set_cap("execution", "ex-1", None)
    assert budgets.cap("execution", "ex-1") == Cap(usd=Decimal(5))


def test_a_day_is_utc_and_a_call_is_charged_to_the_day_it_was_reserved(budgets: Budgets) -> None:
    budgets.set_cap("host", "*", Cap(tokens=2_500))
    held(budgets.reserve(ask(1)))
    assert isinstance(budgets.reserve(ask(2, need=replace(NEED, least=900))), Short)
    tomorrow = NOW + timedelta(minutes=2)
    held(budgets.reserve(ask(3, at=tomorrow)))
    budgets.apply([Settle("r1", Outcome("provider", 200, Usage(input=7), 70), tomorrow)])
    assert budgets.used("host", "*", day="2026-11-21")[0].tokens == 7
    assert budgets.used("host", "*", day="2026-11-22")[0].tokens == 0
    assert budgets.used("host", "*", day="2026-11-22")[1].tokens == 2_000


def test_a_daily_cap_set_at_noon_counts_the_morning(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    budgets.set_cap("repository", "repo", Cap(tokens=2_100), daily=True)
    assert isinstance(budgets.reserve(ask(2)), Short)


def test_billing_above_the_bound_is_recorded_and_freezes_the_model(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    assert budgets.settle("r1", Outcome("provider", 200, Usage(input=1, output=9_999), 1)).above
    assert budgets.frozen() == [("scripted", "m")]
    budgets.unfreeze("scripted", "m")
    assert budgets.frozen() == []


def test_usage_after_an_id(budgets: Budgets) -> None:
    for number in range(4):
        held(budgets.reserve(ask(number)))
        budgets.release(f"r{number}")
    rows = budgets.usage("ex-1")
    assert [row.id for row in rows] == sorted(row.id for row in rows)
    assert [row.reservation for row in budgets.usage("ex-1", rows[1].id)] == ["r2", "r3"]
    assert budgets.usage("ex-2") == []


def test_an_unknown_scope_is_one_sentence(budgets: Budgets) -> None:
    with pytest.raises(errors.BadInput, match="is not a budget scope"):
        budgets.set_cap("planet", "*", Cap(tokens=1))
    with pytest.raises(errors.BadInput, match="none per day"):
        budgets.set_cap("execution", "ex-1", Cap(tokens=1), daily=True)


def test_what_was_rolled_back_is_not_remembered(budgets: Budgets) -> None:
    held(budgets.reserve(ask(1)))
    with pytest.raises(Exception, match=r"(?i)unique"):
        budgets.apply([ask(2), ask(1)])
    assert budgets.used("execution", "ex-1")[1].tokens == 2_000
    held(budgets.reserve(ask(2)))
    assert budgets.used("execution", "ex-1")[1].tokens == 4_000


async def test_one_bad_row_does_not_fail_its_neighbours(budgets: Budgets) -> None:
    journal = Journal(budgets)
    held(budgets.reserve(ask(1)))
    results = await asyncio.gather(
        *(journal.submit(ask(number)) for number in (2, 1, 3)), return_exceptions=True
    )
    await journal.close()
    assert [isinstance(result, Reservation) for result in results] == [True, False, True]
    with pytest.raises(errors.StoreUnavailable):
        journal.submit(ask(4))


# --- never past a cap ---


class Trial:
    """64 callers on one journal: some settle, some never send, some vanish, some are cancelled while they
    wait.
    """

    def __init__(self, budgets: Budgets, seed: int) -> None:
        self.budgets = budgets
        self.random = random.Random(seed)
        self.number = 0

    async def run(self, calls: int) -> None:
        self.left = calls
        self.journal = Journal(self.budgets)
        watcher = asyncio.create_task(self.watch())
        await asyncio.gather(*(self.caller() for _ in range(64)))
        watcher.cancel()
        await self.journal.close()

    async def watch(self) -> None:
        while True:
            await asyncio.to_thread(self.check_caps)
            await asyncio.sleep(0.01)

    def check_caps(self) -> None:
        for scope, key in (("execution", "ex-1"), ("agent", "builtin"), ("host", "*")):
            for standing in self.budgets.standing(scope, key):
                taken_usd = standing.used_usd + standing.held_usd
                assert standing.cap.usd is None or taken_usd <= standing.cap.usd
                taken = standing.used_tokens + standing.held_tokens
                assert standing.cap.tokens is None or taken <= standing.cap.tokens

    async def caller(self) -> None:
        while self.left > 0:
            self.left -= 1
            await self.call()

    async def call(self) -> None:
        self.number += 1
        request = self.request(self.number)
        waiting = self.journal.submit(request)
        if self.random.random() < 0.1:
            waiting.cancel()  # the caller is gone; the journal commits all the same
            return
        result = await waiting
        if isinstance(result, Short):
            return
        assert isinstance(result, Reservation)
        await asyncio.sleep(self.random.random() * 0.002)
        if (outcome := self.outcome(request, result)) is not None:
            for _ in range(self.random.choice((1, 1, 2))):
                await self.journal.submit(Settle(request.id, outcome, NOW))

    def request(self, number: int) -> Reserve:
        need = Need(
            sent_tokens=self.random.randint(1, 3_000),
            most=self.random.randint(1, 4_000),
            least=1,
            answers=self.random.choice((1, 1, 1, 3)),
            sent_pico=self.random.randint(0, 3_000) * 6_000_000,
            answer_pico=15_000_000,
        )
        return ask(number, id=f"t{number}", need=need)

    def outcome(self, request: Reserve, got: Reservation) -> Outcome | None:
        kind = self.random.random()
        if kind < 0.1:
            return None  # vanished: charged later
        if kind < 0.2:
            return booking.RELEASED
        if kind < 0.3:
            return booking.CHARGED
        part = self.random.random()
        output = int((got.held.tokens - request.need.sent_tokens) * part)
        return Outcome(
            "provider", 200, Usage(input=request.need.sent_tokens, output=output), int(got.held.usd * part)
        )


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_number_of_callers_passes_a_cap(budgets: Budgets, seed: int) -> None:
    caps = {("execution", "ex-1"): Cap(usd=Decimal(3)), ("agent", "builtin"): Cap(tokens=2_000_000),
            ("host", "*"): Cap(usd=Decimal("2.5"), tokens=1_500_000)}  # fmt: skip
    for (scope, key), cap in caps.items():
        await asyncio.to_thread(budgets.set_cap, scope, key, cap)
    trial = Trial(budgets, seed)
    await trial.run(TRIALS // 2)
    await asyncio.to_thread(budgets.charge_open, "me")
    trial.check_caps()
    rows = await asyncio.to_thread(budgets.usage, "ex-1")
    used, still_held = await asyncio.to_thread(budgets.used, "execution", "ex-1")
    assert (still_held.usd, still_held.tokens, budgets.open_reservations()) == (0, 0, 0)
    assert used.usd == sum(int(row.usd * 10**9) for row in rows)
    assert used.tokens == sum(row.usage.tokens for row in rows)
    assert len({row.reservation for row in rows}) == len(rows)
    assert {"provider", "estimate", "released"} <= {row.source for row in rows}
    assert not budgets.frozen()
