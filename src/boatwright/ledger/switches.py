"""Kill switches: a row each, so that what is off stays off whatever is started anew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects import postgresql, sqlite

from boatwright.ledger.database import Database
from boatwright.ledger.tables import from_text, switches, to_text
from boatwright.rules import switching
from boatwright.values.clock import Clock
from boatwright.values.register import EVERYTHING, Switch


class Switches:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    def set(self, scope: str, *, off: bool, reason: str, by: str) -> Switch:
        """Switch a repository by its id, or everything (``*``). The last word holds."""
        now = to_text(self._clock.now())
        said = {"off": off, "reason": reason, "by": by, "at": now}
        row = self._dialect.insert(switches).values(scope=scope, **said)
        with self._database.write() as writer:
            writer.execute(row.on_conflict_do_update(index_elements=["scope"], set_=said))
        return Switch(scope, off, reason, by, from_text(now))

    def all(self) -> list[Switch]:
        """Every switch that was ever touched; that of everything first."""
        with self._database.read() as reader:
            return [_switch(row) for row in reader.execute(select(switches).order_by(switches.c.scope))]

    def standing(self, repository: str) -> Switch | None:
        """The switch that is off for a repository; None where it is on."""
        wanted = switches.c.off & switches.c.scope.in_([EVERYTHING, repository])
        with self._database.read() as reader:
            found = [_switch(row) for row in reader.execute(select(switches).where(wanted))]
        return switching.off(found, repository)

    def is_off(self, repository: str) -> str | None:
        """Why nothing may begin in a repository, in one sentence; None where it is on."""
        found = self.standing(repository)
        return switching.sentence(found) if found else None


def _switch(row: Row[Any]) -> Switch:
    return Switch(row.scope, row.off, row.reason, row.by, from_text(row.at))
