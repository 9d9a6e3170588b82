"""Tokens of the API: a row each, by its hash. What was handed out is known to whoever got it, and to nobody else."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, insert, select, update

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.tables import api_tokens, from_text, to_text
from boatwright.rules import tokens as rule
from boatwright.values.clock import Clock, Ids
from boatwright.values.register import ApiToken


class Tokens:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids

    def create(self, name: str, *, by: str) -> str:
        """A new token of 256 random bits, told this once. ``errors.Conflict`` where the name was ever given."""
        if not rule.valid_name(name):
            raise errors.BadInput(
                f"{name[:40]!r} is not a name for a token: lower-case letters, digits, '.', '_' and '-', 63 at most",
                subject=name[:40],
                next_moves=("boatwright api-token create NAME",),
            )
        token = f"{rule.MARK}{self._ids.token()}{self._ids.token()}"
        now = to_text(self._clock.now())
        row = {"name": name, "hash": rule.digest(token), "by": by, "created": now}
        with self._database.write() as writer:
            if writer.execute(select(api_tokens.c.name).where(api_tokens.c.name == name)).first():
                raise errors.Conflict(
                    f"there is or was a token named {name!r}, and the log names it",
                    subject=name,
                    next_moves=("choose another name", "boatwright api-token list"),
                )
            writer.execute(insert(api_tokens).values(**row))
        return token

    def all(self) -> list[ApiToken]:
        """The revoked ones, too; the oldest first."""
        with self._database.read() as reader:
            query = select(api_tokens).order_by(api_tokens.c.created, api_tokens.c.name)
            return [_token(row) for row in reader.execute(query)]

    def revoke(self, name: str) -> ApiToken:
        """From now on it opens nothing. Again: the same. ``errors.NotFound``."""
        mine = api_tokens.c.name == name
        with self._database.write() as writer:
            fresh = mine & api_tokens.c.revoked.is_(None)
            writer.execute(update(api_tokens).where(fresh).values(revoked=to_text(self._clock.now())))
            row = writer.execute(select(api_tokens).where(mine)).first()
        if row is None:
            raise errors.NotFound(
                f"there is no token named {name[:40]!r}",
                subject=name[:40],
                next_moves=("boatwright api-token list",),
            )
        return _token(row)

    def holder(self, token: str) -> ApiToken | None:
        """Whose token it is, and that it was used just now; None for nobody's."""
        found = rule.holder(token, self.all())
        now = self._clock.now()
        if found is not None and rule.stale(found, now):
            mine = api_tokens.c.name == found.name
            with self._database.write() as writer:
                writer.execute(update(api_tokens).where(mine).values(used=to_text(now)))
        return found


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        name=row.name,
        hash=row.hash,
        by=row.by,
        created=from_text(row.created),
        revoked=from_text(row.revoked) if row.revoked else None,
        used=from_text(row.used) if row.used else None,
    )
