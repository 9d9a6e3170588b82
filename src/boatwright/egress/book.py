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
from typing import Any

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
from boatwright.egress.pen import Pen
from boatwright.rules import budget as rule
from boatwright.rules.budget import Account, Amount, Granted, Need, Scope, Short
from boatwright.values.usage import Cap, Usage

DEFAULT_CAPS: dict[Scope, tuple[str, Cap]] = {
    Scope.EXECUTION: ("total", Cap(usd=Decimal(5))),
    Scope.HOST: ("day", Cap(usd=Decimal(50))),
}
"""What stands where nobody set a cap; both hard."""

DAILY = frozenset(Scope) - {Scope.EXECUTION}
"""Scopes that may have a cap per day as well: an execution has one, for all its time."""

LARGEST_BATCH = 1_000
"""Operations in one transaction; ids of usage rows are the head's version times 4,096, and a number below
that.
"""

_REMEMBERED = 20_000
_LONGEST_TEXT = 500

Booked = list[int]
"""used dollars, used tokens, held dollars, held tokens"""

Change = tuple[int, int, int, int]
"""What is added to each of them."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A call without an outcome: its row, and what a settlement needs of it."""

    row: Row
    """The columns of ``tables.CALL``, in order."""
    accounts: tuple[str, ...]
    amount: Amount
    sent_tokens: int


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
        self._chains: dict[tuple[Payer, str], list[tuple[Account, Booked]]] = {}
        self._held: dict[str, Held] = {}

    def apply(self, pen: Pen, operations: Sequence[Operation]) -> list[Result]:
        """All operations in order; ``pen`` is inside a transaction that is this batch's alone."""
        self._open(int(pen.run(_HEAD)[0][0]))
        self._read(pen, operations)
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
        at = stamp(request.at)
        day = at[:10]
        chain = self._chain(request.payer, day)
        decision = whole(chain, request.need) or rule.grant(
            [_filled(cap, day, booked) for cap, booked in chain], request.need
        )
        if not isinstance(decision, Granted):
            return decision
        held = _held(request, day, decision)
        self._book(held.accounts, (0, 0, held.amount.usd, held.amount.tokens), changes)
        self._held[request.id] = held
        changes.held[request.id] = (*held.row, at)
        return Reservation(request.id, decision.held, decision.answer_tokens)

    def _settle(self, request: Settle, changes: _Changes) -> Settled:
        held = self._held.pop(request.id, None)
        if held is None:
            return Settled(request.id, again=True)
        usage, usd = _charged(held, request.outcome)
        tokens = usage.tokens
        change = (usd, tokens, -held.amount.usd, -held.amount.tokens)
        self._book(held.accounts, change, changes)
        if changes.held.pop(request.id, None) is None:
            changes.ended.append((request.id,))
        above = usd > held.amount.usd or tokens > held.amount.tokens
        if above:
            changes.frozen.append(_frozen_row(held, request.at))
        number = (self._version << 12) + len(changes.usage)
        changes.usage.append(_usage_row(held, request, number, usage, usd))
        return Settled(request.id, above=above)

    def _book(self, where: Sequence[str], change: Change, changes: _Changes) -> None:
        used_usd, used_tokens, held_usd, held_tokens = change
        for one in where:
            booked = self._accounts[one]
            booked[0] += used_usd
            booked[1] += used_tokens
            booked[2] += held_usd
            booked[3] += held_tokens
        changes.accounts.update(where)

    def _chain(self, payer: Payer, day: str) -> list[tuple[Account, Booked]]:
        """The caps that a payer's calls of ``day`` stand under, each with its account as it stands."""
        found = self._chains.get((payer, day))
        if found is None:
            found = self._chains[payer, day] = [
                (cap, self._accounts[name(cap.scope, cap.key, day if cap.period else "")])
                for one in scopes(payer)
                for cap in self._caps[one]
            ]
        return found

    # --- reading what is not remembered, writing what has changed ------------------------------------------

    def _read(self, pen: Pen, operations: Sequence[Operation]) -> None:
        """Remember what this batch needs to know."""
        accounts: set[str] = set()
        payers: set[Payer] = set()
        unknown: list[str] = []
        for one in operations:
            if isinstance(one, Reserve):
                accounts.update(names(one.payer, day_of(one.at)))
                payers.add(one.payer)
            elif isinstance(one, Settle):
                held = self._held.get(one.id)
                if held is None:
                    unknown.append(one.id)
                else:
                    accounts.update(held.accounts)
        if unknown:
            accounts.update(*self._read_held(pen, unknown))
        if missing := accounts - self._accounts.keys():
            self._read_accounts(pen, sorted(missing))
        if payers:
            self._read_caps(pen, payers)

    def _read_held(self, pen: Pen, unknown: Sequence[str]) -> list[tuple[str, ...]]:
        found = [_read_held(row) for row in pen.select_in(_READ_HELD, unknown)]
        self._held.update({held.row[0]: held for held in found})
        return [held.accounts for held in found]

    def _read_accounts(self, pen: Pen, missing: Sequence[str]) -> None:
        for one in missing:
            self._accounts[one] = [0, 0, 0, 0]
        for row in pen.select_in(_READ_ACCOUNTS, missing):
            self._accounts[row[0]] = list(row[1:])

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
            pen.run_all(_BOOK, [(one, *self._accounts[one]) for one in sorted(changes.accounts)])


