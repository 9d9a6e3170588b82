"""Cuts as rows: they outlive the proxy, the worker and the wire, until a budget is raised or work goes on.

The proxy writes one when a budget is exhausted, a person's command writes one, and whoever supervises the bottle does
what it says and marks it done. Killed between any two of these, the row tells the next owner what is left to do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from boatwright.egress.book import stamp
from boatwright.ledger.database import Database
from boatwright.rules import cutting
from boatwright.rules.cutting import Order
from boatwright.values.cutting import Cause, CutPolicy


@dataclass(frozen=True, slots=True)
class Cut:
    """One account that has been cut. ``done``: what its policy asks for has been carried out."""

    account: str
    policy: CutPolicy
    cause: Cause
    sentence: str
    wire: str
    by: str
    at: datetime
    done: bool

    @property
    def order(self) -> Order:
        return Order(self.policy, self.cause, self.sentence)


class Cuts:
    """The cuts of one budgets database. Safe to share by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, account: str) -> Cut | None:
        with self._database.read() as connection:
            return _read(connection, account)

    def all(self) -> list[Cut]:
        with self._database.read() as connection:
            return [_cut(dict(row)) for row in connection.execute(text(_ALL)).mappings()]

    def write(self, account: str, order: Order, *, at: datetime, wire: str = "", by: str = "") -> Cut:
        """Cut an account, durably; one that is cut already is never cut more mildly by it."""
        with self._database.write() as connection:
            connection.execute(text(_HEAD))  # writers of several processes queue here
            before = _read(connection, account)
            standing = before.order if before else None
            after = cutting.merged(standing, order)
            done = not cutting.again(standing, after, before.done if before else False)
            values = {
                "account": account, "policy": after.policy.value, "cause": after.cause.value,
                "sentence": after.sentence, "wire": wire, "by": by, "at": stamp(at), "done": done,
            }  # fmt: skip
            connection.execute(text(_WRITE), values)
        return Cut(account, after.policy, after.cause, after.sentence, wire, by, at, done)

    def carried_out(self, cut: Cut) -> None:
        """What ``cut`` asks for has happened; one that became stricter meanwhile stays open."""
        with self._database.write() as connection:
            connection.execute(text(_DONE), {"account": cut.account, "policy": cut.policy.value})

    def lift(self, account: str) -> bool:
        """Calls are carried again, as far as the budgets allow. Says whether it had been cut."""
        with self._database.write() as connection:
            return bool(connection.execute(text(_LIFT), {"account": account}).rowcount)

    def go_on(self, account: str) -> Cut | None:
        """Lift what going on lifts; returns the cut that stands all the same."""
        cut = self.of(account)
        if cut is None or not cutting.lifted_by_going_on(cut.cause, cut.done):
            return cut
        self.lift(account)
        return None


def _read(connection: Connection, account: str) -> Cut | None:
    row = connection.execute(text(_OF), {"account": account}).mappings().first()
    return None if row is None else _cut(dict(row))


def _cut(row: dict[str, Any]) -> Cut:
    return Cut(
        account=row["account"], policy=CutPolicy(row["policy"]), cause=Cause(row["cause"]),
        sentence=row["sentence"], wire=row["wire"], by=row["by"], at=datetime.fromisoformat(row["at"]),
        done=bool(row["done"]),
    )  # fmt: skip


_HEAD = "UPDATE budget_head SET version = version + 1 WHERE id = 1"
_OF = "SELECT * FROM wire_cuts WHERE account = :account"
_ALL = "SELECT * FROM wire_cuts ORDER BY at, account"
_LIFT = "DELETE FROM wire_cuts WHERE account = :account"
_DONE = "UPDATE wire_cuts SET done = true WHERE account = :account AND policy = :policy"
_WRITE = """
INSERT INTO wire_cuts (account, policy, cause, sentence, wire, by, at, done)
VALUES (:account, :policy, :cause, :sentence, :wire, :by, :at, :done)
ON CONFLICT (account) DO UPDATE SET policy = excluded.policy, cause = excluded.cause, sentence = excluded.sentence,
wire = excluded.wire, by = excluded.by, at = excluded.at, done = excluded.done"""
