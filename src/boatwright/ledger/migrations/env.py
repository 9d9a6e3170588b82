"""Alembic's entry: use the connection and transaction that ``ledger/migration.py`` hands over."""

from __future__ import annotations

from alembic import context

from boatwright.ledger import tables

context.configure(
    connection=context.config.attributes["connection"],
    version_table=context.config.attributes["version_table"],
    target_metadata=tables.metadata,
)
with context.begin_transaction():
    context.run_migrations()
