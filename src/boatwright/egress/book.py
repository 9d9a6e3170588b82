"""The open book of one writer: accounts and caps as of its last transaction, and what a batch changes in
them.

The head row's version tells whether anybody else wrote since; if not, what is remembered is the truth and
a batch reads nothing. One batch is a handful of statements whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, bindparam, text

from boatwright.egress.booking import (
    Denied,
    Operation,
    Outcome,
    Payer,
    Reservation,
    Reserve,
    Result,
    Settle,
    Settled,
)
from boatwright.rules import budget as rule
from boatwright.rules.budget import Account, Amount, Granted, Scope, Short
from boatwright.values.usage import Cap, Usage

DEFAULT_CAPS: dict[Scope, tuple[str, Cap]] = {
    Scope.EXECUTION: ("total", Cap(usd=Decimal(5))),
    Scope.HOST: ("day", Cap(usd=Decimal(50))),
}
"""What stands where nobody set a cap; both hard."""

_REMEMBERED = 20_000
_MOST_DENIED = 500


@dataclass(slots=True)
class _Changes:
    """Rows a batch writes, each list in one statement."""

    accounts: set[str] = field(default_factory=set)
    reserved: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    usage: list[dict[str, Any]] = field(default_factory=list)
    frozen: list[dict[str, Any]] = field(default_factory=list)
    denied: list[dict[str, Any]] = field(default_factory=list)


class Book:
    """What one writer remembers between its transactions. Not safe to share by threads."""

    def __init__(self) -> None:
        self._version = -1
        self._accounts: dict[str, tuple[Amount, Amount]] = {}
        self._caps: dict[tuple[Scope, str], list[Account]] = {}
        self._held: dict[str, dict[str, Any]] = {}

    def open(self, connection: Connection, version: int) -> None:
        """Begin a transaction that took the head at ``version``; forget everything if somebody else wrote
        since.
        """
        if version != self._version + 1 or len(self._accounts) + len(self._caps) > _REMEMBERED:
            self._accounts.clear()
            self._caps.clear()
            self._held.clear()
        self._version = version

    def apply(self, connection: Connection, operations: Sequence[Operation]) -> list[Result]:
        self._read_held(connection, [one.id for one in operations if isinstance(one, Settle)])
        self._read_accounts(connection, self._names(operations))
        reserves = [one for one in operations if isinstance(one, Reserve)]
        self._read_caps(connection, [key for one in reserves for key in one.payer.scopes()])
        changes = _Changes()
        results = [self._one(operation, changes) for operation in operations]
        self._write(connection, changes)
        return results

    def _one(self, operation: Operation, changes: _Changes) -> Result:
        if isinstance(operation, Reserve):
            return self._reserve(operation, changes)
        if isinstance(operation, Settle):
            return self._settle(operation, changes)
        changes.denied.append(_denied_row(operation))
        return None

    # --- one operation -----------------------------------------------------------------------------------

    def _reserve(self, request: Reserve, changes: _Changes) -> Reservation | Short:
        day = day_of(request.at)
        chain = [
            account for scope, key in request.payer.scopes() for account in self._capped(scope, key, day)
        ]
        decision = rule.grant(chain, request.need)
        if not isinstance(decision, Granted):
            return decision
        row = _reservation_row(request, day, decision)
        self._book(names(row), Amount(), decision.held, changes)
        self._held[request.id] = row
        changes.reserved.append(row)
        return Reservation(request.id, decision.held, decision.answer_tokens)

    def _settle(self, request: Settle, changes: _Changes) -> Settled:
        row = self._held.pop(request.id, None)
        if row is None:
            return Settled(request.id, again=True)
        held = Amount(row["usd"], row["tokens"])
        usage, usd = _charged(row, request.outcome)
        used = Amount(usd, usage.tokens)
        self._book(names(row), used, Amount() - held, changes)
        above = used.usd > held.usd or used.tokens > held.tokens
        if above:
            changes.frozen.append(_frozen_row(row, request.at))
        changes.ended.append({"id": row["id"], "state": _STATES[request.outcome.source]})
        changes.usage.append(_usage_row(row, request, usage, usd))
        return Settled(request.id, above=above)

    def _book(self, where: Iterable[str], used: Amount, held: Amount, changes: _Changes) -> None:
        for one in where:
            before_used, before_held = self._accounts[one]
            self._accounts[one] = (before_used + used, before_held + held)
            changes.accounts.add(one)

    def _capped(self, scope: Scope, key: str, day: str) -> list[Account]:
        found = []
        for cap in self._caps[scope, key]:
            period = day if cap.period else ""
            used, held = self._accounts[name(scope, key, period)]
            found.append(replace(cap, period=period, used=used, held=held))
        return found

    # --- reading what is not remembered --------------------------------------------------------------------

    def _names(self, operations: Sequence[Operation]) -> set[str]:
        wanted: set[str] = set()
        for one in operations:
            if isinstance(one, Reserve):
                wanted.update(_names(one.payer, day_of(one.at)))
            elif isinstance(one, Settle) and one.id in self._held:
                wanted.update(names(self._held[one.id]))
        return wanted

    def _read_held(self, connection: Connection, ids: Sequence[str]) -> None:
        missing = [one for one in ids if one not in self._held]
        for some in _slices(missing):
            for row in connection.execute(_READ_HELD, {"ids": some}).mappings():
                self._held[row["id"]] = dict(row)

    def _read_accounts(self, connection: Connection, wanted: Iterable[str]) -> None:
        missing = [one for one in wanted if one not in self._accounts]
        for one in missing:
            self._accounts[one] = (Amount(), Amount())
        for some in _slices(missing):
            for row in connection.execute(_READ_ACCOUNTS, {"names": some}):
                self._accounts[row.name] = _amounts(row)

    def _read_caps(self, connection: Connection, wanted: Iterable[tuple[Scope, str]]) -> None:
        missing = {one for one in wanted if one not in self._caps}
        if missing:
            self._caps.update(read_caps(connection, missing))

    def _write(self, connection: Connection, changes: _Changes) -> None:
        if changes.reserved:
            connection.execute(_INSERT_RESERVATION, changes.reserved)
        if changes.ended:
            connection.execute(_END_RESERVATION, changes.ended)
            connection.execute(_INSERT_USAGE, changes.usage)
        if changes.frozen:
            connection.execute(_FREEZE, changes.frozen)
        if changes.denied:
            connection.execute(_DENY, changes.denied)
        if changes.accounts:
            rows = [_account_row(one, *self._accounts[one]) for one in sorted(changes.accounts)]
            connection.execute(_BOOK, rows)


# --- names and rows ---


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def day_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d")


def name(scope: Scope, key: str, period: str) -> str:
    return f"{scope.value}|{key}|{period}"


def _names(payer: Payer, day: str) -> list[str]:
    return [name(scope, key, period) for scope, key in payer.scopes() for period in ("", day)]


def names(row: dict[str, Any]) -> list[str]:
    """The accounts a reservation is booked in: each scope for all time and for its day."""
    payer = Payer(row["execution"], row["repository"], row["agent"], row["bottle"], row["parent"])
    return _names(payer, row["day"])


def _reservation_row(request: Reserve, day: str, granted: Granted) -> dict[str, Any]:
    return {
        "id": request.id,
        "owner": request.owner,
        "state": "held",
        "wire": request.wire,
        "execution": request.payer.execution,
        "repository": request.payer.repository,
        "agent": request.payer.agent,
        "bottle": request.payer.bottle,
        "parent": request.payer.parent,
        "purpose": request.purpose,
        "provider": request.provider,
        "model": request.model,
        "day": day,
        "at": stamp(request.at),
        "usd": granted.held.usd,
        "tokens": granted.held.tokens,
        "sent_tokens": request.need.sent_tokens,
        "prices": request.prices,
        "price_table": request.price_table,
    }


def _charged(row: dict[str, Any], outcome: Outcome) -> tuple[Usage, int]:
    """What to book: the provider's own figures, or everything that was held."""
    if outcome.usage is not None:
        return outcome.usage, outcome.usd
    return Usage(input=row["sent_tokens"], output=row["tokens"] - row["sent_tokens"]), row["usd"]


