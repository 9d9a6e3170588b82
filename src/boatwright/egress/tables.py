"""The tables of the budgets database, in SQLAlchemy Core: one definition for SQLite and PostgreSQL.

Money is nano-dollars, times are ISO 8601 in UTC, days are ``YYYY-MM-DD`` in UTC. Whoever writes first
updates the one row of ``budget_head``; so writers queue there and every later read of theirs sees the truth.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, MetaData, Table, Text

metadata = MetaData()

_Counter = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER primary key


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
)
"""``name`` is scope, key and day, joined by bars; no day is all time."""

reservations = Table(
    "budget_reservations",
    metadata,
    Column("id", Text, primary_key=True),
    _text("owner"),
    _text("state"),
    _text("wire"),
    _text("execution"),
    _text("repository"),
    _text("agent"),
    _text("bottle"),
    _text("parent"),
    _text("purpose"),
    _text("provider"),
    _text("model"),
    _text("day"),
    _text("at"),
    _amount("usd"),
    _amount("tokens"),
    _amount("sent_tokens"),
    _text("prices"),
    _text("price_table"),
)
"""``state``: held, settled (the provider said what it cost), charged (nobody did: in full), released
(never sent).
"""

Index(
    "budget_reservations_held",
    reservations.c.owner,
    sqlite_where=reservations.c.state == "held",
    postgresql_where=reservations.c.state == "held",
)

usage = Table(
    "budget_usage",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("reservation", Text, nullable=False, unique=True),
    Column("execution", Text, nullable=False),
    _amount("input"),
    _amount("cache_read"),
    _amount("cache_write"),
    _amount("cache_write_long"),
    _amount("output"),
    _amount("reasoning"),
    _amount("tool_input"),
    _amount("requests"),
    _amount("usd"),
    _text("source"),
    Column("status", Integer, nullable=False, server_default="0"),
    _text("at"),
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

denials = Table(
    "wire_denials",
    metadata,
    Column("place", Text, primary_key=True),
    Column("wire", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("target", Text, primary_key=True),
    _text("execution"),
    _text("reason"),
    _amount("count"),
    _text("at"),
)
"""What a wire refused, counted per target so that nobody can fill a disk by asking again."""
