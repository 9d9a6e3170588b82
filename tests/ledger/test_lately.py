"""Which executions a question about lately looks at, and the newest event of a kind."""

from __future__ import annotations

from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values import events
from boatwright.values.state import State


def test_what_changed_since_or_was_not_over_before(
    log: EventLog, executions: Executions, clock: ManualClock
) -> None:
    for name in ("ex-old", "ex-waits", "ex-new"):
        log.append(name, samples.requested(repository="b" if name == "ex-waits" else "a"), key="r")
        clock.advance(1)
    over = events.FeatureCancelled(reason="no", by="ann")
    log.append("ex-old", over, key="over")
    clock.advance(60)
    since = clock.now()
    log.append("ex-new", over, key="over")
    assert [view.id for view in executions.lately(since)] == ["ex-new", "ex-waits"]
    assert [view.state for view in executions.lately(since)] == [State.CANCELLED, State.PENDING]
    assert [view.id for view in executions.lately(since, repository="b")] == ["ex-waits"]
    clock.advance(1)
    assert [view.id for view in executions.lately(clock.now(), repository="a")] == []


def test_the_newest_of_some_types(log: EventLog) -> None:
    log.append("ex-1", samples.requested(), key="r")
    log.append("ex-1", samples.parked(), key="p1")
    log.append("ex-1", events.FeatureResumed(cause="resume", by="ann"), key="u")
    second = log.append("ex-1", samples.parked(reason="again"), key="p2").event
    log.append("ex-1", samples.model_called(), key="m")
    log.append("ex-2", samples.requested(), key="r")
    assert log.newest("ex-1", ["feature.parked", "feature.failed"]) == second
    assert log.newest("ex-1", ["feature.failed"]) is None
    assert log.newest("ex-2", ["feature.parked"]) is None
