"""The executions table: one row per execution, always the fold of its events, written in the append's
transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, false, func, insert, or_, select, update

from boatwright import errors
from boatwright.ledger import rows
from boatwright.ledger.database import Database
from boatwright.ledger.tables import canonical, events, executions, ledger_head, to_text
from boatwright.rules.fold import fold
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State

_BATCH = 500
_CANDIDATES = 10

Views = list[ExecutionView]


class Executions:
    """Look executions up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, execution: str) -> ExecutionView | None:
        with self._database.read() as connection:
            return load(connection, execution)

    def find(self, prefix: str) -> ExecutionView:
        """The execution whose id is ``prefix`` or is the only one that begins with it.

        ``errors.NotFound`` when there is none, ``errors.BadInput`` naming the candidates when there are
        several.
        """
        same = func.substr(executions.c.id, 1, len(prefix)) == prefix  # LIKE knows no case on SQLite
        query = select(executions.c.view).where(same)
        found = self._views(query.order_by(executions.c.id).limit(_CANDIDATES + 1))
        exact = [view for view in found if view.id == prefix]
        if prefix and (len(found) == 1 or exact):
            return (exact or found)[0]
        if not found or not prefix:
            raise errors.NotFound(
                f"there is no execution {prefix or 'without a name'}",
                subject=prefix,
                next_moves=("boatwright status",),
            )
        names = ", ".join(view.id for view in found[:_CANDIDATES])
        more = " and more" if len(found) > _CANDIDATES else ""
        raise errors.BadInput(
            f"{prefix} is the beginning of several executions: {names}{more}",
            subject=prefix,
            next_moves=("write more of the id",),
        )

    def list(
        self, *, repository: str | None = None, states: Collection[State] | None = None, limit: int = 100
    ) -> Views:
        """Newest first."""
        query = _filtered(repository, states)
        return self._views(query.order_by(executions.c.created.desc(), executions.c.id.desc()).limit(limit))

    def page(
        self,
        *,
        repository: str | None = None,
        states: Collection[State] | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Views:
        """Newest first, from behind the execution ``after`` on: what is begun meanwhile shifts no page.

        ``errors.NotFound`` where ``after`` is no execution.
        """
        query = _filtered(repository, states)
        if after is not None:
            begun = to_text(self.required(after).created)
            same = and_(executions.c.created == begun, executions.c.id < after)
            query = query.where(or_(executions.c.created < begun, same))
        return self._views(query.order_by(executions.c.created.desc(), executions.c.id.desc()).limit(limit))

    def lately(self, since: datetime, *, repository: str | None = None) -> Views:
        """Newest first: what has changed since then, and what was not over before."""
        changed = executions.c.updated >= to_text(since)
        query = _filtered(repository, None).where(or_(changed, executions.c.finished == false()))
        return self._views(query.order_by(executions.c.created.desc(), executions.c.id.desc()))

    def required(self, execution: str) -> ExecutionView:
        """The execution of exactly that id. ``errors.NotFound``."""
        found = self.get(execution)
        if found is None:
            raise errors.NotFound(
                f"there is no execution {execution[:40]!r}",
                subject=execution[:40],
                next_moves=("boatwright status",),
            )
        return found

    def counts(self) -> dict[str, int]:
        """How many executions there are, by state."""
        query = select(executions.c.state, func.count()).group_by(executions.c.state)
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def live_for_issue(self, repository: str, issue: int) -> ExecutionView | None:
        """The unfinished execution of an issue; there is never more than one."""
        with self._database.read() as connection:
            found = connection.execute(_live(repository, issue)).scalar_one_or_none()
            return load(connection, found) if found is not None else None

    def for_issue(self, repository: str, issue: int) -> ExecutionView | None:
        """The newest execution of an issue, finished or not."""
        return next(iter(self._views(_of_issue(repository, issue).limit(1))), None)

    def of_issue(self, repository: str, issue: int) -> tuple[ExecutionView, ...]:
        """All executions of an issue, the newest first."""
        return tuple(self._views(_of_issue(repository, issue)))

    def by_pull_request(self, repository: str, number: int) -> ExecutionView | None:
        """The execution that opened a pull request: the newest one, should a number ever be there twice."""
        query = select(executions.c.view).where(
            executions.c.repository == repository, executions.c.pull_request == number
        )
        found = self._views(query.order_by(executions.c.created.desc(), executions.c.id.desc()).limit(1))
        return found[0] if found else None

    def rebuild(self) -> int:
        """Fold every stream anew and rewrite the rows that differ; returns how many did."""
        with self._database.write() as connection:
            connection.execute(
                update(ledger_head).values(position=ledger_head.c.position)
            )  # nobody appends now
            stored = {row["id"]: dict(row) for row in connection.execute(select(executions)).mappings()}
            true = {view.id: _row(view) for view in _folded(connection)}
            differing = [name for name in stored.keys() | true.keys() if stored.get(name) != true.get(name)]
            for name in differing:
                connection.execute(delete(executions).where(executions.c.id == name))
            fresh = [true[name] for name in differing if name in true]
            if fresh:
                connection.execute(insert(executions), fresh)
            return len(differing)

    def _views(self, query: Select[Any]) -> Views:
        with self._database.read() as connection:
            texts = connection.execute(query).scalars().all()
        return [ExecutionView.model_validate_json(text) for text in texts]


def load(connection: Connection, execution: str) -> ExecutionView | None:
    """The stored view, inside the caller's transaction."""
    query = select(executions.c.view).where(executions.c.id == execution)
    text = connection.execute(query).scalar_one_or_none()
    return None if text is None else ExecutionView.model_validate_json(text)


def check_unique(connection: Connection, view: ExecutionView | None, before: ExecutionView | None) -> None:
    """``errors.Conflict`` when ``view`` begins to live while another execution of its issue does.

    The caller holds the head row, so nobody else can begin one meanwhile; the unique index stands behind
    this.
    """
    if view is None or view.finished or view.issue is None or (before is not None and not before.finished):
        return
    other = connection.execute(_live(view.repository, view.issue)).scalar_one_or_none()
    if other is not None:
        raise errors.Conflict(
            f"issue {view.issue} of {view.repository} has a live execution already: {other}",
            subject=other,
            next_moves=(f"boatwright show {other}", f"boatwright cancel {other}"),
        )


def store(connection: Connection, view: ExecutionView | None, before: ExecutionView | None) -> None:
    """Write the fold's result in the append's transaction."""
    if view is None:
        return
    if before is None:
        connection.execute(insert(executions).values(**_row(view)))
    else:
        connection.execute(update(executions).where(executions.c.id == view.id).values(**_row(view)))


def _filtered(repository: str | None, states: Collection[State] | None) -> Select[Any]:
    query = select(executions.c.view)
    if repository is not None:
        query = query.where(executions.c.repository == repository)
    if states is not None:
        query = query.where(executions.c.state.in_([str(state) for state in states]))
    return query


def _row(view: ExecutionView) -> dict[str, Any]:
    return {
        "id": view.id,
        "tenant": view.tenant,
        "repository": view.repository,
        "issue": view.issue,
        "pull_request": view.pull_request,
        "state": str(view.state),
        "finished": view.finished,
        "view": canonical(view.model_dump(mode="json")),
        "sequence": view.sequence,
        "created": to_text(view.created),
        "updated": to_text(view.updated),
    }


def _of_issue(repository: str, issue: int) -> Select[Any]:
    query = select(executions.c.view).where(
        executions.c.repository == repository, executions.c.issue == issue
    )
    return query.order_by(executions.c.created.desc(), executions.c.id.desc())


def _live(repository: str, issue: int) -> Select[Any]:
    return select(executions.c.id).where(
        executions.c.repository == repository, executions.c.issue == issue, executions.c.finished == false()
    )


def _folded(connection: Connection) -> Iterator[ExecutionView]:
    """The view of every stream, folded from its events in the global order of the ledger."""
    query = select(events).order_by(events.c.stream, events.c.sequence)
    view: ExecutionView | None = None
    with connection.execute(query, execution_options={"yield_per": _BATCH}) as result:
        for row in result.mappings():
            event = rows.to_event(row)
            if view is not None and view.id != event.stream:
                yield view
                view = None
            view = fold(view, event)
    if view is not None:
        yield view
