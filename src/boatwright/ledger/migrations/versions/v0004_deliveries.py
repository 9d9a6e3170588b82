"""What forges send, and what is known of the issues they speak of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", _COUNTER, primary_key=True, autoincrement=True),
        sa.Column("forge", sa.Text, nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("signer", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_try", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("about", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("received", sa.Text, nullable=False),
        sa.Column("finished", sa.Text),
        sa.UniqueConstraint("delivery", "forge", "hook", name="deliveries_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_state", "deliveries", ["state", "id"])
    op.create_table(
        "watched_issues",
        sa.Column("repository", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("labels", sa.Text, nullable=False),
        sa.Column("assignees", sa.Text, nullable=False),
        sa.Column("changed", sa.Text, nullable=False),
        sa.Column("asked", sa.Text, nullable=False),
        sa.Column("execution", sa.Text, nullable=False),
        sa.Column("delivery", sa.Text, nullable=False),
    )
