"""The executions that are not over, followed: read whole once, and from then on only what was appended since."""

from __future__ import annotations

import threading

from sqlalchemy import Connection, false, select

from boatwright.ledger.database import Database
from boatwright.ledger.tables import events, executions, ledger_head
from boatwright.values.execution import ExecutionView


class Unfinished:
    """Two statements a look, and none of them grows with the history. Safe to share by threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._position = -1
        self._views: dict[str, ExecutionView] = {}

    def views(self) -> list[ExecutionView]:
        """Newest first."""
        with self._lock, self._database.read() as connection:
            position = int(connection.execute(select(ledger_head.c.position)).scalar_one())
            if position < self._position:  # another ledger lies here now, put back from a copy
                self._position, self._views = -1, {}
            if position != self._position:
                self._read(connection)
                self._position = position
            return sorted(self._views.values(), key=lambda view: (view.created, view.id), reverse=True)

    def _read(self, connection: Connection) -> None:
        query = select(executions.c.id, executions.c.finished, executions.c.view)
        if self._position < 0:
            query = query.where(executions.c.finished == false())
        else:
            moved = select(events.c.stream).where(events.c.position > self._position)
            query = query.where(executions.c.id.in_(moved))
        for name, finished, text in connection.execute(query):
            self._views.pop(name, None)
            if not finished:
                self._views[name] = ExecutionView.model_validate_json(text)
