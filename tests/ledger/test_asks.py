"""Rows of what agents ask: found again, never doubled, closed once; and who is there."""

from __future__ import annotations

import threading

import pytest

from boatwright import errors
from boatwright.ledger import asks as asks_module
from boatwright.ledger.asks import Asks
from boatwright.ledger.database import Database
from boatwright.testing.clock import ManualClock
from boatwright.values.asking import AskKind, AskState, Wish
from boatwright.values.clock import SystemIds

WHY = Wish(AskKind.QUESTION, "why?")
ROUTE = Wish(AskKind.ROUTE, "to look", "example.org:443")


@pytest.fixture
def asks(database: Database, clock: ManualClock, ids: SystemIds) -> Asks:
    return Asks(database, clock=clock, ids=ids)


def test_with_nobody_there_it_is_closed_at_once(asks: Asks) -> None:
    assert asks.ask("ex-1", "b", WHY).state is AskState.NO_OPERATOR
    assert asks.open() == []


def test_the_same_asked_again_is_the_same_row_of_that_account(asks: Asks) -> None:
    asks.beat("me")
    first = asks.ask("ex-1", "b", WHY)
    assert (first.state, asks.ask("ex-1", "b", WHY)) == (AskState.OPEN, first)
    assert asks.ask("ex-2", "b", WHY).id != first.id
    assert asks.ask("ex-1", "b", Wish(AskKind.QUESTION, "why not?")).id != first.id
    assert len(asks.of("ex-1")) == 2 and first in asks.of("ex-1")


def test_asked_by_many_at_once_it_is_one_row(asks: Asks) -> None:
    asks.beat("me")
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(asks.ask("ex-1", "b", WHY).id)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(found) == 8 and len(set(found)) == 1 and len(asks.all()) == 1


def test_asked_again_when_somebody_is_there_it_is_open(asks: Asks) -> None:
    first = asks.ask("ex-1", "b", WHY)
    asks.beat("me")
    again = asks.ask("ex-1", "b", WHY)
    assert (again.id, again.state, again.answered) == (first.id, AskState.OPEN, None)


def test_an_answer_stands(asks: Asks) -> None:
    asks.beat("me")
    ask = asks.ask("ex-1", "b", WHY)
    done = asks.close(ask.id, AskState.ANSWERED, "because", by="me")
    assert (done.state, done.answer, done.by) == (AskState.ANSWERED, "because", "me") and done.answered
    assert asks.ask("ex-1", "b", WHY) == done
    with pytest.raises(errors.Conflict, match="answered already by me"):
        asks.close(ask.id, AskState.REFUSED, "no", by="you")


def test_what_is_being_granted_is_neither_refused_nor_decided_anew_nor_withdrawn(asks: Asks) -> None:
    asks.beat("me")
    ask = asks.ask("ex-1", "b", ROUTE)
    assert asks.decide(ask.id, "example.org:443").decision == "example.org:443"
    assert asks.decide(ask.id, "other.org:443").decision == "example.org:443"
    with pytest.raises(errors.Conflict, match="being granted"):
        asks.close(ask.id, AskState.REFUSED, "no", by="you")
    assert asks.withdraw([ask.id]) == 0
    assert asks.granted_routes("ex-1") == ()
    asks.close(ask.id, AskState.ANSWERED, "", by="me")
    assert asks.granted_routes("ex-1") == ("example.org:443",)
    assert asks.granted_routes("ex-2") == ()


def test_only_what_is_named_is_withdrawn(asks: Asks) -> None:
    asks.beat("me")
    mine, other = asks.ask("ex-1", "b", WHY), asks.ask("ex-1", "b", ROUTE)
    assert asks.withdraw([mine.id]) == 1 and asks.withdraw([]) == 0
    assert [each.id for each in asks.open()] == [other.id]
    assert asks.ask("ex-1", "b", WHY).state is AskState.OPEN


def test_an_operator_is_there_for_as_long_as_they_say_so(asks: Asks, clock: ManualClock) -> None:
    assert not asks.present()
    asks.beat("me")
    clock.advance(asks_module.FRESH.total_seconds())
    assert asks.present()
    clock.advance(0.001)
    assert not asks.present()
    asks.beat("me")
    asks.beat("you")
    asks.leave("me")
    assert asks.present()
    asks.leave("you")
    assert not asks.present()


def test_an_agent_that_asks_without_end_is_refused(asks: Asks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asks_module, "MOST_ROWS", 2)
    for number in range(2):
        asks.ask("ex-1", "b", Wish(AskKind.QUESTION, f"{number}?"))
    with pytest.raises(errors.Refused, match="2 times"):
        asks.ask("ex-1", "b", WHY)
    assert asks.ask("ex-1", "b", Wish(AskKind.QUESTION, "0?")) and asks.ask("ex-2", "b", WHY)


def test_a_row_is_found_by_the_start_of_its_id(asks: Asks) -> None:
    ask = asks.ask("ex-1", "b", WHY)
    assert asks.get(ask.id[:8]) == ask
    asks.ask("ex-1", "b", ROUTE)
    for name in ("ask-", "ask-%", "nothing"):
        with pytest.raises(errors.NotFound, match=r"several requests|no request"):
            asks.get(name)
