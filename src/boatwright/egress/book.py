"""The open book of one writer: accounts and caps as of its last transaction, and what a batch changes in
them.

The head row's version tells whether anybody else wrote since; if not, what is remembered is the truth and
a batch reads nothing. One batch is a handful of statements whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from boatwright.egress import tables
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
from boatwright.egress.pen import Pen, Row
from boatwright.rules import budget as rule
from boatwright.rules.budget import Account, Amount, Granted, Scope, Short
from boatwright.values.usage import Cap, Usage

DEFAULT_CAPS: dict[Scope, tuple[str, Cap]] = {
    Scope.EXECUTION: ("total", Cap(usd=Decimal(5))),
    Scope.HOST: ("day", Cap(usd=Decimal(50))),
}
"""What stands where nobody set a cap; both hard."""

DAILY = frozenset({Scope.AGENT, Scope.REPOSITORY, Scope.HOST})
"""Scopes that outlive a day: these may have a cap per day as well."""

LARGEST_BATCH = 1_000
"""Operations in one transaction; ids of usage rows are the head's version times 4,096, and a number below
that.
"""

_REMEMBERED = 20_000
_LONGEST_TEXT = 500

Booked = list[int]
"""used dollars, used tokens, held dollars, held tokens"""


@dataclass(slots=True)
class _Changes:
    """Rows a batch writes, each list in one statement."""

    accounts: set[str] = field(default_factory=set)
    held: dict[str, Row] = field(default_factory=dict)
    ended: list[Row] = field(default_factory=list)
    usage: list[Row] = field(default_factory=list)
    frozen: list[Row] = field(default_factory=list)
    denied: list[Row] = field(default_factory=list)


class Book:
    """What one writer remembers between its transactions. Not safe to share by threads."""

    def __init__(self) -> None:
        self._version = -1
        self._accounts: dict[str, Booked] = {}
        self._caps: dict[tuple[Scope, str], list[Account]] = {}
        self._chains: dict[Payer, list[Account]] = {}
        self._held: dict[str, Row] = {}

    def apply(self, pen: Pen, operations: Sequence[Operation]) -> list[Result]:
        """All operations in order; ``pen`` is inside a transaction that is this batch's alone."""
        self._open(int(pen.run(_HEAD)[0]["version"]))
        self._read_held(pen, [one.id for one in operations if isinstance(one, Settle)])
        self._read_accounts(pen, self._names(operations))
        reserves = [one for one in operations if isinstance(one, Reserve)]
        self._read_caps(pen, {one.payer for one in reserves} - self._chains.keys())
        changes = _Changes()
        results = [self._one(operation, changes) for operation in operations]
        self._write(pen, changes)
        return results

    def _open(self, version: int) -> None:
        """Forget everything if somebody else wrote since."""
        if version != self._version + 1 or len(self._accounts) > _REMEMBERED:
            self._accounts.clear()
            self._caps.clear()
            self._chains.clear()
            self._held.clear()
        self._version = version

    # --- one operation -----------------------------------------------------------------------------------

    def _one(self, operation: Operation, changes: _Changes) -> Result:
        if isinstance(operation, Reserve):
            return self._reserve(operation, changes)
        if isinstance(operation, Settle):
            return self._settle(operation, changes)
        changes.denied.append(_denied_row(operation))
        return None

    def _reserve(self, request: Reserve, changes: _Changes) -> Reservation | Short:
        day = day_of(request.at)
        decision = rule.grant(self._capped(request.payer, day), request.need)
        if not isinstance(decision, Granted):
            return decision
        row = _held_row(request, day, decision)
        self._book(names(request.payer, day), (0, 0, decision.held.usd, decision.held.tokens), changes)
        self._held[request.id] = row
        changes.held[request.id] = row
        return Reservation(request.id, decision.held, decision.answer_tokens)

    def _settle(self, request: Settle, changes: _Changes) -> Settled:
        row = self._held.pop(request.id, None)
        if row is None:
            return Settled(request.id, again=True)
        usage, usd = _charged(row, request.outcome)
        usd_held, tokens_held = row["reserved_usd"], row["reserved_tokens"]
        self._book(names(_payer(row), row["day"]), (usd, usage.tokens, -usd_held, -tokens_held), changes)
        if changes.held.pop(request.id, None) is None:
            changes.ended.append({"reservation": request.id})
        above = usd > usd_held or usage.tokens > tokens_held
        if above:
            changes.frozen.append(_frozen_row(row, request.at))
        number = (self._version << 12) + len(changes.usage)
        changes.usage.append(_usage_row(row, request, usage, usd) | {"id": number})
        return Settled(request.id, above=above)

    def _book(self, where: Iterable[str], change: tuple[int, int, int, int], changes: _Changes) -> None:
        used_usd, used_tokens, held_usd, held_tokens = change
        for one in where:
            booked = self._accounts[one]
            booked[0] += used_usd
            booked[1] += used_tokens
            booked[2] += held_usd
            booked[3] += held_tokens
            changes.accounts.add(one)

    def _capped(self, payer: Payer, day: str) -> list[Account]:
        """The capped accounts of a payer, as they stand."""
        found = self._chains.get(payer)
        if found is None:
            found = self._chains[payer] = [cap for one in scopes(payer) for cap in self._caps[one]]
        return [
            _filled(cap, day, self._accounts[name(cap.scope, cap.key, day if cap.period else "")])
            for cap in found
        ]

    # --- reading what is not remembered, writing what has changed ------------------------------------------

    def _names(self, operations: Sequence[Operation]) -> set[str]:
        wanted: set[str] = set()
        for one in operations:
            if isinstance(one, Reserve):
                wanted.update(names(one.payer, day_of(one.at)))
            elif isinstance(one, Settle) and one.id in self._held:
                row = self._held[one.id]
                wanted.update(names(_payer(row), row["day"]))
        return wanted

    def _read_held(self, pen: Pen, ids: Sequence[str]) -> None:
        missing = [one for one in ids if one not in self._held]
        for row in pen.select_in(_READ_HELD, missing):
            self._held[row["reservation"]] = row

    def _read_accounts(self, pen: Pen, wanted: Iterable[str]) -> None:
        missing = [one for one in wanted if one not in self._accounts]
        for one in missing:
            self._accounts[one] = [0, 0, 0, 0]
        for row in pen.select_in(_READ_ACCOUNTS, missing):
            self._accounts[row["name"]] = _booked(row)

    def _read_caps(self, pen: Pen, payers: Iterable[Payer]) -> None:
        missing = {one for payer in payers for one in scopes(payer) if one not in self._caps}
        if missing:
            rows = list(pen.select_in(_READ_CAPS, sorted({key for _, key in missing})))
            self._caps.update({one: caps(one, rows) for one in missing})

    def _write(self, pen: Pen, changes: _Changes) -> None:
        if changes.held:
            pen.run_all(_HOLD, list(changes.held.values()))
        if changes.ended:
            pen.run_all(_END, changes.ended)
        if changes.usage:
            pen.run_all(_USE, changes.usage)
        if changes.frozen:
            pen.run_all(_FREEZE, changes.frozen)
        if changes.denied:
            pen.run_all(_DENY, changes.denied)
        if changes.accounts:
            pen.run_all(_BOOK, [_account_row(one, self._accounts[one]) for one in sorted(changes.accounts)])


