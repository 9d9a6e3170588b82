"""Appending: numbers, keys, envelopes, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from sqlalchemy import func, select

from boatwright import errors
from boatwright.ledger import rows, tables
from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values import events
from boatwright.values.clock import SystemIds
from boatwright.values.state import State


def begin(log: EventLog, stream: str = "ex-1", **changes: object) -> None:
    log.append(stream, samples.requested(**changes), key="requested")


def test_an_event_comes_back_as_it_was_appended(log: EventLog, clock: ManualClock) -> None:
    begin(log)
    clock.advance(1.5)
    appended = log.append(
        "ex-1", samples.model_called(), key="call:r-1", causation_id="e-0", tags=("metered", "größer")
    )
    (first, second) = log.stream("ex-1")
    assert appended.created
    assert second == appended.event
    assert (second.sequence, second.position, second.key) == (2, 2, "call:r-1")
    assert second.payload == samples.model_called()
    assert second.time == clock.now()
    assert second.causation_id == "e-0"
    assert second.tags == ("metered", "größer")
    assert (second.producer, second.tenant) == ("test", "local")
    assert second.repository == first.repository == samples.REPOSITORY
    assert second.correlation_id == first.correlation_id == first.event_id
    assert log.head("ex-1") == 2
    assert log.head("ex-2") == 0


def test_the_same_key_again_gives_the_first_event_and_leaves_no_gap(
    log: EventLog, database: Database
) -> None:
    begin(log)
    first = log.append("ex-1", samples.model_called(usd=Decimal("1.10")), key="call")
    again = log.append("ex-1", samples.model_called(usd=Decimal("2.20")), key="call", expected_sequence=1)
    after = log.append("ex-1", samples.model_called("r-2"), key="call-2")
    assert (first.created, again.created, after.created) == (True, False, True)
    assert again.event == first.event
    assert [event.position for event in log.after(0)] == [1, 2, 3]
    with database.read() as connection:
        assert connection.execute(select(tables.ledger_head.c.position)).scalar_one() == 3
    assert log.verify().ok


def test_a_key_is_unique_in_its_stream_only(log: EventLog) -> None:
    begin(log, "ex-1")
    begin(log, "ex-2")
    assert [event.stream for event in log.after(0)] == ["ex-1", "ex-2"]


def test_several_events_are_appended_together_or_not_at_all(log: EventLog) -> None:
    begin(log)
    known = log.append("ex-1", samples.model_called(), key="call").event
    batch = [
        (samples.model_called(), "call"),
        (events.AnalysisStarted(base_commit="b"), "analysis"),
        (events.PlanningStarted(input_hash="i"), "planning"),
        (events.PlanningStarted(input_hash="other"), "planning"),
    ]
    done = log.append_all("ex-1", batch, expected_sequence=2)
    assert [one.created for one in done] == [False, True, True, False]
    assert done[0].event == known
    assert done[3].event == done[2].event
    assert [event.sequence for event in log.stream("ex-1")] == [1, 2, 3, 4]
    with pytest.raises(errors.Conflict):
        log.append_all("ex-1", [(samples.step_completed(), "step"), (samples.delivered(), "delivered")])
    assert log.head("ex-1") == 4
    assert log.append_all("ex-1", []) == []


def test_an_expected_sequence_that_is_not_the_last_is_refused(log: EventLog) -> None:
    begin(log)
    with pytest.raises(errors.Conflict, match="expected after event 5, it stands at 1") as caught:
        log.append("ex-1", samples.model_called(), key="call", expected_sequence=5)
    assert caught.value.subject == "ex-1"
    assert log.append("ex-1", samples.model_called(), key="call", expected_sequence=1).created


def _dump(database: Database) -> list[list[tuple[object, ...]]]:
    with database.read() as connection:
        return [
            [tuple(row) for row in connection.execute(select(table))]
            for table in (tables.ledger_head, tables.stream_heads, tables.events, tables.executions)
        ]


@pytest.mark.parametrize("own_connection", [False, True])
def test_an_illegal_transition_changes_nothing(
    log: EventLog, database: Database, own_connection: bool
) -> None:
    begin(log)
    before = _dump(database)
    if own_connection:
        with pytest.raises(errors.Conflict, match="PENDING is not followed by DELIVERED"):
            log.append("ex-1", samples.delivered(), key="delivered")
    else:
        with database.write() as connection, pytest.raises(errors.Conflict, match="nothing was requested"):
            log.append("ex-2", samples.delivered(), key="delivered", connection=connection)
    assert _dump(database) == before


def test_the_callers_transaction_decides(log: EventLog, database: Database, executions: Executions) -> None:
    with pytest.raises(RuntimeError), database.write() as connection:
        log.append("ex-1", samples.requested(), key="requested", connection=connection)
        assert log.head("ex-1", connection=connection) == 1
        assert len(log.stream("ex-1", connection=connection)) == 1
        raise RuntimeError
    assert log.after(0) == []
    assert executions.get("ex-1") is None
    with database.write() as connection:
        log.append("ex-1", samples.requested(), key="requested", connection=connection)
    assert log.head("ex-1") == 1


def test_only_audit_and_cleanup_follow_the_end(log: EventLog, executions: Executions) -> None:
    begin(log)
    log.append("ex-1", events.FeatureCancelled(reason="not wanted", by="sailor"), key="cancelled")
    with pytest.raises(errors.Conflict, match="it is CANCELLED"):
        log.append("ex-1", samples.step_completed(), key="step")
    log.append("ex-1", events.ResourcesReleased(released=("bottle",)), key="released")
    log.append("ex-1", samples.model_called(), key="call")
    view = executions.get("ex-1")
    assert view is not None
    assert (view.state, view.sequence, view.tokens) == (State.CANCELLED, 4, 1_100)


def test_after_pages_through_the_global_order(log: EventLog) -> None:
    for number in range(5):
        begin(log, f"ex-{number}")
        log.append(f"ex-{number}", samples.model_called(), key="call")
    assert [event.position for event in log.after(3, limit=4)] == [4, 5, 6, 7]
    assert [event.position for event in log.after(0, stream="ex-2")] == [5, 6]
    assert [event.sequence for event in log.stream("ex-2", after=1)] == [2]
    assert log.after(10) == []


def test_an_event_of_a_newer_release_is_refused_by_name(log: EventLog, database: Database) -> None:
    begin(log)
    with database.write() as connection:
        connection.execute(tables.events.update().values(type="whale.seen"))
    with pytest.raises(errors.Refused, match=r"whale\.seen"):
        log.stream("ex-1")


def test_old_rows_are_read_through_upcasters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events.TurnEnded, "schema_version", 3)
    monkeypatch.setitem(rows.UPCASTERS, ("turn.ended", 1), lambda old: {**old, "outcome": old["result"]})
    monkeypatch.setitem(
        rows.UPCASTERS, ("turn.ended", 2), lambda old: {key: old[key] for key in ("turn", "outcome")}
    )
    payload = rows.read_payload("turn.ended", 1, '{"turn":1,"result":"delivered"}')
    assert payload == events.TurnEnded(turn=1, outcome="delivered")


@pytest.mark.parametrize("text", ["nul \0 byte", "größe", "emoji 🚢", 'quote " \\ \n', "\u2028"])
def test_any_text_survives_in_a_payload(log: EventLog, text: str) -> None:
    begin(log, body=text, title=text)
    (event,) = log.stream("ex-1")
    assert isinstance(event.payload, events.FeatureRequested)
    assert event.payload.body == text
    assert log.verify().ok


def test_what_cannot_be_read_back_is_not_stored(log: EventLog) -> None:
    begin(log)
    unreadable = events.EnvironmentPrepared.model_construct(
        key="k", commit="c", seconds=float("nan"), cached=False, network="none", log=""
    )
    with pytest.raises(errors.BadInput, match=r"environment\.prepared"):
        log.append("ex-1", unreadable, key="prepared")
    with pytest.raises(errors.BadInput):
        log.append("ex-1", samples.model_called(), key="nul \0")
    with pytest.raises(errors.BadInput):
        log.append("ex-\udcff", samples.requested(), key="requested")
    assert log.head("ex-1") == 1


def test_the_tenant_is_the_streams(
    database: Database, clock: ManualClock, ids: SystemIds, log: EventLog
) -> None:
    begin(log)
    other = EventLog(database, clock=clock, ids=ids, producer="other", tenant="elsewhere")
    event = other.append("ex-1", samples.model_called(), key="call").event
    assert (event.tenant, event.producer) == ("local", "other")
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.executions)).scalar_one() == 1