# --- names ---


def stamp(at: datetime) -> str:
    """A moment as a row has it. Its first ten characters are the day it is charged to, in UTC."""
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).isoformat(timespec="microseconds")


def day_of(at: datetime) -> str:
    return (at if at.tzinfo is UTC else at.astimezone(UTC)).date().isoformat()


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


# --- rows ---


def caps(one: tuple[Scope, str], rows: Iterable[Row]) -> list[Account]:
    """The caps of one (scope, key) among ``rows``, the default where none is set; ``period`` is ``day`` or
    empty.
    """
    scope, key = one
    found = [
        Account(scope, key, "day" if period == "day" else "", usd, tokens, bool(hard))
        for row_scope, row_key, period, usd, tokens, hard in rows
        if (row_scope, row_key) == one
    ]
    if not found and scope in DEFAULT_CAPS:
        when, cap = DEFAULT_CAPS[scope]
        usd = None if cap.usd is None else rule.nano(cap.usd)
        found.append(Account(scope, key, "day" if when == "day" else "", usd, cap.tokens, True))
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


def whole(chain: Sequence[tuple[Account, Booked]], need: Need) -> Granted | None:
    """The grant of an answer as large as asked for, when that fits under every cap, binding or not; None:
    ask the rule.

    The usual case, decided on four numbers per cap; what it answers is what ``rule.grant`` would.
    """
    amount = need.amount(need.most)
    for cap, booked in chain:
        if cap.limit_usd is not None and not (
            need.priced and booked[0] + booked[2] + amount.usd <= cap.limit_usd
        ):
            return None
        if cap.limit_tokens is not None and booked[1] + booked[3] + amount.tokens > cap.limit_tokens:
            return None
    return Granted(need.most, amount) if need.least <= need.most and any(c.capped for c, _ in chain) else None


def filled(cap: Account, day: str, booked: Sequence[int]) -> Account:
    """A cap with what is used and held in its account of ``day``."""
    return _filled(cap, day, list(booked) or [0, 0, 0, 0])


def _held(request: Reserve, day: str, granted: Granted) -> Held:
    amount = granted.held
    row = (
        request.id, request.owner, request.wire, *request.payer, request.purpose, request.provider,
        request.model, day, amount.usd, amount.tokens, request.need.sent_tokens, request.prices,
        request.price_table,
    )  # fmt: skip
    return Held(row, names(request.payer, day), amount, request.need.sent_tokens)


def _read_held(row: Row) -> Held:
    named = dict(zip(tables.CALL, row, strict=False))
    payer = Payer(*(named[column] for column in tables.PAYER))
    amount = Amount(named["reserved_usd"], named["reserved_tokens"])
    return Held(row[: len(tables.CALL)], names(payer, named["day"]), amount, named["sent_tokens"])


def _charged(held: Held, outcome: Outcome) -> tuple[Usage, int]:
    """What to book: the provider's own figures, or everything that was held."""
    if outcome.usage is not None:
        return outcome.usage, outcome.usd
    return Usage(input=held.sent_tokens, output=held.amount.tokens - held.sent_tokens), held.amount.usd


def _usage_row(held: Held, request: Settle, number: int, usage: Usage, usd: int) -> Row:
    outcome = request.outcome
    return (
        *held.row, number, usage.input, usage.cache_read, usage.cache_write, outcome.cache_write_long,
        usage.output, usage.reasoning, usage.tool_input, usage.requests, usd, outcome.source, outcome.status,
        stamp(request.at),
    )  # fmt: skip


def _frozen_row(held: Held, at: datetime) -> Row:
    named = dict(zip(tables.CALL, held.row, strict=True))
    return (named["provider"], named["model"], named["reservation"], stamp(at))


def _denied_row(one: Denied) -> Row:
    target, reason = one.target[:_LONGEST_TEXT], one.reason[:_LONGEST_TEXT]
    return (one.place, one.wire, one.kind, target, one.execution, reason, stamp(one.at))


def _insert(table: str, columns: Sequence[str]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names of our own


_HEAD = "UPDATE budget_head SET version = version + 1 WHERE id = 1 RETURNING version"
_READ_HELD = f"SELECT {', '.join(tables.CALL)} FROM budget_held WHERE reservation IN (…)"  # noqa: S608
READ_ACCOUNT = "SELECT used_usd, used_tokens, held_usd, held_tokens FROM budget_accounts WHERE name = :name"
_READ_ACCOUNTS = (
    "SELECT name, used_usd, used_tokens, held_usd, held_tokens FROM budget_accounts WHERE name IN (…)"
)
READ_CAPS = "SELECT scope, key, period, usd, tokens, hard FROM budget_caps WHERE key = :key"
_READ_CAPS = "SELECT scope, key, period, usd, tokens, hard FROM budget_caps WHERE key IN (…)"
_HOLD = _insert("budget_held", (*tables.CALL, "at"))
_END = "DELETE FROM budget_held WHERE reservation = ?"
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
