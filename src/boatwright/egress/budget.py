"""Accounts, reservations and usage rows: what calls may cost, hold and have cost, in a database of their own.

Workers read, and set caps. Only the proxy reserves and settles (:mod:`journal` batches for it). Every
change is made by :meth:`Budgets.apply`: one transaction whose first statement takes the head row, so
writers of several processes queue and no decision is made on stale numbers. Invariant: ``used + held <=
cap`` for every binding account, so long as no provider bills above its own bound.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from boatwright import errors
from boatwright.egress import book, booking, tables
from boatwright.egress.book import LARGEST_BATCH, Book
from boatwright.egress.booking import Operation, Outcome, Reservation, Reserve, Result, Settle, Settled
from boatwright.egress.pen import Pen
from boatwright.ledger.database import Database
from boatwright.rules import budget as rule
from boatwright.rules.budget import Account, Amount, Scope, Short
from boatwright.values.clock import Clock, SystemClock
from boatwright.values.events import ModelCalled
from boatwright.values.usage import Cap, Usage

HOST = "*"
"""The key of the host scope: one budgets database is one host's."""


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one call cost, ready to become ``model.called``. ``id`` grows in the order rows became visible."""

    id: int
    reservation: str
    execution: str
    purpose: str
    provider: str
    model: str
    usage: Usage
    usd: Decimal
    reserved_usd: Decimal
    reserved_tokens: int
    source: str
    status: int
    at: datetime
    prices: str
    price_table: str

    def event(self) -> ModelCalled:
        return ModelCalled(
            reservation=self.reservation,
            purpose=self.purpose,
            provider=self.provider,
            model=self.model,
            usage=self.usage,
            usd=self.usd,
            reserved_usd=self.reserved_usd,
            reserved_tokens=self.reserved_tokens,
            source=self.source,
            status=self.status,
            at=self.at,
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """One capped account as people read it; None is no limit of that kind."""

    scope: str
    key: str
    period: str
    cap: Cap
    hard: bool
    used_usd: Decimal
    used_tokens: int
    held_usd: Decimal
    held_tokens: int

    @property
    def left(self) -> Cap:
        """What may still be held; None of a unit without a limit, below zero never."""
        usd, tokens = self.cap.usd, self.cap.tokens
        return Cap(
            usd=None if usd is None else max(Decimal(0), usd - self.used_usd - self.held_usd),
            tokens=None if tokens is None else max(0, tokens - self.used_tokens - self.held_tokens),
        )


class Budgets:
    """One budgets database. Safe to share by threads."""

    def __init__(self, database: Database, *, clock: Clock | None = None) -> None:
        self.database = database
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._book = Book()
        self._pen = Pen(database)
        database.create(tables.metadata, later=tables.LATER)
        with database.write() as connection:
            connection.execute(text(_FIRST_HEAD))

    @classmethod
    def open(cls, url: str) -> Budgets:
        """The budgets behind a database URL, its tables made if missing; ``errors.StoreUnavailable`` if it
        cannot.
        """
        return cls(Database.open(url))

    # --- changes -----------------------------------------------------------------------------------------

    def apply(self, operations: Sequence[Operation]) -> list[Result]:
        """All ``operations`` in order, in one durable transaction; their results in the same order."""
        with self._lock:
            try:
                with self._pen as pen:
                    return self._book.apply(pen, operations)
            except BaseException:
                self._book = Book()  # what was rolled back must not be remembered
                raise

    def reserve(self, request: Reserve) -> Reservation | Short:
        result = self.apply([request])[0]
        if not isinstance(result, Reservation | Short):  # pragma: no cover - apply answers in kind
            raise TypeError("a reservation was answered with something else")
        return result

    def settle(self, reservation: str, outcome: Outcome) -> Settled:
        """Book what the call cost. A second time changes nothing and says ``again``."""
        result = self.apply([Settle(reservation, outcome, self._clock.now())])[0]
        if not isinstance(result, Settled):  # pragma: no cover - apply answers in kind
            raise TypeError("a settlement was answered with something else")
        return result

    def release(self, reservation: str) -> Settled:
        """Give back what a call held that was never sent."""
        return self.settle(reservation, booking.RELEASED)

    def charge(self, reservation: str) -> Settled:
        """Charge a reservation in full: nobody knows what the call cost."""
        return self.settle(reservation, booking.CHARGED)

    def charge_open(self, owner: str) -> int:
        """Charge every reservation without an outcome that ``owner`` (a dead proxy) left; returns how
        many.
        """
        with self.database.read() as connection:
            found = connection.execute(text(_HELD_BY), {"owner": owner}).scalars().all()
        now = self._clock.now()
        for start in range(0, len(found), LARGEST_BATCH):
            self.apply([Settle(one, booking.CHARGED, now) for one in found[start : start + LARGEST_BATCH]])
        return len(found)

    def set_cap(
        self, scope: Scope | str, key: str, cap: Cap | None, *, hard: bool = True, daily: bool | None = None
    ) -> None:
        """Set the cap of one scope (None removes it); calls under way keep what they hold.

        ``daily`` counts per UTC day; by default only the host's does. The execution's is hard whatever is
        said.
        """
        scope = _scope(scope)
        daily = scope is Scope.HOST if daily is None else daily
        if daily and scope not in book.DAILY:
            raise errors.BadInput(f"an {scope} has one cap for all its time, and none per day")
        values = {
            "scope": scope.value,
            "key": key,
            "period": "day" if daily else "total",
            "usd": None if cap is None or cap.usd is None else rule.nano(cap.usd),
            "tokens": None if cap is None else cap.tokens,
            "hard": hard or scope is Scope.EXECUTION,
        }
        with self.database.write() as connection:
            _take_head(connection)
            connection.execute(text(_DROP_CAP if cap is None else _SET_CAP), values)

    def unfreeze(self, provider: str, model: str) -> None:
        """Allow calls again to a model whose provider billed above its own bound."""
        with self.database.write() as connection:
            _take_head(connection)
            connection.execute(text(_UNFREEZE), {"provider": provider, "model": model})

    # --- the read side -----------------------------------------------------------------------------------

    def last_status(self, execution: str, wire: str) -> int:
        """What the provider answered to the call of a wire that ended last; 0 where there is none, or no answer."""
        with self.database.read() as connection:
            values = {"execution": execution, "wire": wire}
            return int(connection.execute(text(_LAST_STATUS), values).scalar() or 0)

    def traffic(self, execution: str, wire: str) -> tuple[int, int]:
        """Of one wire: the number of the call that ended last (0: none yet), and how many are under way."""
        with self.database.read() as connection:
            values = {"execution": execution, "wire": wire}
            ended = connection.execute(text(_LAST_ID), values).scalar()
            held = connection.execute(text(_UNDER_WAY), values).scalar()
            return int(ended or 0), int(held or 0)

    def usage(self, execution: str, after_id: int = 0) -> list[UsageRow]:
        """The usage rows of one execution with an id above ``after_id``, in order."""
        with self.database.read() as connection:
            rows = connection.execute(text(_USAGE), {"execution": execution, "after": after_id}).mappings()
            return [usage_row(dict(row)) for row in rows]

    def cap(self, scope: Scope | str, key: str, *, daily: bool | None = None) -> Cap | None:
        """The cap that stands for one scope, the default included; None when there is none."""
        scope = _scope(scope)
        daily = scope is Scope.HOST if daily is None else daily
        with self.database.read() as connection:
            for account in _capped(connection, scope, key, self._day()):
                if bool(account.period) is daily:
                    return _cap(account)
        return None

    def standing(self, scope: Scope | str, key: str) -> list[Standing]:
        """Every capped account of one scope as it stands now: all time, today, or both."""
        with self.database.read() as connection:
            return [_standing(one) for one in _capped(connection, _scope(scope), key, self._day())]

    def standings(self) -> list[Standing]:
        """Every cap that somebody set, and the host's, as it stands now; the widest scope first."""
        with self.database.read() as connection:
            found = {(_scope(row[0]), str(row[1])) for row in connection.execute(text(_CAPPED))}
            order = list(Scope)
            named = sorted(found | {(Scope.HOST, HOST)}, key=lambda one: (-order.index(one[0]), one[1]))
            return [
                _standing(one) for scope, key in named for one in _capped(connection, scope, key, self._day())
            ]

    def used(self, scope: Scope | str, key: str, *, day: str = "") -> tuple[Amount, Amount]:
        """What a scope has used and holds, capped or not; ``day`` empty is all time."""
        with self.database.read() as connection:
            used_usd, used_tokens, held_usd, held_tokens = _booked(
                connection, book.name(_scope(scope), key, day)
            )
        return Amount(used_usd, used_tokens), Amount(held_usd, held_tokens)

    def open_reservations(self, owner: str | None = None) -> int:
        """How many calls are held without an outcome, of one owner or of all."""
        query = _COUNT_HELD if owner is None else _COUNT_HELD + " WHERE owner = :owner"
        with self.database.read() as connection:
            return int(
                connection.execute(text(query), {} if owner is None else {"owner": owner}).scalar_one()
            )

    def owners(self) -> list[str]:
        """Who has reservations without an outcome."""
        with self.database.read() as connection:
            return list(connection.execute(text(_OWNERS)).scalars())

    def frozen(self) -> list[tuple[str, str]]:
        """(provider, model) of every model no call goes to since its provider billed above its own bound."""
        with self.database.read() as connection:
            return [(row[0], row[1]) for row in connection.execute(text(_FROZEN))]

    def _day(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%d")


def _take_head(connection: Connection) -> int:
    return int(connection.execute(text(_HEAD)).scalar_one())


def _capped(connection: Connection, scope: Scope, key: str, day: str) -> list[Account]:
    """Every capped account of one scope, with what is used and held."""
    rows = [tuple(row) for row in connection.execute(text(book.READ_CAPS), {"key": key})]
    return [
        book.filled(cap, day, _booked(connection, book.name(scope, key, day if cap.period else "")))
        for cap in book.caps((scope, key), rows)
    ]


def _booked(connection: Connection, name: str) -> tuple[int, int, int, int]:
    row = connection.execute(text(book.READ_ACCOUNT), {"name": name}).first()
    return (0, 0, 0, 0) if row is None else (row[0], row[1], row[2], row[3])


def _scope(scope: Scope | str) -> Scope:
    try:
        return Scope(scope)
    except ValueError as error:
        raise errors.BadInput(
            f"'{scope}' is not a budget scope: choose one of {', '.join(Scope)}", subject=str(scope)
        ) from error


def _cap(account: Account) -> Cap:
    usd = None if account.limit_usd is None else Decimal(account.limit_usd) / rule.NANO
    return Cap(usd=usd, tokens=account.limit_tokens)


def _standing(account: Account) -> Standing:
    return Standing(
        scope=account.scope.value,
        key=account.key,
        period=account.period,
        cap=_cap(account),
        hard=account.hard,
        used_usd=Decimal(account.used.usd) / rule.NANO,
        used_tokens=account.used.tokens,
        held_usd=Decimal(account.held.usd) / rule.NANO,
        held_tokens=account.held.tokens,
    )


def usage_row(row: dict[str, Any]) -> UsageRow:
    counts = {field: row[field] for field in Usage.model_fields}
    return UsageRow(
        id=row["id"],
        reservation=row["reservation"],
        execution=row["execution"],
        purpose=row["purpose"],
        provider=row["provider"],
        model=row["model"],
        usage=Usage(**counts),
        usd=Decimal(row["usd"]) / rule.NANO,
        reserved_usd=Decimal(row["reserved_usd"]) / rule.NANO,
        reserved_tokens=row["reserved_tokens"],
        source=row["source"],
        status=row["status"],
        at=datetime.fromisoformat(row["at"]),
        prices=row["prices"],
        price_table=row["price_table"],
    )


def parse_prices(row: UsageRow) -> dict[str, str]:
    """The unit prices of that moment, dollars per million tokens by kind."""
    return dict(json.loads(row.prices or "{}"))


_FIRST_HEAD = "INSERT INTO budget_head (id, version) VALUES (1, 0) ON CONFLICT (id) DO NOTHING"
_HEAD = "UPDATE budget_head SET version = version + 1 WHERE id = 1 RETURNING version"
_HELD_BY = "SELECT reservation FROM budget_held WHERE owner = :owner ORDER BY reservation"
_COUNT_HELD = "SELECT count(*) FROM budget_held"
_OWNERS = "SELECT DISTINCT owner FROM budget_held"
_FROZEN = "SELECT provider, model FROM budget_frozen"
_UNFREEZE = "DELETE FROM budget_frozen WHERE provider = :provider AND model = :model"
_SET_CAP = """
INSERT INTO budget_caps (scope, key, period, usd, tokens, hard)
VALUES (:scope, :key, :period, :usd, :tokens, :hard)
ON CONFLICT (scope, key, period) DO UPDATE
SET usd = excluded.usd, tokens = excluded.tokens, hard = excluded.hard"""
_DROP_CAP = "DELETE FROM budget_caps WHERE scope = :scope AND key = :key AND period = :period"
_CAPPED = "SELECT DISTINCT scope, key FROM budget_caps"
_LAST_STATUS = """
SELECT status FROM budget_usage WHERE execution = :execution AND wire = :wire ORDER BY id DESC LIMIT 1"""
_LAST_ID = """
SELECT id FROM budget_usage WHERE execution = :execution AND wire = :wire ORDER BY id DESC LIMIT 1"""
_UNDER_WAY = "SELECT count(*) FROM budget_held WHERE execution = :execution AND wire = :wire"
_USAGE = "SELECT * FROM budget_usage WHERE execution = :execution AND id > :after ORDER BY id"
