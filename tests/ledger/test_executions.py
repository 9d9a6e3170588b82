"""Executions: looked up, unique per issue, and always what their events say."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boatwright import errors
from boatwright.ledger import tables
from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.rules.fold import fold
from boatwright.rules.transitions import refusal
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values import events
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

_streams = itertools.count()


def request(log: EventLog, stream: str, issue: int | None = None) -> None:
    log.append(stream, samples.requested(issue=issue), key="requested")


def test_the_row_is_the_fold(log: EventLog, executions: Executions) -> None:
    request(log, "ex-1", 7)
    log.append("ex-1", samples.model_called(), key="call-1")
    log.append("ex-1", samples.model_called("r-2", usd=Decimal("1.10")), key="call-2")
    view = executions.get("ex-1")
    assert view is not None
    assert (view.usd, view.tokens) == (Decimal("1.1125"), 2_200)
    assert (view.state, view.issue, view.sequence) == (State.PENDING, 7, 3)
    folded: ExecutionView | None = None
    for event in log.stream("ex-1"):
        folded = fold(folded, event)
    assert view == folded
    assert executions.get("ex-2") is None


def test_find_takes_the_beginning_of_an_id(log: EventLog, executions: Executions) -> None:
    for name in ("ex-ab1", "ex-ab2", "ex-b", "ex-b_1"):
        request(log, name)
    assert executions.find("ex-ab1").id == "ex-ab1"
    assert executions.find("ex-b").id == "ex-b"
    assert executions.find("ex-b_").id == "ex-b_1"
    with pytest.raises(errors.BadInput, match="ex-ab1, ex-ab2"):
        executions.find("ex-a")
    for wrong in ("ex-c", "%", "ex_b", "", "EX-B", "ex-b_12"):
        with pytest.raises(errors.NotFound):
            executions.find(wrong)


def test_an_empty_name_finds_nothing(log: EventLog, executions: Executions) -> None:
    request(log, "ex-1")
    with pytest.raises(errors.NotFound):
        executions.find("")


def test_lists_are_newest_first(log: EventLog, executions: Executions, clock: ManualClock) -> None:
    for name in ("ex-1", "ex-2", "ex-3"):
        clock.advance(1)
        request(log, name)
    log.append("ex-2", events.FeatureCancelled(reason="no", by="sailor"), key="cancelled")
    assert [view.id for view in executions.list()] == ["ex-3", "ex-2", "ex-1"]
    assert [view.id for view in executions.list(states={State.CANCELLED})] == ["ex-2"]
    assert [view.id for view in executions.list(limit=1)] == ["ex-3"]
    assert executions.list(repository="other") == []


def test_a_pull_request_leads_to_its_execution(log: EventLog, executions: Executions) -> None:
    request(log, "ex-1")
    opened = events.PullRequestOpened(number=8, branch="b", base_ref="main", head="h", draft=True, title="t")
    log.append("ex-1", opened, key="opened")
    found = executions.by_pull_request(samples.REPOSITORY, 8)
    assert found is not None
    assert found.id == "ex-1"
    assert executions.by_pull_request(samples.REPOSITORY, 9) is None
    assert executions.by_pull_request("other", 8) is None


def test_an_issue_has_one_live_execution(log: EventLog, executions: Executions) -> None:
    request(log, "ex-1", 7)
    with pytest.raises(errors.Conflict, match="ex-1") as caught:
        request(log, "ex-2", 7)
    assert caught.value.subject == "ex-1"
    assert log.head("ex-2") == 0
    request(log, "ex-3", 8)
    request(log, "ex-4", None)
    request(log, "ex-5", None)
    live = executions.live_for_issue(samples.REPOSITORY, 7)
    assert live is not None
    assert live.id == "ex-1"
    log.append("ex-1", events.FeatureFailed(code="c", reason="r", stage="build"), key="failed")
    assert executions.live_for_issue(samples.REPOSITORY, 7) is None
    request(log, "ex-2", 7)
    with pytest.raises(errors.Conflict, match="ex-2"):
        log.append("ex-1", events.FeatureResumed(cause="retry", by="sailor"), key="retry")
    log.append("ex-2", events.FeatureCancelled(reason="no", by="sailor"), key="cancelled")
    log.append("ex-1", events.FeatureResumed(cause="retry", by="sailor"), key="retry")
    live = executions.live_for_issue(samples.REPOSITORY, 7)
    assert live is not None
    assert live.id == "ex-1"


def test_sixteen_requests_at_once_for_one_issue_make_one_execution(
    log: EventLog, executions: Executions
) -> None:
    def attempt(number: int) -> str:
        try:
            request(log, f"ex-{number}", 7)
        except errors.Conflict as conflict:
            return conflict.subject
        return f"ex-{number}"

    with ThreadPoolExecutor(16) as pool:
        told = set(pool.map(attempt, range(16)))
    assert len(told) == 1
    assert [view.id for view in executions.list()] == list(told)


def test_rebuild_mends_what_differs(log: EventLog, executions: Executions, database: Database) -> None:
    for number in range(4):
        request(log, f"ex-{number}", number)
    true = executions.list()
    assert executions.rebuild() == 0
    with database.write() as connection:
        connection.execute(tables.executions.delete().where(tables.executions.c.id == "ex-0"))
        broken = tables.executions.c.id == "ex-1"
        connection.execute(tables.executions.update().where(broken).values(state="DELIVERED", issue=0))
        stranger = {**_any_row(database), "id": "ex-9", "issue": None}
        connection.execute(tables.executions.insert().values(**stranger))
    assert executions.rebuild() == 3
    assert executions.list() == true
    assert executions.rebuild() == 0


def _any_row(database: Database) -> dict[str, object]:
    with database.read() as connection:
        query = tables.executions.select().where(tables.executions.c.id == "ex-2")
        return dict(connection.execute(query).mappings().one())


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(choices=st.lists(st.integers(0, 10**6), min_size=1, max_size=25))
def test_every_legal_walk_can_be_rebuilt(log: EventLog, executions: Executions, choices: list[int]) -> None:
    stream = f"ex-{next(_streams)}"
    view: ExecutionView | None = None
    for number, choice in enumerate(choices):
        possible = [payload for make in samples.PALETTE if refusal(view, payload := make()) is None]
        appended = log.append(stream, possible[choice % len(possible)], key=f"k{number}")
        assert appended.event.sequence == number + 1
        view = executions.get(stream)
    assert executions.rebuild() == 0
    assert executions.get(stream) == view
    assert log.verify(stream).ok