# --- names ---


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def day_of(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def name(scope: Scope, key: str, period: str) -> str:
    """The account of a scope: for all time, or for a day."""
    return f"{scope.value}|{key}|{period}"


@lru_cache(maxsize=4_096)
def scopes(payer: Payer) -> tuple[tuple[Scope, str], ...]:
    return tuple(payer.scopes())


@lru_cache(maxsize=4_096)
def names(payer: Payer, day: str) -> tuple[str, ...]:
    """The accounts a call is booked in: each scope for all time, and some for the day of its reservation."""
    ever = [name(scope, key, "") for scope, key in payer.scopes()]
    return (*ever, *(name(scope, key, day) for scope, key in payer.scopes() if scope in DAILY))


def _payer(row: Row) -> Payer:
    return Payer(*(row[column] for column in tables.PAYER))


# --- rows ---


def caps(one: tuple[Scope, str], rows: Iterable[Row]) -> list[Account]:
    """The caps of one (scope, key) among ``rows``, the default where none is set; ``period`` is ``day`` or
    empty.
    """
    scope, key = one
    found = [
        Account(
            scope, key, "day" if row["period"] == "day" else "", row["usd"], row["tokens"], bool(row["hard"])
        )
        for row in rows
        if (row["scope"], row["key"]) == one
    ]
    if not found and scope in DEFAULT_CAPS:
        period, cap = DEFAULT_CAPS[scope]
        usd = None if cap.usd is None else rule.nano(cap.usd)
        found.append(Account(scope, key, "day" if period == "day" else "", usd, cap.tokens, True))
    return found


def _filled(cap: Account, day: str, booked: Booked) -> Account:
    return Account(
        scope=cap.scope,
        key=cap.key,
        period=day if cap.period else "",
        limit_usd=cap.limit_usd,
        limit_tokens=cap.limit_tokens,
        hard=cap.hard,
        used=Amount(booked[0], booked[1]),
        held=Amount(booked[2], booked[3]),
    )


def filled(cap: Account, day: str, row: Row | None) -> Account:
    """A cap with what is used and held in its account of ``day``."""
    return _filled(cap, day, _booked(row) if row else [0, 0, 0, 0])


def _booked(row: Row) -> Booked:
    return [row["used_usd"], row["used_tokens"], row["held_usd"], row["held_tokens"]]


def _held_row(request: Reserve, day: str, granted: Granted) -> Row:
    payer = request.payer
    return {
        "reservation": request.id,
        "owner": request.owner,
        "wire": request.wire,
        "execution": payer.execution,
        "repository": payer.repository,
        "agent": payer.agent,
        "bottle": payer.bottle,
        "parent": payer.parent,
        "purpose": request.purpose,
        "provider": request.provider,
        "model": request.model,
        "day": day,
        "reserved_usd": granted.held.usd,
        "reserved_tokens": granted.held.tokens,
        "sent_tokens": request.need.sent_tokens,
        "prices": request.prices,
        "price_table": request.price_table,
        "at": stamp(request.at),
    }


def _charged(row: Row, outcome: Outcome) -> tuple[Usage, int]:
    """What to book: the provider's own figures, or everything that was held."""
    if outcome.usage is not None:
        return outcome.usage, outcome.usd
    sent, whole = row["sent_tokens"], row["reserved_tokens"]
    return Usage(input=sent, output=whole - sent), row["reserved_usd"]


def _usage_row(row: Row, request: Settle, usage: Usage, usd: int) -> Row:
    return {
        **row,
        **usage.__dict__,
        "cache_write_long": request.outcome.cache_write_long,
        "usd": usd,
        "source": request.outcome.source,
        "status": request.outcome.status,
        "at": stamp(request.at),
    }


def _frozen_row(row: Row, at: datetime) -> Row:
    call = {column: row[column] for column in ("provider", "model", "reservation")}
    return {**call, "at": stamp(at)}


def _denied_row(one: Denied) -> Row:
    return {
        "place": one.place,
        "wire": one.wire,
        "execution": one.execution,
        "kind": one.kind,
        "target": one.target[:_LONGEST_TEXT],
        "reason": one.reason[:_LONGEST_TEXT],
        "at": stamp(one.at),
    }


def _account_row(one: str, booked: Booked) -> Row:
    used_usd, used_tokens, held_usd, held_tokens = booked
    return {
        "name": one,
        "used_usd": used_usd,
        "used_tokens": used_tokens,
        "held_usd": held_usd,
        "held_tokens": held_tokens,
    }


def _insert(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(':' + one for one in columns)})"  # noqa: S608


