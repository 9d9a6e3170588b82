"""How many rows there are of a kind: figures for people who watch."""

from __future__ import annotations

from sqlalchemy import column, func, inspect, select, table

from boatwright.ledger.database import Database

_DELIVERIES = table("deliveries", column("state"))


def deliveries(database: Database) -> dict[str, int]:
    """Deliveries of forges by state; none where no door for them was ever opened."""
    query = select(_DELIVERIES.c.state, func.count()).group_by(_DELIVERIES.c.state)
    with database.read() as reader:
        if not inspect(reader).has_table("deliveries"):
            return {}
        return {row[0]: row[1] for row in reader.execute(query)}
