"""The local forge's rows: issues, pull requests, comments and checks, in and out of the ledger's database.

Every function works inside the caller's transaction. Whoever changes a repository's numbered things holds
its row of ``forge_numbers`` first (:func:`hold`), so that looking and creating are one step on both
databases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, and_, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright import errors
from boatwright.forge.protocol import Check, Comment, Issue, PullRequest
from boatwright.ledger import tables

REPOSITORIES, NUMBERS = tables.forge_repositories, tables.forge_numbers
ISSUES, PULLS = tables.forge_issues, tables.forge_pulls
COMMENTS, CHECKS = tables.forge_comments, tables.forge_checks


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository the local forge holds. ``source`` is a path or a URL, without credentials."""

    name: str
    source: str
    default_branch: str


def storable(text: str) -> str:
    """Text as both databases take it: what is no character, and NUL, becomes the replacement character."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def insert_new(connection: Connection, table: Table, **values: Any) -> None:
    """Insert a row unless its key is taken."""
    connection.execute(_insert(connection, table).values(**values).on_conflict_do_nothing())


def _insert(connection: Connection, table: Table) -> Any:
    return (postgresql if connection.dialect.name == "postgresql" else sqlite).insert(table)


# --- repositories and their numbers ------------------------------------------------------------------------


def repository(connection: Connection, name: str) -> Repository:
    row = connection.execute(select(REPOSITORIES).where(REPOSITORIES.c.name == name)).one_or_none()
    if row is None:
        raise unknown_repository(name)
    return Repository(name=row.name, source=row.source, default_branch=row.default_branch)


def unknown_repository(name: str) -> errors.NotFound:
    return errors.NotFound(
        f"the local forge has no issue and no pull request of {name!r} yet",
        subject=name,
        next_moves=('boatwright issue create --repo PATH --title "…"',),
    )


def hold(connection: Connection, name: str) -> None:
    """Be the only one to change this repository's issues and pull requests until the transaction ends."""
    statement = update(NUMBERS).where(NUMBERS.c.repository == name).values(last=NUMBERS.c.last)
    if connection.execute(statement).rowcount != 1:
        raise unknown_repository(name)


def next_number(connection: Connection, name: str) -> int:
    """Issues and pull requests share one count, from 1 without gaps."""
    statement = (
        update(NUMBERS)
        .where(NUMBERS.c.repository == name)
        .values(last=NUMBERS.c.last + 1)
        .returning(NUMBERS.c.last)
    )
    number = connection.execute(statement).scalar_one_or_none()
    if number is None:
        raise unknown_repository(name)
    return int(number)


# --- issues ------------------------------------------------------------------------------------------------


def add_issue(connection: Connection, issue: Issue) -> None:
    values = {
        "repository": issue.repository,
        "number": issue.number,
        "title": issue.title,
        "body": issue.body,
        "author": issue.author,
        "state": issue.state,
        "labels": tables.canonical(list(issue.labels)),
        "created": tables.to_text(issue.created),
    }
    connection.execute(insert(ISSUES).values(values))


def issue(connection: Connection, name: str, number: int) -> Issue:
    row = connection.execute(
        select(ISSUES).where(ISSUES.c.repository == name, ISSUES.c.number == number)
    ).one_or_none()
    if row is None:
        raise _no_number(connection, name, number, wanted="issue")
    return _issue(row)


def issues(connection: Connection, name: str, state: str | None) -> list[Issue]:
    return [_issue(row) for row in _listed(connection, ISSUES, name, state)]


def set_issue_state(connection: Connection, name: str, number: int, state: str) -> None:
    connection.execute(
        update(ISSUES).where(ISSUES.c.repository == name, ISSUES.c.number == number).values(state=state)
    )


def set_issue_body(connection: Connection, name: str, number: int, body: str) -> None:
    connection.execute(
        update(ISSUES).where(ISSUES.c.repository == name, ISSUES.c.number == number).values(body=body)
    )


def set_labels(connection: Connection, name: str, number: int, labels: Sequence[str]) -> None:
    connection.execute(
        update(ISSUES)
        .where(ISSUES.c.repository == name, ISSUES.c.number == number)
        .values(labels=tables.canonical(list(labels)))
    )


def _issue(row: Row[Any]) -> Issue:
    return Issue(
        repository=row.repository, number=row.number, title=row.title, body=row.body, author=row.author,
        state=row.state, labels=tuple(json.loads(row.labels)), created=tables.from_text(row.created),
    )  # fmt: skip


# --- pull requests -----------------------------------------------------------------------------------------


def add_pull(connection: Connection, pull: PullRequest) -> None:
    values = {column.name: getattr(pull, column.name) for column in PULLS.columns}
    connection.execute(insert(PULLS).values(values | {"created": tables.to_text(pull.created)}))


def pull(connection: Connection, name: str, number: int) -> PullRequest:
    row = connection.execute(
        select(PULLS).where(PULLS.c.repository == name, PULLS.c.number == number)
    ).one_or_none()
    if row is None:
        raise _no_number(connection, name, number, wanted="pull request")
    return _pull(row)


def pulls(connection: Connection, name: str, state: str | None) -> list[PullRequest]:
    return [_pull(row) for row in _listed(connection, PULLS, name, state)]


