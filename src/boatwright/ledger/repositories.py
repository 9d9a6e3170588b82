"""The register of repositories: which are served, where each comes from, and what its forge calls it.

A row is never deleted: what is removed is inactive, so that executions of before keep their place.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, exc, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, from_text, repositories, to_text
from boatwright.values.clock import Clock
from boatwright.values.place import ForgePlace
from boatwright.values.register import Repository


class Repositories:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    def add(
        self, repository: str, *, source: str, forge: str, base_url: str, path: str, by: str
    ) -> Repository:
        """Serve it; again, or after it was removed: with what is said now. Paths of before are kept.

        ``errors.Conflict`` where another repository is served under that path of that forge.
        """
        wanted = Repository(repository, source, forge, base_url, path, by, self._clock.now())
        fresh = {"source": source, "forge": forge, "base_url": base_url, "path": path, "active": True}
        row = self._dialect.insert(repositories).values(
            id=repository, by=by, added=to_text(wanted.added), previous="[]", **fresh
        )
        with self._database.write() as writer:
            _refuse_double(writer, wanted)
            with _translated(wanted):
                writer.execute(row.on_conflict_do_update(index_elements=["id"], set_=fresh))
            return _one(writer, repository)

    def remove(self, repository: str) -> Repository:
        """Serve it no more. ``errors.NotFound`` where it is not served."""
        found = self.get(repository)
        with self._database.write() as writer:
            mine = repositories.c.id == found.id
            writer.execute(update(repositories).where(mine).values(active=False))
        return dataclasses.replace(found, active=False)

    def rename(self, repository: str, path: str) -> Repository:
        """Its forge calls it ``path`` from now on; the name of before still finds it. Again: the same."""
        with self._database.write() as writer:
            found = _one(writer, repository)
            if found.path == path:
                return found
            before = (*(each for each in found.previous if each not in {path, found.path}), found.path)
            wanted = dataclasses.replace(found, path=path, previous=before)
            _refuse_double(writer, wanted)
            changed = {"path": path, "previous": canonical(list(before))}
            with _translated(wanted):
                writer.execute(update(repositories).where(repositories.c.id == repository).values(**changed))
        return wanted

    def get(self, repository: str) -> Repository:
        """A served one by its id. ``errors.NotFound``."""
        found = self.find(repository)
        if found is None:
            raise errors.NotFound(
                f"no repository {repository[:80]!r} is served",
                subject=repository[:80],
                next_moves=("boatwright repo list", "boatwright repo add URL"),
            )
        return found

    def find(self, repository: str) -> Repository | None:
        """A served one by its id; None where it is not served."""
        return next((each for each in self.all() if each.id == repository), None)

    def place(self, repository: str) -> ForgePlace | None:
        """Where people talk about it; None: on the local forge. Of a removed one, too: its executions go on."""
        found = next((each for each in self.all(removed=True) if each.id == repository), None)
        if found is None or found.forge == "local":
            return None
        return ForgePlace(found.forge, found.base_url, found.path)

    def of(self, forge: str, path: str) -> Repository | None:
        """The served one a forge calls ``path`` now; else the one it called so before. Case makes no difference."""
        wanted = path.casefold()
        mine = [each for each in self.all() if each.forge == forge]
        now = [each for each in mine if each.path.casefold() == wanted]
        before = [each for each in mine if wanted in {past.casefold() for past in each.previous}]
        return next(iter([*now, *before]), None)

    def all(self, *, removed: bool = False) -> list[Repository]:
        """Those that are served, by id; ``removed``: the others, too."""
        query = select(repositories).order_by(repositories.c.id)
        if not removed:
            query = query.where(repositories.c.active)
        with self._database.read() as reader:
            return [_repository(row) for row in reader.execute(query)]


def _one(connection: Connection, repository: str) -> Repository:
    row = connection.execute(select(repositories).where(repositories.c.id == repository)).first()
    if row is None:
        raise errors.NotFound(
            f"no repository {repository[:80]!r} was ever added",
            subject=repository[:80],
            next_moves=("boatwright repo list",),
        )
    return _repository(row)


def _refuse_double(writer: Connection, wanted: Repository) -> None:
    """Two rows for one place would make two executions of one issue."""
    others = select(repositories).where(
        repositories.c.active, repositories.c.forge == wanted.forge, repositories.c.id != wanted.id
    )
    for row in writer.execute(others):
        same = row.path.casefold() == wanted.path.casefold() and row.base_url == wanted.base_url
        if wanted.path and same:
            raise _taken(wanted, row.id)


@contextmanager
def _translated(wanted: Repository) -> Iterator[None]:
    """Somebody else took the place between the look and the write."""
    try:
        yield
    except exc.IntegrityError as error:
        raise _taken(wanted, "another repository") from error


def _taken(wanted: Repository, other: str) -> errors.Conflict:
    return errors.Conflict(
        f"{wanted.path} on {wanted.forge} is served already, as {other}",
        subject=wanted.path,
        next_moves=("boatwright repo list", f"boatwright repo remove {wanted.path}"),
    )


def _repository(row: Row[Any]) -> Repository:
    return Repository(
        id=row.id,
        source=row.source,
        forge=row.forge,
        base_url=row.base_url,
        path=row.path,
        by=row.by,
        added=from_text(row.added),
        active=row.active,
        previous=tuple(json.loads(row.previous)),
    )