_HEAD = "UPDATE budget_head SET version = version + 1 WHERE id = 1 RETURNING version"
_READ_HELD = "SELECT * FROM budget_held WHERE reservation IN (…)"
_READ_ACCOUNTS = "SELECT * FROM budget_accounts WHERE name IN (…)"
_READ_CAPS = "SELECT * FROM budget_caps WHERE key IN (…)"
_HOLD = _insert("budget_held", (*tables.CALL, "at"))
_END = "DELETE FROM budget_held WHERE reservation = :reservation"
_USE = _insert("budget_usage", (*tables.CALL, "id", *tables.COUNTS, "usd", "source", "status", "at"))
_FREEZE = (
    _insert("budget_frozen", ("provider", "model", "reservation", "at"))
    + " ON CONFLICT (provider, model) DO NOTHING"
)
_BOOK = (
    _insert("budget_accounts", ("name", "used_usd", "used_tokens", "held_usd", "held_tokens"))
    + " ON CONFLICT (name) DO UPDATE SET used_usd = excluded.used_usd, used_tokens = excluded.used_tokens,"
    " held_usd = excluded.held_usd, held_tokens = excluded.held_tokens"
)
_DENY = (
    _insert("wire_denials", ("place", "wire", "kind", "target", "execution", "reason", "at"))
    + " ON CONFLICT (place, wire, kind, target) DO UPDATE"
    " SET count = wire_denials.count + 1, reason = excluded.reason, at = excluded.at"
)