def _usage_row(row: dict[str, Any], request: Settle, usage: Usage, usd: int) -> dict[str, Any]:
    return {
        **usage.model_dump(),
        "reservation": row["id"],
        "execution": row["execution"],
        "cache_write_long": request.outcome.cache_write_long,
        "usd": usd,
        "source": request.outcome.source,
        "status": request.outcome.status,
        "at": stamp(request.at),
    }


def _frozen_row(row: dict[str, Any], at: datetime) -> dict[str, Any]:
    return {"provider": row["provider"], "model": row["model"], "reservation": row["id"], "at": stamp(at)}


def _denied_row(one: Denied) -> dict[str, Any]:
    return {
        "place": one.place,
        "wire": one.wire,
        "execution": one.execution,
        "kind": one.kind,
        "target": one.target[:_MOST_DENIED],
        "reason": one.reason[:_MOST_DENIED],
        "at": stamp(one.at),
    }


def _account_row(one: str, used: Amount, held: Amount) -> dict[str, Any]:
    return {
        "name": one,
        "used_usd": used.usd,
        "used_tokens": used.tokens,
        "held_usd": held.usd,
        "held_tokens": held.tokens,
    }


# --- reading ---


def read_caps(
    connection: Connection, wanted: Iterable[tuple[Scope, str]]
) -> dict[tuple[Scope, str], list[Account]]:
    """The caps of each (scope, key), the defaults where none is set; ``period`` is ``day`` or empty."""
    found: dict[tuple[Scope, str], list[Account]] = {one: [] for one in wanted}
    for some in _slices([key for _, key in found]):
        for row in connection.execute(_READ_CAPS, {"keys": some}):
            account = _account(Scope(row.scope), row.key, row.period, row.usd, row.tokens, bool(row.hard))
            if (account.scope, account.key) in found and account not in found[account.scope, account.key]:
                found[account.scope, account.key].append(account)
    for (scope, key), accounts in found.items():
        if not accounts and scope in DEFAULT_CAPS:
            period, cap = DEFAULT_CAPS[scope]
            usd = None if cap.usd is None else rule.nano(cap.usd)
            accounts.append(_account(scope, key, period, usd, cap.tokens, True))
    return found


