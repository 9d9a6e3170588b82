"""The first ledger: events and their heads, executions, inbox, leases, turns, the local forge."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _heads()
    _events()
    _executions()
    _inbox()
    _turns()
    _forge_issues()
    _forge_pulls()
    _forge_talk()


def _heads() -> None:
    head = op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "position": 0}])
    op.create_table(
        "stream_heads",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
    )
    op.create_table(
        "ledger_signatures",
        sa.Column("public_key", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("signed", sa.Text, nullable=False),
        sa.Column("signature", sa.Text, nullable=False),
    )


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("stream", sa.Text, primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("time", sa.Text, nullable=False),
        sa.Column("causation_id", sa.Text),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        sa.Column("producer", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.UniqueConstraint("position", name="events_position"),
        sa.UniqueConstraint("event_id", name="events_event_id"),
        sa.UniqueConstraint("stream", "key", name="events_stream_key"),
    )


def _executions() -> None:
    op.create_table(
        "executions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("issue", sa.Integer),
        sa.Column("pull_request", sa.Integer),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("finished", sa.Boolean, nullable=False),
        sa.Column("view", sa.Text, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("updated", sa.Text, nullable=False),
    )
    one_live = sa.and_(sa.column("finished") == sa.false(), sa.column("issue").is_not(None))
    op.create_index(
        "executions_one_live_per_issue",
        "executions",
        ["repository", "issue"],
        unique=True,
        sqlite_where=one_live,
        postgresql_where=one_live,
    )
    op.create_index("executions_pull_request", "executions", ["repository", "pull_request"])
    op.create_index("executions_created", "executions", ["created"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("execution", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sender_key", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("taken_turn", sa.Integer),
        sa.UniqueConstraint("execution", "sender_key", name="inbox_execution_sender_key"),
        sqlite_autoincrement=True,
    )


def _turns() -> None:
    op.create_table(
        "leases",
        sa.Column("worker", sa.Text, primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("started", sa.Double, nullable=False),
        sa.Column("beat", sa.Double, nullable=False),
    )
    op.create_table(
        "live_turns",
        sa.Column("execution", sa.Text, primary_key=True),
        sa.Column("turn", sa.Integer, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("release", sa.Text, nullable=False),
        sa.Column("claimed", sa.Text, nullable=False),
    )
    op.create_table(
        "turn_numbers",
        sa.Column("execution", sa.Text, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )


def _forge_issues() -> None:
    op.create_table(
        "forge_repositories",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("default_branch", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )
    op.create_table(
        "forge_numbers",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.create_table(
        "forge_issues",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
    )


def _forge_pulls() -> None:
    op.create_table(
        "forge_pulls",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("draft", sa.Boolean, nullable=False),
        sa.Column("branch", sa.Text, nullable=False),
        sa.Column("base_ref", sa.Text, nullable=False),
        sa.Column("head", sa.Text, nullable=False),
        sa.Column("issue", sa.Integer),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("merged_commit", sa.Text),
    )


def _forge_talk() -> None:
    op.create_table(
        "forge_comments",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("author", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("marker", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("edited", sa.Text),
        sqlite_autoincrement=True,
    )
    op.create_index("forge_comments_thread", "forge_comments", ["repository", "number"])
    op.create_table(
        "forge_checks",
        sa.Column("external_id", sa.Text, primary_key=True),
        sa.Column("repository", sa.Text, nullable=False),
        sa.Column("commit", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("conclusion", sa.Text, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("updated", sa.Text, nullable=False),
    )
    op.create_index("forge_checks_commit", "forge_checks", ["repository", "commit"])
