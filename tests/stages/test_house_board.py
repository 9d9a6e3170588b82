"""The board of a house: every kind of bottle in its place, its numbers those of the book, whatever is broken."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.egress.booking import Denied, Outcome, Reserve
from boatwright.egress.spec import WireSpec
from boatwright.egress.wires import Wires, place
from boatwright.rules.board import Place
from boatwright.rules.budget import Need
from boatwright.stages import board as board_module
from boatwright.stages import bottles
from boatwright.stages.board import AWAY, RUNS, Proxy, Watch, ask_proxy
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.solo import Solo, SoloEnd, SoloState
from boatwright.values.usage import Cap, Usage

NOW = datetime.now(UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    root = tmp_path / "state"
    opened = House.open(
        state=StateDir(root), environment={"PATH": os.defpath, "BOATWRIGHT_STATE": str(root)}, producer="test"
    )
    opened.wire.budgets().set_cap("host", "*", Cap(usd=Decimal(50)))
    yield opened
    opened.close()


def execution(house: House, name: str, *moves: events.Payload, **changes: Any) -> None:
    house.ledger.events.append(name, samples.requested(**changes), key="request")
    for number, payload in enumerate(moves):
        house.ledger.events.append(name, payload, key=str(number))


def parked(reason: str) -> events.FeatureParked:
    return events.FeatureParked(code="budget", reason=reason, next_moves=(), stage="build")


def solo(house: House, slug: str, **changes: Any) -> Solo:
    usual: dict[str, Any] = {
        "slug": slug, "account": f"{slug}.1", "agent": "claude", "provider": "claude", "bottles": None,
        "model": "scripted:x", "budget": Cap(usd=Decimal(2)), "created": NOW, "state": SoloState.STOPPED,
    }  # fmt: skip
    record = Solo(**{**usual, **changes})
    records = Records(house.state, house.clock)
    made, hold = records.claim(slug, lambda _: record)
    hold.__exit__(None, None, None)
    return made


def end(stop: str, detail: str = "") -> SoloEnd:
    return SoloEnd(stop=stop, detail=detail, at=NOW)


def opened(house: House, spec: WireSpec) -> None:
    Wires(house.wire.budgets().database, place(house.state)).save(spec, NOW)


def said(*specs: WireSpec, cut: bool = False, connections: int = 1) -> Proxy:
    wires = (
        {"id": spec.id, "execution": spec.execution, "cut": cut, "connections": connections} for spec in specs
    )
    return Proxy(RUNS, tuple(wires))


def look(house: House, proxy: Proxy | None = None, **more: Any) -> board_module.Board:
    return Watch(house).look(proxy or Proxy(AWAY), **more)


def test_nothing_yet(house: House) -> None:
    board = look(house)
    assert (board.rows, board.resting, board.beyond, board.proxy) == ((), 0, 0, AWAY)
    assert [(each.scope, each.meters[0].cap) for each in board.host] == [("host", 50)]


def test_each_bottle_stands_in_its_place_and_what_rests_is_counted(house: House) -> None:
    execution(house, "ex-working")
    execution(house, "ex-parked", parked("used 5, needed 6, cap 5"))
    execution(house, "ex-over", events.FeatureCancelled(reason="no", by="ann"))
    solo(house, "cut-off", state=SoloState.RUNNING)
    solo(house, "short", end=end("budget", "the budget is spent"))
    solo(house, "done", end=end("finished"))
    solo(house, "cold", state=SoloState.FROZEN, end=end("budget"))
    working = solo(house, "at-work", state=SoloState.RUNNING)
    with Records(house.state, house.clock).hold(working.slug):
        board = look(house)
        assert {row.slug: (row.place, row.state) for row in board.rows} == {
            "ex-working-agent": (Place.WORKING, "PENDING"),
            "at-work": (Place.WORKING, "running"),
            "ex-parked-agent": (Place.STOPPED, "PARKED"),
            "cut-off": (Place.STOPPED, "interrupted"),
            "short": (Place.STOPPED, "stopped"),
        }
        assert [row.place for row in board.rows] == sorted(
            (row.place for row in board.rows), key=list(Place).index
        )
        assert (board.resting, board.beyond) == (2, 0)
        everything = look(house, everything=True)
    assert {row.slug for row in everything.rows} - {row.slug for row in board.rows} == {"done", "cold"}
    words = {row.slug: row.words for row in board.rows}
    assert words["ex-parked-agent"] == "used 5, needed 6, cap 5" and words["short"] == "the budget is spent"


def test_who_pays_is_what_the_open_wire_says_and_its_numbers_are_the_book_s(house: House) -> None:
    execution(house, "ex-1", agent="implementer", provider="claude")
    spec = WireSpec(
        id="ex-1-build-1",
        execution="ex-1",
        repository="repo",
        agent="claude",
        bottle="ex-1-agent",
        parent="base",
    )
    opened(house, spec)
    budgets = house.wire.budgets()
    budgets.set_cap("parent", "base", Cap(usd=Decimal(1)))
    budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(5)))
    need = Need(1_000, 2_000, 1_024, sent_pico=1_000, answer_pico=1_000_000)
    for name in ("r1", "r2"):
        budgets.reserve(Reserve(id=name, payer=spec.payer, need=need, at=NOW, provider="p", model="m"))
    budgets.settle("r1", Outcome("provider", 200, Usage(input=900, output=100), usd=1_500_000))
    budgets.apply(
        [Denied(place(house.state), spec.id, "ex-1", "denied", "evil.example:443", "not allowed", NOW)]
    )
    bottles.log(house, "ex-1").write_text("first\nbash: make test\n")
    watch = Watch(house)
    (row,) = watch.look(said(spec)).rows
    assert [(each.scope, each.key, each.governs) for each in row.bindings] == [
        ("parent", "base", True),
        ("execution", "ex-1", False),
        ("host", "*", False),
    ]
    assert (row.agent, row.provider, row.tokens, row.usd) == (
        "implementer",
        "claude",
        1_000,
        Decimal("0.0015"),
    )
    assert (row.calls, row.refused, row.connections, row.wire) == (1, 1, 1, "open")
    assert row.held_usd == Decimal("0.002000001") and row.words == "bash: make test"
    assert row.tightest is not None and row.tightest.scope == "parent"
    details = watch.details(row)
    assert [call.reservation for call in details.calls] == ["r1"]
    assert [denial.target for denial in details.denials] == ["evil.example:443"]
    assert list(watch.log(row).parts[-2:]) == ["logs", "ex-1-agent.log"]


@pytest.mark.parametrize(("provider", "scopes"), [("builtin", ["host"]), ("claude", ["bottle", "host"])])
def test_without_a_wire_who_would_pay_next(house: House, provider: str, scopes: list[str]) -> None:
    """A cap of the bottle binds the calls of a program inside, not those of the agent that thinks on the host."""
    solo(house, "alone", agent=provider, provider=provider, end=end("budget"))
    budgets = house.wire.budgets()
    budgets.set_cap("bottle", "alone.1", Cap(usd=Decimal(1)))
    budgets.set_cap("execution", "alone.1", Cap(usd=Decimal(2)))
    (row,) = look(house).rows
    assert [each.scope for each in row.bindings if each.scope != "execution"] == scopes


def test_a_cut_account_and_a_proxy_that_is_gone_are_said(house: House) -> None:
    execution(house, "ex-1", provider="claude")
    spec = WireSpec(id="ex-1-build-1", execution="ex-1", repository="repo")
    opened(house, spec)
    assert look(house).rows[0].wire == "no proxy"
    assert look(house, said(spec)).rows[0].wire == "open"
    assert look(house, said(spec, cut=True, connections=0)).rows[0].wire == "cut"
    house.wire.budgets().set_cap("execution", "ex-1", Cap(usd=Decimal(0), tokens=0))
    row = look(house, said(spec)).rows[0]
    assert row.wire == "cut" and row.tightest is not None and row.tightest.cut


def test_more_bottles_than_fit_are_counted(house: House) -> None:
    for number in range(5):
        execution(house, f"ex-{number}")
    board = Watch(house, rows=3).look(Proxy(AWAY))
    assert len(board.rows) == 3 and board.beyond == 2


def test_a_record_that_cannot_be_read_is_a_note_and_hides_nothing(house: House) -> None:
    solo(house, "good", end=end("budget"))
    root = house.state.root / "solo"
    (root / "bad.json").write_text("{")
    (root / "Not a name.json").write_text("{}")
    board = look(house)
    assert [row.slug for row in board.rows] == ["good"]
    assert len(board.notices) == 2 and any("bad.json" in each for each in board.notices)


def test_a_record_is_read_again_when_it_was_replaced_and_not_before(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = solo(house, "one", end=end("budget"))
    watch, read = Watch(house), []
    find = Records.find
    monkeypatch.setattr(Records, "find", lambda self, slug: (read.append(slug), find(self, slug))[1])
    watch.look(Proxy(AWAY))
    watch.look(Proxy(AWAY))
    assert read == ["one"]
    records = Records(house.state, house.clock)
    records.write(record.model_copy(update={"end": end("finished")}))
    assert watch.look(Proxy(AWAY)).resting == 1 and read == ["one", "one"]
    with records.hold("one"):
        records.remove("one")
    board = watch.look(Proxy(AWAY))
    assert (board.rows, board.resting) == ((), 0)


def test_a_look_costs_the_same_however_many_bottles_there_were(house: House) -> None:
    for number in range(20):
        execution(house, f"ex-live-{number}", provider="claude")
    watch, statements = Watch(house), []
    watch.look(Proxy(AWAY))
    for database in (house.ledger.database, house.wire.budgets().database):
        event.listen(
            database.engine,
            "after_cursor_execute",
            lambda _c, _x, statement, *_: statements.append(statement) if "SELECT" in statement else None,
        )
    watch.look(Proxy(AWAY))
    before = len(statements)
    for number in range(200):
        execution(house, f"ex-old-{number}", events.FeatureCancelled(reason="no", by="ann"))
        house.wire.budgets().set_cap("execution", f"ex-old-{number}", Cap(usd=Decimal(1)))
    watch.look(Proxy(AWAY))
    statements.clear()
    assert len(watch.look(Proxy(AWAY)).rows) == 20
    assert len(statements) == before == 5


async def test_without_a_proxy_none_is_started(house: House) -> None:
    assert await ask_proxy(house) == Proxy(AWAY)
    assert not (house.state.run / "proxy.lock").exists()


def test_a_store_that_is_gone_is_an_error_with_a_sentence(house: House) -> None:
    watch = Watch(house)
    watch.look(Proxy(AWAY))
    (house.state.root / "budgets.db").rename(house.state.root / "away.db")
    with pytest.raises(errors.StoreUnavailable):
        watch.look(Proxy(AWAY))
    (house.state.root / "away.db").rename(house.state.root / "budgets.db")
    assert watch.look(Proxy(AWAY)).proxy == AWAY


def test_the_age_is_since_it_was_made(house: House) -> None:
    solo(house, "old", created=NOW - timedelta(hours=3), end=end("budget"))
    (row,) = look(house).rows
    assert 3 * 3_600 <= row.age < 4 * 3_600 and replace(row, age=0.0).age == 0