def _account(scope: Scope, key: str, period: str, usd: int | None, tokens: int | None, hard: bool) -> Account:
    return Account(scope, key, "day" if period == "day" else "", usd, tokens, hard)


def capped(connection: Connection, scope: Scope, key: str, day: str) -> list[Account]:
    """Every capped account of one scope, with what is used and held."""
    found = []
    for cap in read_caps(connection, [(scope, key)])[scope, key]:
        period = day if cap.period else ""
        used, held = read_account(connection, name(scope, key, period))
        found.append(replace(cap, period=period, used=used, held=held))
    return found


def read_account(connection: Connection, one: str) -> tuple[Amount, Amount]:
    row = connection.execute(_READ_ACCOUNTS, {"names": [one]}).first()
    return (Amount(), Amount()) if row is None else _amounts(row)


def _amounts(row: Any) -> tuple[Amount, Amount]:
    return Amount(row.used_usd, row.used_tokens), Amount(row.held_usd, row.held_tokens)


def _slices(items: Sequence[Any], size: int = 500) -> Iterable[Sequence[Any]]:
    """SQLite binds a limited number of values in one statement."""
    return (items[start : start + size] for start in range(0, len(items), size))


_STATES = {"provider": "settled", "estimate": "charged", "released": "released"}

_READ_HELD = text("SELECT * FROM budget_reservations WHERE state = 'held' AND id IN :ids").bindparams(
    bindparam("ids", expanding=True)
)
_READ_ACCOUNTS = text("SELECT * FROM budget_accounts WHERE name IN :names").bindparams(
    bindparam("names", expanding=True)
)
_READ_CAPS = text("SELECT * FROM budget_caps WHERE key IN :keys").bindparams(
    bindparam("keys", expanding=True)
)
_INSERT_RESERVATION = text("""
INSERT INTO budget_reservations (id, owner, state, wire, execution, repository, agent, bottle, parent,
purpose, provider, model, day, at, usd, tokens, sent_tokens, prices, price_table)
VALUES (:id, :owner, :state, :wire, :execution, :repository, :agent, :bottle, :parent, :purpose,
  :provider, :model, :day, :at, :usd, :tokens, :sent_tokens, :prices, :price_table)""")
_END_RESERVATION = text("UPDATE budget_reservations SET state = :state WHERE id = :id AND state = 'held'")
_INSERT_USAGE = text("""
INSERT INTO budget_usage (reservation, execution, input, cache_read, cache_write, cache_write_long, output,
reasoning, tool_input, requests, usd, source, status, at)
VALUES (:reservation, :execution, :input, :cache_read, :cache_write, :cache_write_long, :output, :reasoning,
  :tool_input, :requests, :usd, :source, :status, :at)""")
_FREEZE = text("""
INSERT INTO budget_frozen (provider, model, reservation, at) VALUES (:provider, :model, :reservation, :at)
ON CONFLICT (provider, model) DO NOTHING""")
_BOOK = text("""
INSERT INTO budget_accounts (name, used_usd, used_tokens, held_usd, held_tokens)
VALUES (:name, :used_usd, :used_tokens, :held_usd, :held_tokens)
ON CONFLICT (name) DO UPDATE SET used_usd = excluded.used_usd, used_tokens = excluded.used_tokens,
  held_usd = excluded.held_usd, held_tokens = excluded.held_tokens""")
_DENY = text("""
INSERT INTO wire_denials (place, wire, kind, target, execution, reason, count, at)
VALUES (:place, :wire, :kind, :target, :execution, :reason, 1, :at)
ON CONFLICT (place, wire, kind, target) DO UPDATE
SET count = wire_denials.count + 1, reason = excluded.reason, at = excluded.at""")
