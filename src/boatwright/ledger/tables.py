"""The ledger's tables, in SQLAlchemy Core: one definition for SQLite and PostgreSQL.

Events are the truth; executions are a fold of them. Inbox, leases, turns and the local forge are truth
themselves. Every time is text, ISO 8601 in UTC with microseconds, so that it sorts and is the same on both
databases; only leases count in floating seconds since 1970. JSON is canonical text (:func:`canonical`). The
migration that makes these tables is written by hand, and a test holds it against this module.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
)

metadata = MetaData()

REVISIONS = {"ledger": "0006"}
"""The Alembic revision this release's tables stand at."""

_Counter = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only an INTEGER primary key

ledger_head = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)
"""One row, id 1: the last position given out. Whoever appends holds this row first."""

stream_heads = Table(
    "stream_heads",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("causation_id", Text),
    Column("correlation_id", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("schema_version", Integer, nullable=False),
    Column("producer", Text, nullable=False),
    Column("tenant", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("hash", Text, nullable=False),
    UniqueConstraint("position", name="events_position"),
    UniqueConstraint("event_id", name="events_event_id"),
    UniqueConstraint("stream", "key", name="events_stream_key"),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("repository", Text, nullable=False),
    Column("issue", Integer),
    Column("pull_request", Integer),
    Column("state", Text, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("view", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("created", Text, nullable=False),
    Column("updated", Text, nullable=False),
)
_one_live = and_(executions.c.finished == false(), executions.c.issue.is_not(None))
Index(
    "executions_one_live_per_issue",
    executions.c.repository,
    executions.c.issue,
    unique=True,
    sqlite_where=_one_live,
    postgresql_where=_one_live,
)

Index("executions_pull_request", executions.c.repository, executions.c.pull_request)
Index("executions_created", executions.c.created)

ledger_signatures = Table(
    "ledger_signatures",
    metadata,
    Column("public_key", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", Text, nullable=False),
    Column("signed", Text, nullable=False),
    Column("signature", Text, nullable=False),
)
"""Signed heads: what every stream ended with when the ledger stood at ``position``."""

inbox = Table(
    "inbox",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("execution", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sender_key", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("taken_turn", Integer),
    UniqueConstraint("execution", "sender_key", name="inbox_execution_sender_key"),
    sqlite_autoincrement=True,
)

leases = Table(
    "leases",
    metadata,
    Column("worker", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("release", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("beat", Double, nullable=False),
)

live_turns = Table(
    "live_turns",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("turn", Integer, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("release", Text, nullable=False),
    Column("claimed", Text, nullable=False),
)

turn_numbers = Table(
    "turn_numbers",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("last", Integer, nullable=False),
)

forge_repositories = Table(
    "forge_repositories",
    metadata,
    Column("name", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("default_branch", Text, nullable=False),
    Column("created", Text, nullable=False),
)

forge_numbers = Table(
    "forge_numbers",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("last", Integer, nullable=False),
)

forge_issues = Table(
    "forge_issues",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("created", Text, nullable=False),
)

forge_pulls = Table(
    "forge_pulls",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("author", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("draft", Boolean, nullable=False),
    Column("branch", Text, nullable=False),
    Column("base_ref", Text, nullable=False),
    Column("head", Text, nullable=False),
    Column("issue", Integer),
    Column("created", Text, nullable=False),
    Column("merged_commit", Text),
)

forge_comments = Table(
    "forge_comments",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("repository", Text, nullable=False),
    Column("number", Integer, nullable=False),
    Column("author", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("marker", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("edited", Text),
    sqlite_autoincrement=True,
)
Index("forge_comments_thread", forge_comments.c.repository, forge_comments.c.number)

forge_checks = Table(
    "forge_checks",
    metadata,
    Column("external_id", Text, primary_key=True),
    Column("repository", Text, nullable=False),
    Column("commit", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("conclusion", Text, nullable=False),
    Column("summary", Text, nullable=False),
    Column("updated", Text, nullable=False),
)
Index("forge_checks_commit", forge_checks.c.repository, forge_checks.c.commit)

asks = Table(
    "asks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("bottle", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("wanted", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("answered", Text),
    UniqueConstraint("account", "key", name="asks_account_key"),
)
"""What agents asked people for. ``key`` is a digest of what is asked, so that a call made twice is one row."""
Index("asks_state", asks.c.state, asks.c.created)

operators = Table(
    "operators",
    metadata,
    Column("name", Text, primary_key=True),
    Column("beat", Text, nullable=False),
)
"""Who watches, and when they last said so."""

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("name", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("revoked", Text),
    Column("used", Text),
    UniqueConstraint("hash", name="api_tokens_hash"),
)
"""Who may call the API: the SHA-256 of each token, never the token."""

switches = Table(
    "switches",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("off", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Text, nullable=False),
)
"""What is switched off: ``*``, or a repository by its id. A scope nobody ever switched has no row, and is on."""

repositories = Table(
    "repositories",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("forge", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("added", Text, nullable=False),
    Column("active", Boolean, nullable=False),
)
"""Which repositories are served, and where people talk about each. ``previous`` are paths it had before a rename."""
_served = and_(repositories.c.active, repositories.c.path != "")
Index(
    "repositories_one_per_place",
    repositories.c.forge,
    repositories.c.base_url,
    repositories.c.path,
    unique=True,
    sqlite_where=_served,
    postgresql_where=_served,
)
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Counter, primary_key=True, autoincrement=True),
    Column("forge", Text, nullable=False),
    Column("hook", Text, nullable=False),
    Column("delivery", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("signer", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", Text),
    Column("outcome", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("about", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("received", Text, nullable=False),
    Column("finished", Text),
    UniqueConstraint("delivery", "forge", "hook", name="deliveries_key"),
    sqlite_autoincrement=True,
)
"""What forges sent, with the original bytes until retention drops those of what is processed."""
Index("deliveries_state", deliveries.c.state, deliveries.c.id)

watched_issues = Table(
    "watched_issues",
    metadata,
    Column("repository", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("labels", Text, nullable=False),
    Column("assignees", Text, nullable=False),
    Column("changed", Text, nullable=False),
    Column("asked", Text, nullable=False),
    Column("execution", Text, nullable=False),
    Column("delivery", Text, nullable=False),
)
"""What was last heard of an issue, and the execution that its newest request was given."""

notices = Table(
    "notices",
    metadata,
    Column("execution", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("channel", Text, primary_key=True),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_try", Text),
    Column("error", Text, nullable=False),
    Column("created", Text, nullable=False),
    Column("finished", Text),
)
"""What people outside are told, by the event it is of and the way it goes; ``document`` is empty once it has arrived."""
Index("notices_state", notices.c.state, notices.c.created)

read_marks = Table(  # up to which position somebody has read the events
    "read_marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("position", BigInteger, nullable=False),
)


def version_table(which: str) -> str:
    """The table that holds the revision; a name of its own, because the database may be shared."""
    return f"{which}_version"


def canonical(value: Any) -> str:
    """The one text of a JSON value: sorted keys, no spaces, ASCII only (the same bytes in every database
    encoding).
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def to_text(moment: datetime) -> str:
    """An aware time as the text the tables hold: UTC, microseconds, fixed width."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> datetime:
    """The aware UTC time behind :func:`to_text`."""
    return datetime.fromisoformat(text).astimezone(UTC)
