"""What happened since some moment: the catalogue of executions, the book and the wires, looked at once. Blocks."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from boatwright.egress.lately import Lately, Spent
from boatwright.rules import forge_place, summary
from boatwright.rules.summary import Bill, Denied, Look, Summary
from boatwright.stages.house import House
from boatwright.values import events
from boatwright.values.execution import ExecutionView

ENDS = (
    events.FeatureDelivered,
    events.FeatureCompleted,
    events.FeatureParked,
    events.FeatureFailed,
    events.FeatureCancelled,
)


def look(house: House, since: datetime, *, repository: str | None = None) -> Summary:
    """The summary of this host; with ``repository``, of that one alone."""
    views = house.ledger.executions.lately(since, repository=repository)
    mine = {view.id for view in views} if repository is not None else None
    book = Lately(house.wire.budgets().database, house.state)
    spent = [each for each in book.spent(since) if mine is None or each.account in mine]
    refused = [each for each in book.refused(since) if mine is None or each.account in mine]
    untold = [
        each for each in house.ledger.notices.unsent(since) if mine is None or each.notice.execution in mine
    ]
    return summary.summary(
        [_look(house, view) for view in views],
        since=since,
        until=house.clock.now(),
        spent=_bill(spent),
        denied=[Denied(each.account, each.target, each.reason, each.count) for each in refused],
        untold=len(untold),
    )


def _look(house: House, view: ExecutionView) -> Look:
    place = house.ledger.repositories.place(view.repository)
    ended = house.ledger.events.newest(view.id, [kind.type for kind in ENDS])
    return Look(
        view=view,
        ended=ended.time if ended is not None else None,
        pull_request_url=forge_place.pull_url(place, view.pull_request),
        issue_url=forge_place.issue_url(place, view.issue),
    )


def _bill(spent: list[Spent]) -> Bill:
    return Bill(
        calls=sum(each.calls for each in spent),
        tokens=sum(each.tokens for each in spent),
        usd=sum((each.usd for each in spent), Decimal(0)),
    )
