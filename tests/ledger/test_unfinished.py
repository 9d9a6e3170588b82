"""Executions that are not over, followed by what was appended since."""

from __future__ import annotations

from sqlalchemy import event

from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.unfinished import Unfinished
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values.clock import SystemIds
from boatwright.values.events import FeatureCancelled
from boatwright.values.state import State


def log_of(database: Database, clock: ManualClock) -> EventLog:
    return EventLog(database, clock=clock, ids=SystemIds(clock), producer="test")


def begin(log: EventLog, clock: ManualClock, name: str) -> None:
    clock.advance(1)
    log.append(name, samples.requested(), key="request")


def test_it_follows_what_begins_moves_and_ends(database: Database, clock: ManualClock) -> None:
    log, unfinished = log_of(database, clock), Unfinished(database)
    assert unfinished.views() == []
    begin(log, clock, "ex-1")
    begin(log, clock, "ex-2")
    assert [view.id for view in unfinished.views()] == ["ex-2", "ex-1"]
    begin(log, clock, "ex-3")
    log.append("ex-1", FeatureCancelled(reason="no", by="ann"), key="cancel")
    assert [view.id for view in unfinished.views()] == ["ex-3", "ex-2"]
    assert [view.id for view in Unfinished(database).views()] == ["ex-3", "ex-2"]
    assert all(view.state is State.PENDING for view in unfinished.views())


def test_a_look_costs_the_same_however_much_is_over(database: Database, clock: ManualClock) -> None:
    log, unfinished = log_of(database, clock), Unfinished(database)
    for number in range(300):
        begin(log, clock, f"ex-{number:03}")
        log.append(f"ex-{number:03}", FeatureCancelled(reason="no", by="ann"), key="cancel")
    begin(log, clock, "ex-live")
    unfinished.views()
    statements: list[str] = []
    event.listen(
        database.engine,
        "after_cursor_execute",
        lambda _c, cursor, statement, *_: statements.append(statement),
    )
    assert [view.id for view in unfinished.views()] == ["ex-live"]
    assert len([each for each in statements if each.startswith("SELECT")]) == 1
    statements.clear()
    begin(log, clock, "ex-new")
    statements.clear()
    assert [view.id for view in unfinished.views()] == ["ex-new", "ex-live"]
    selects = [each for each in statements if each.startswith("SELECT")]
    assert len(selects) == 2 and "events.position >" in selects[1]
