"""What the wires of a host cost and refused since some moment: one pass over the rows, for a person's question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text

from boatwright.config.paths import StateDir
from boatwright.egress import wires
from boatwright.egress.book import stamp
from boatwright.ledger.database import Database
from boatwright.rules import budget as rule


@dataclass(frozen=True, slots=True)
class Spent:
    """Calls that ended, by who pays: an execution, or a bottle of its own."""

    account: str
    calls: int
    tokens: int
    usd: Decimal


@dataclass(frozen=True, slots=True)
class Refused:
    """What was refused to one account, by target. ``count`` is of all times, the last of them since the moment asked of."""

    account: str
    kind: str
    target: str
    reason: str
    count: int


class Lately:
    """Reads the budgets database. Blocks."""

    def __init__(self, database: Database, state: StateDir) -> None:
        self._database, self._place = database, wires.place(state)

    def spent(self, since: datetime) -> list[Spent]:
        """The largest sum first. With one budgets database for several hosts: of all of them."""
        with self._database.read() as connection:
            rows = connection.execute(text(_SPENT), {"since": stamp(since)}).all()
        return [Spent(row[0], int(row[1]), int(row[2]), Decimal(int(row[3])) / rule.NANO) for row in rows]

    def refused(self, since: datetime) -> list[Refused]:
        """What this host's wires refused last since then, the most often refused first."""
        values = {"place": self._place, "since": stamp(since)}
        with self._database.read() as connection:
            rows = connection.execute(text(_REFUSED), values).all()
        return [Refused(row[0], row[1], row[2], row[3], int(row[4])) for row in rows]


_SPENT = """
SELECT execution, count(*), sum(input + cache_read + cache_write + tool_input + output), sum(usd) FROM budget_usage
WHERE at >= :since AND source <> 'released' GROUP BY execution ORDER BY sum(usd) DESC, execution"""
_REFUSED = """
SELECT execution, kind, target, max(reason), sum(count) FROM wire_denials
WHERE place = :place AND at >= :since GROUP BY execution, kind, target ORDER BY sum(count) DESC, execution, target"""
