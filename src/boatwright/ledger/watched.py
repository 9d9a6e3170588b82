"""What was last heard of each issue, and which execution its newest request was given: a row each."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, from_text, to_text, watched_issues
from boatwright.values.trigger import Heard


class Watched:
    """Every method may be handed the caller's transaction; else it uses one of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    def get(self, repository: str, number: int, *, connection: Connection | None = None) -> Heard | None:
        """The row as it stands; in a caller's write transaction it stays so until that ends."""
        query = select(watched_issues).where(
            watched_issues.c.repository == repository, watched_issues.c.number == number
        )
        reading: AbstractContextManager[Connection] = (
            self._database.read() if connection is None else nullcontext(connection)
        )
        with reading as reader:
            row = reader.execute(query if connection is None else query.with_for_update()).first()
        if row is None:
            return None
        return Heard(
            labels=tuple(json.loads(row.labels)),
            assignees=tuple(json.loads(row.assignees)),
            changed=from_text(row.changed) if row.changed else None,
            asked=from_text(row.asked) if row.asked else None,
            execution=row.execution,
            delivery=row.delivery,
        )

    def put(
        self, repository: str, number: int, heard: Heard, *, connection: Connection | None = None
    ) -> None:
        """Write the row, whether it is there or not."""
        values = {
            "labels": canonical(list(heard.labels)),
            "assignees": canonical(list(heard.assignees)),
            "changed": to_text(heard.changed) if heard.changed else "",
            "asked": to_text(heard.asked) if heard.asked else "",
            "execution": heard.execution,
            "delivery": heard.delivery,
        }
        row = self._dialect.insert(watched_issues).values(repository=repository, number=number, **values)
        stored = row.on_conflict_do_update(index_elements=["repository", "number"], set_=values)
        writing: AbstractContextManager[Connection] = (
            self._database.write() if connection is None else nullcontext(connection)
        )
        with writing as writer:
            writer.execute(stored)
