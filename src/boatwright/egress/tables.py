"""The tables of the budgets database, in SQLAlchemy Core: one definition for SQLite and PostgreSQL.

Money is nano-dollars, times are ISO 8601 in UTC, days are ``YYYY-MM-DD`` in UTC. Whoever writes first
updates the one row of ``budget_head``; so writers queue there and every later read of theirs sees the truth.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

metadata = MetaData()

PAYER = ("execution", "repository", "agent", "bottle", "parent")
COUNTS = (
    "input", "cache_read", "cache_write", "cache_write_long", "output", "reasoning", "tool_input", "requests",
)  # fmt: skip
CALL = (
    "reservation", "owner", "wire", *PAYER, "purpose", "provider", "model", "day",
    "reserved_usd", "reserved_tokens", "sent_tokens", "prices", "price_table",
)  # fmt: skip
"""What is known of a call when it is reserved, in the order of its columns."""


def _amount(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


head = Table(
    "budget_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

caps = Table(
    "budget_caps",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("period", Text, primary_key=True),
    Column("usd", BigInteger),
    Column("tokens", BigInteger),
    Column("hard", Boolean, nullable=False),
)
"""``period`` is ``total`` or ``day``."""

accounts = Table(
    "budget_accounts",
    metadata,
    Column("name", Text, primary_key=True),
    _amount("used_usd"),
    _amount("used_tokens"),
    _amount("held_usd"),
    _amount("held_tokens"),
    sqlite_with_rowid=False,
)
"""``name`` is scope, key and day, joined by bars; no day is all time."""


def _call() -> list[Column[Any]]:
    numbers = {"reserved_usd", "reserved_tokens", "sent_tokens"}
    rest = (_amount(name) if name in numbers else _text(name) for name in CALL[1:])
    return [Column("reservation", Text, primary_key=True), *rest]


held = Table("budget_held", metadata, *_call(), _text("at"), sqlite_with_rowid=False)
"""Calls without an outcome. A row leaves in the transaction that writes its usage row, so neither is there
twice.
"""

usage = Table(
    "budget_usage",
    metadata,
    *_call(),
    Column("id", BigInteger, nullable=False),
    *(_amount(name) for name in COUNTS),
    _amount("usd"),
    _text("source"),
    Column("status", Integer, nullable=False, server_default="0"),
    _text("at"),
    sqlite_with_rowid=False,
)
"""One row per reservation that came to an end; ``id`` grows in the order of commits."""

Index("budget_usage_execution", usage.c.execution, usage.c.id)

frozen = Table(
    "budget_frozen",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    _text("reservation"),
    _text("at"),
)
"""Models whose provider billed above its own stated bound: no call goes there until a person says so."""

wires = Table(
    "wires",
    metadata,
    Column("place", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    _text("spec"),
    _text("at"),
)
"""Open wires: they outlive the proxy. ``place`` is the state directory's id, since hosts may share a
database.
"""

cuts = Table(
    "wire_cuts",
    metadata,
    Column("account", Text, primary_key=True),
    *(_text(name) for name in ("policy", "cause", "sentence", "wire", "by", "at")),
    Column("done", Boolean, nullable=False),
)
"""Accounts whose calls are cut. A row stays until a budget is raised, or work goes on that it was carried out for."""

denials = Table(
    "wire_denials",
    metadata,
    Column("place", Text, primary_key=True),
    Column("wire", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    _text("execution"),
    _text("reason"),
    Column("count", BigInteger, nullable=False, server_default="1"),
    _text("at"),
)
"""What a wire refused, counted per target so that nobody can fill a disk by asking again."""
