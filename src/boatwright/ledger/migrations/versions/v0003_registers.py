"""The operator's registers: who may call the API, what is switched off, which repositories are served."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("created", sa.Text, nullable=False),
        sa.Column("revoked", sa.Text),
        sa.Column("used", sa.Text),
        sa.UniqueConstraint("hash", name="api_tokens_hash"),
    )
    op.create_table(
        "switches",
        sa.Column("scope", sa.Text, primary_key=True),
        sa.Column("off", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", sa.Text, nullable=False),
    )
    op.create_table(
        "repositories",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("forge", sa.Text, nullable=False),
        sa.Column("base_url", sa.Text, nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("previous", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("added", sa.Text, nullable=False),
        sa.Column("active", sa.Boolean, nullable=False),
    )
    served = sa.and_(sa.column("active", sa.Boolean), sa.column("path", sa.Text) != "")
    op.create_index(
        "repositories_one_per_place", "repositories", ["forge", "base_url", "path"], unique=True,
        sqlite_where=served, postgresql_where=served,
    )  # fmt: skip
