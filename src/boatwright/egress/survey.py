"""Many payers at a glance: their caps, what is used and held, their calls of the last minute, what was refused.

A handful of statements however long the history is: each row is found by its key or an index, and what is counted
is counted up to a bound.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text

from boatwright.egress import book, wires
from boatwright.egress.book import stamp
from boatwright.egress.booking import Payer
from boatwright.egress.budget import UsageRow, usage_row
from boatwright.egress.wires import Denial
from boatwright.ledger.database import Database
from boatwright.rules.budget import Account, Amount, Scope

MINUTE = timedelta(minutes=1)
MOST_CALLS = 100
"""Calls of the last minute are counted up to here."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One payer. ``chain`` are its capped accounts, the nearest scope first; ``used`` and ``held`` its execution's."""

    chain: tuple[Account, ...]
    used: Amount
    held: Amount
    calls: int
    """Ended in the last minute; at most :data:`MOST_CALLS`."""
    refused: int
    """What its wires refused, closed ones included."""


class Survey:
    """The read side of one state directory's budgets and wires, for those who look again and again."""

    def __init__(self, database: Database, place: str) -> None:
        self._database = database
        self._place = place

    def of(self, payers: Sequence[Payer], at: datetime) -> list[Surveyed]:
        """Each payer as it stands at ``at``, in the order given."""
        day = book.day_of(at)
        with self._database.read() as connection:
            caps = self._caps(connection, payers)
            booked = self._accounts(connection, payers, day, at)
            refused = self._refused(connection, payers)
        return [_surveyed(payer, day, caps, booked, refused) for payer in payers]

    def calls(self, execution: str, limit: int) -> list[UsageRow]:
        """The newest calls of one execution that have ended, newest first."""
        with self._database.read() as connection:
            values = {"execution": execution, "limit": limit}
            rows = connection.execute(text(_CALLS), values).mappings()
            return [usage_row(dict(row)) for row in rows]

    def denials(self, execution: str, limit: int) -> list[Denial]:
        """What its wires refused, counted by target, the newest first."""
        values = {"place": self._place, "execution": execution, "limit": limit}
        with self._database.read() as connection:
            return [wires.denial(row) for row in connection.execute(text(_DENIALS), values)]

    def _caps(self, connection: Connection, payers: Iterable[Payer]) -> Mapping[tuple[Scope, str], list[Any]]:
        values = {
            "scopes": [scope.value for scope in Scope],
            "keys": sorted({key for payer in payers for _, key in book.scopes(payer)}),
        }
        found: dict[tuple[Scope, str], list[Any]] = defaultdict(list)
        for row in connection.execute(_many(_CAPS, "scopes", "keys"), values):
            found[Scope(row[0]), row[1]].append(tuple(row))
        return found

    def _accounts(
        self, connection: Connection, payers: Iterable[Payer], day: str, at: datetime
    ) -> Mapping[str, tuple[int, ...]]:
        """Account → used and held in both units, and of an execution's its calls of the last minute."""
        names = sorted({name for payer in payers for name in book.names(payer, day)})
        values = {"names": names, "since": stamp(at.astimezone(UTC) - MINUTE), "most": MOST_CALLS}
        rows = connection.execute(_many(_ACCOUNTS, "names"), values)
        return {row[0]: tuple(int(each) for each in row[1:]) for row in rows}

    def _refused(self, connection: Connection, payers: Iterable[Payer]) -> Mapping[str, int]:
        values = {"place": self._place, "executions": sorted({payer.execution for payer in payers})}
        rows = connection.execute(_many(_REFUSED, "executions"), values)
        return {row[0]: int(row[1]) for row in rows}


def _surveyed(
    payer: Payer,
    day: str,
    caps: Mapping[tuple[Scope, str], list[Any]],
    booked: Mapping[str, tuple[int, ...]],
    refused: Mapping[str, int],
) -> Surveyed:
    chain = tuple(
        book.filled(cap, day, booked.get(book.name(cap.scope, cap.key, day if cap.period else ""), ())[:4])
        for one in book.scopes(payer)
        for cap in book.caps(one, caps.get(one, ()))
    )
    mine = booked.get(book.name(Scope.EXECUTION, payer.execution, ""), (0, 0, 0, 0, 0))
    used, held = Amount(mine[0], mine[1]), Amount(mine[2], mine[3])
    return Surveyed(chain, used, held, mine[4], refused.get(payer.execution, 0))


def _many(query: str, *names: str) -> Any:
    return text(query).bindparams(*(bindparam(name, expanding=True) for name in names))


_CAPS = """
SELECT scope, key, period, usd, tokens, hard FROM budget_caps WHERE scope IN :scopes AND key IN :keys"""
_ACCOUNTS = """
SELECT a.name, a.used_usd, a.used_tokens, a.held_usd, a.held_tokens,
  CASE WHEN substr(a.name, 1, 10) = 'execution|' THEN (
    SELECT count(*) FROM (
      SELECT u.at AS at FROM budget_usage AS u
      WHERE u.execution = substr(a.name, 11, length(a.name) - 11) ORDER BY u.id DESC LIMIT :most
    ) AS newest WHERE newest.at > :since
  ) ELSE 0 END
FROM budget_accounts AS a WHERE a.name IN :names"""
_CALLS = "SELECT * FROM budget_usage WHERE execution = :execution ORDER BY id DESC LIMIT :limit"
_REFUSED = """
SELECT execution, sum(count) FROM wire_denials
WHERE place = :place AND execution IN :executions GROUP BY execution"""
_DENIALS = """
SELECT kind, target, max(reason) AS reason, sum(count) AS count, max(at) AS at FROM wire_denials
WHERE place = :place AND execution = :execution GROUP BY kind, target ORDER BY max(at) DESC, target LIMIT :limit"""
