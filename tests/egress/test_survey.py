"""Many payers at a glance: the numbers are those of the book, and the look costs the same however long the history."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event, text

from boatwright.egress.booking import Denied, Outcome, Payer, Reserve
from boatwright.egress.budget import Budgets
from boatwright.egress.survey import MOST_CALLS, Survey
from boatwright.rules.budget import Amount, Need, Scope
from boatwright.values.usage import Cap, Usage

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NEED = Need(sent_tokens=1_000, most=1_000, least=500, sent_pico=1_000_000, answer_pico=1_000_000)
HELD = Amount(NEED.amount(1_000).usd, 2_000)


@pytest.fixture
def budgets(database_url: str) -> Iterator[Budgets]:
    opened = Budgets.open(database_url)
    opened.set_cap("host", "*", Cap(usd=Decimal(50)))
    yield opened
    opened.database.dispose()


def call(budgets: Budgets, payer: Payer, number: int, at: datetime, *, ends: bool = True) -> None:
    name = f"{payer.execution}-{number}"
    budgets.reserve(Reserve(id=name, payer=payer, need=NEED, at=at, provider="scripted", model="m"))
    if ends:
        usage = Usage(input=90, output=10)
        budgets.settle(name, Outcome("provider", 200, usage, 1_000_000))


def denied(execution: str, target: str, *, wire: str = "build-1", place: str = "here") -> Denied:
    return Denied(place, f"{execution}-{wire}", execution, "denied", target, "no", NOW)


def test_each_payer_s_chain_is_what_the_book_knows(budgets: Budgets) -> None:
    mine = Payer("ex-1", "repo", "claude", "ex-1-agent", "base")
    other = Payer("alone.1", "", "builtin")
    budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(2), tokens=100_000))
    budgets.set_cap("agent", "claude", Cap(tokens=5_000), daily=True)
    budgets.set_cap("bottle", "ex-1-agent", Cap(usd=Decimal(1)), hard=False)
    call(budgets, mine, 1, NOW)
    call(budgets, mine, 2, NOW, ends=False)
    one, two = Survey(budgets.database, "here").of([mine, other], NOW)
    assert [(each.scope, each.key, each.period, each.hard) for each in one.chain] == [
        (Scope.AGENT, "claude", "2026-11-21", True),
        (Scope.BOTTLE, "ex-1-agent", "", False),
        (Scope.EXECUTION, "ex-1", "", True),
        (Scope.HOST, "*", "2026-11-21", True),
    ]
    assert {(each.used, each.held) for each in one.chain} == {(Amount(1_000_000, 100), HELD)}
    assert (one.used, one.held) == (Amount(1_000_000, 100), HELD)
    assert [(each.scope, each.limit_usd) for each in two.chain] == [
        (Scope.EXECUTION, 5_000_000_000),
        (Scope.HOST, 50_000_000_000),
    ]
    assert two.used == Amount() and two.chain[1].used == Amount(1_000_000, 100)


def test_yesterday_s_calls_do_not_count_for_today(budgets: Budgets) -> None:
    payer = Payer("ex-1")
    call(budgets, payer, 1, NOW - timedelta(days=1))
    (one,) = Survey(budgets.database, "here").of([payer], NOW)
    assert [each.used.tokens for each in one.chain] == [100, 0]


def test_calls_of_the_last_minute_are_counted_up_to_a_bound(budgets: Budgets) -> None:
    payer, survey = Payer("ex-1"), Survey(budgets.database, "here")
    for number in range(MOST_CALLS + 20):
        call(budgets, payer, number, NOW)
    with budgets.database.write() as connection:
        connection.execute(
            text("UPDATE budget_usage SET at = :old"), {"old": "2026-11-21T11:58:00.000000+00:00"}
        )
    assert survey.of([payer], NOW)[0].calls == 0
    with budgets.database.write() as connection:
        newest = "SELECT id FROM budget_usage ORDER BY id DESC LIMIT 7"
        connection.execute(
            text(f"UPDATE budget_usage SET at = :new WHERE id IN ({newest})"),
            {"new": "2026-11-21T11:59:30.000000+00:00"},
        )
    assert survey.of([payer], NOW)[0].calls == 7
    with budgets.database.write() as connection:
        connection.execute(
            text("UPDATE budget_usage SET at = :new"), {"new": "2026-11-21T11:59:30.000000+00:00"}
        )
    assert survey.of([payer], NOW)[0].calls == MOST_CALLS


def test_what_was_refused_is_counted_for_this_place_and_told_newest_first(budgets: Budgets) -> None:
    budgets.apply([denied("ex-1", "a.example:443"), denied("ex-1", "a.example:443")])
    budgets.apply([denied("ex-1", "b.example:443", wire="build-2"), denied("ex-2", "c.example:443")])
    budgets.apply([denied("ex-1", "d.example:443", place="elsewhere")])
    survey = Survey(budgets.database, "here")
    assert [each.refused for each in survey.of([Payer("ex-1"), Payer("ex-2"), Payer("ex-3")], NOW)] == [
        3,
        1,
        0,
    ]
    assert {(each.target, each.count) for each in survey.denials("ex-1", 10)} == {
        ("a.example:443", 2),
        ("b.example:443", 1),
    }
    assert len(survey.denials("ex-1", 1)) == 1


def test_the_newest_calls_come_first(budgets: Budgets) -> None:
    for number in range(5):
        call(budgets, Payer("ex-1"), number, NOW)
    found = Survey(budgets.database, "here").calls("ex-1", 3)
    assert [row.reservation for row in found] == ["ex-1-4", "ex-1-3", "ex-1-2"]


def test_a_look_costs_the_same_however_long_the_history(budgets: Budgets) -> None:
    payers = [Payer(f"ex-{number}", "repo", "claude", f"ex-{number}-agent") for number in range(40)]
    survey = Survey(budgets.database, "here")
    statements: list[str] = []
    event.listen(
        budgets.database.engine,
        "after_cursor_execute",
        lambda _c, _x, statement, *_: statements.append(statement),
    )

    def looked() -> int:
        statements.clear()
        survey.of(payers, NOW)
        return len([each for each in statements if "SELECT" in each])

    before = looked()
    for number in range(1_000):
        budgets.set_cap("execution", f"old-{number}", Cap(usd=Decimal(1)))
    with budgets.database.write() as connection:
        connection.execute(
            text("INSERT INTO budget_usage (reservation, execution, id) VALUES (:r, :e, :i)"),
            [{"r": f"r{n}", "e": f"ex-{n % 60}", "i": n} for n in range(3_000)],
        )
        connection.execute(
            text(
                "INSERT INTO wire_denials (place, wire, kind, target, execution) VALUES ('here', :w, 'k', 't', :e)"
            ),
            [{"w": f"w{n}", "e": f"old-{n}"} for n in range(3_000)],
        )
    assert looked() == before == 3


def test_the_rows_are_found_by_index(budgets: Budgets) -> None:
    if budgets.database.dialect != "sqlite":
        with budgets.database.read() as connection:
            found = connection.execute(
                text("SELECT indexname FROM pg_indexes WHERE tablename = 'wire_denials'")
            )
            assert "wire_denials_execution" in set(found.scalars())
        return
    plans: list[str] = []

    def explain(connection: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.lstrip().startswith("SELECT"):
            raw = budgets.database.engine.raw_connection()
            rows = raw.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.extend(row[3] for row in rows)
            raw.close()

    event.listen(budgets.database.engine, "before_cursor_execute", explain)
    Survey(budgets.database, "here").of([Payer("ex-1"), Payer("ex-2")], NOW)
    tables = [plan for plan in plans if plan.startswith(("SCAN", "SEARCH"))]
    assert [plan for plan in tables if plan.startswith("SCAN")] == ["SCAN newest"]
    assert any("budget_usage_execution" in plan for plan in tables)
    assert any("wire_denials_execution" in plan for plan in tables)


def test_a_database_of_before_gets_the_index(database_url: str) -> None:
    first = Budgets.open(database_url)
    with first.database.write() as connection:
        connection.execute(text("DROP INDEX wire_denials_execution"))
    first.database.dispose()
    again = Budgets.open(database_url)
    again.apply([denied("ex-1", "a.example:443")])
    assert Survey(again.database, "here").of([Payer("ex-1")], NOW)[0].refused == 1
    with again.database.write() as connection:
        connection.execute(text("DROP INDEX wire_denials_execution"))  # it is there, else this fails
    again.database.dispose()