def pulls_of_branch(connection: Connection, name: str, branch: str) -> list[PullRequest]:
    """Newest first, whatever their state."""
    statement = (
        select(PULLS)
        .where(PULLS.c.repository == name, PULLS.c.branch == branch)
        .order_by(PULLS.c.number.desc())
    )
    return [_pull(row) for row in connection.execute(statement)]


def change_pull(connection: Connection, name: str, number: int, **values: Any) -> None:
    """Change an open pull request; one that is closed or merged stays as it is."""
    if values:
        connection.execute(
            update(PULLS)
            .where(and_(PULLS.c.repository == name, PULLS.c.number == number, PULLS.c.state == "open"))
            .values(**values)
        )


def _pull(row: Row[Any]) -> PullRequest:
    return PullRequest(
        repository=row.repository, number=row.number, title=row.title, body=row.body, author=row.author,
        state=row.state, draft=row.draft, branch=row.branch, base_ref=row.base_ref, head=row.head,
        issue=row.issue, created=tables.from_text(row.created), merged_commit=row.merged_commit,
    )  # fmt: skip


def _listed(connection: Connection, table: Table, name: str, state: str | None) -> Sequence[Row[Any]]:
    repository(connection, name)
    statement = select(table).where(table.c.repository == name).order_by(table.c.number)
    if state is not None:
        statement = statement.where(table.c.state == state)
    return connection.execute(statement).all()


def _no_number(connection: Connection, name: str, number: int, *, wanted: str) -> errors.NotFound:
    repository(connection, name)
    listing = "boatwright issue list" if wanted == "issue" else "boatwright pr list"
    if not has_number(connection, name, number):
        sentence = f"there is no {wanted} {number} in {name}"
    elif wanted == "issue":
        sentence = f"{number} of {name} is a pull request, not an issue"
    else:
        sentence = f"{number} of {name} is an issue, not a pull request"
    return errors.NotFound(sentence, subject=str(number), next_moves=(listing,))


# --- comments and checks -----------------------------------------------------------------------------------


def add_comment(
    connection: Connection, name: str, number: int, *, author: str, body: str, marker: str, created: datetime
) -> Comment:
    values = {
        "repository": name, "number": number, "author": author, "body": body, "marker": marker,
        "created": tables.to_text(created),
    }  # fmt: skip
    row = connection.execute(insert(COMMENTS).values(values).returning(COMMENTS)).one()
    return _comment(row)


def comments(connection: Connection, name: str, number: int) -> list[Comment]:
    statement = (
        select(COMMENTS)
        .where(COMMENTS.c.repository == name, COMMENTS.c.number == number)
        .order_by(COMMENTS.c.id)
    )
    return [_comment(row) for row in connection.execute(statement)]


def edit_comment(connection: Connection, name: str, comment: int, *, body: str, edited: datetime) -> Comment:
    statement = (
        update(COMMENTS)
        .where(COMMENTS.c.repository == name, COMMENTS.c.id == comment)
        .values(body=body, edited=tables.to_text(edited))
        .returning(COMMENTS)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise errors.NotFound(f"there is no comment {comment} in {name}", subject=str(comment))
    return _comment(row)


def delete_comment(connection: Connection, name: str, comment: int) -> None:
    connection.execute(delete(COMMENTS).where(COMMENTS.c.repository == name, COMMENTS.c.id == comment))


def has_number(connection: Connection, name: str, number: int) -> bool:
    for table in (ISSUES, PULLS):
        found = select(table.c.number).where(table.c.repository == name, table.c.number == number)
        if connection.execute(found).first() is not None:
            return True
    return False


def require_number(connection: Connection, name: str, number: int) -> None:
    """Raise ``errors.NotFound`` where neither an issue nor a pull request has that number."""
    repository(connection, name)
    if not has_number(connection, name, number):
        raise errors.NotFound(
            f"there is no issue or pull request {number} in {name}",
            subject=str(number),
            next_moves=("boatwright pr list", "boatwright issue list"),
        )


def _comment(row: Row[Any]) -> Comment:
    return Comment(
        id=row.id, repository=row.repository, number=row.number, author=row.author, body=row.body,
        marker=row.marker, created=tables.from_text(row.created),
    )  # fmt: skip


def put_check(connection: Connection, check: Check, updated: datetime) -> None:
    values = {
        "external_id": check.external_id, "repository": check.repository, "commit": check.commit,
        "name": check.name, "conclusion": check.conclusion, "summary": check.summary,
        "updated": tables.to_text(updated),
    }  # fmt: skip
    statement = _insert(connection, CHECKS).values(values)
    connection.execute(statement.on_conflict_do_update(index_elements=["external_id"], set_=values))


def checks(connection: Connection, name: str, commit: str) -> list[Check]:
    statement = (
        select(CHECKS)
        .where(CHECKS.c.repository == name, CHECKS.c.commit == commit)
        .order_by(CHECKS.c.name, CHECKS.c.external_id)
    )
    return [
        Check(
            repository=row.repository, commit=row.commit, name=row.name, conclusion=row.conclusion,
            summary=row.summary, external_id=row.external_id,
        )
        for row in connection.execute(statement)
    ]  # fmt: skip
