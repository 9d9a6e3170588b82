"""Alembic's home for the ledger's tables."""
