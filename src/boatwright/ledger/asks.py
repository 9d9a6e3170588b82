"""What agents asked people for: a row each, found again by what it says, so that a call made twice is one row.

And who is there to answer: an operator's heartbeat. A row that is open when its worker is
killed stays open; the next worker's agent finds it by asking the same again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.tables import asks, from_text, operators, to_text
from boatwright.values.asking import Ask, AskKind, AskState, Wish
from boatwright.values.clock import Clock, Ids

FRESH = timedelta(seconds=20)
"""A heartbeat older than this is of an operator who has left."""
MOST_ROWS = 300
"""Of one account: an agent that asks without end is refused."""
_AGAIN = (AskState.NO_OPERATOR.value, AskState.WITHDRAWN.value)
"""States a row leaves when the same is asked again and somebody is there now."""


class Asks:
    """Synchronous, like the rest of the ledger. Safe to share by threads."""

    def __init__(self, database: Database, *, clock: Clock, ids: Ids) -> None:
        self._database, self._clock, self._ids = database, clock, ids
        self._dialect: Any = postgresql if database.dialect == "postgresql" else sqlite

    # --- the agent's side ---

    def ask(self, account: str, bottle: str, wish: Wish) -> Ask:
        """The row of this wish: a new one, or the one that was made when the same was asked before.

        With nobody there it is closed at once as ``no_operator``. ``errors.Refused`` past :data:`MOST_ROWS`.
        """
        key = hashlib.sha256(f"{wish.kind}\0{wish.wanted}\0{wish.text}".encode()).hexdigest()
        mine = (asks.c.account == account) & (asks.c.key == key)
        with self._database.write() as writer:
            found = writer.execute(select(asks).where(mine)).first()
            if found is None:
                self._insert(writer, account, bottle, key, wish)
            elif found.state in _AGAIN and self._present(writer):
                writer.execute(update(asks).where(mine).values(state=AskState.OPEN.value, answered=None))
            return _ask(writer.execute(select(asks).where(mine)).one())

    def _insert(self, writer: Connection, account: str, bottle: str, key: str, wish: Wish) -> None:
        many = writer.execute(select(func.count()).where(asks.c.account == account)).scalar_one()
        if many >= MOST_ROWS:
            raise errors.Refused(f"this agent has asked {many} times: it is not asked for again")
        now = to_text(self._clock.now())
        there = self._present(writer)
        row = self._dialect.insert(asks).values(
            id=f"ask-{self._ids.token()[:8]}", account=account, bottle=bottle, key=key, kind=wish.kind.value,
            text=wish.text, wanted=wish.wanted, decision="", answer="", by="", created=now,
            state=(AskState.OPEN if there else AskState.NO_OPERATOR).value, answered=None if there else now,
        )  # fmt: skip
        writer.execute(row.on_conflict_do_nothing(index_elements=["account", "key"]))

    def withdraw(self, names: Sequence[str]) -> int:
        """The agent's round is over: of these, what nobody took up is closed; returns how many rows."""
        free = asks.c.id.in_(names) & (asks.c.state == AskState.OPEN.value) & (asks.c.decision == "")
        gone = {"state": AskState.WITHDRAWN.value, "answered": to_text(self._clock.now())}
        with self._database.write() as writer:
            return writer.execute(update(asks).where(free).values(**gone)).rowcount

    # --- reading ---

    def get(self, name: str) -> Ask:
        """The row of that id, or the one whose id starts so; ``errors.NotFound``."""
        with self._database.read() as reader:
            found = reader.execute(
                select(asks).where(asks.c.id.startswith(name, autoescape=True)).limit(2)
            ).all()
        if len(found) != 1:
            what = "several requests" if found else "no request"
            raise errors.NotFound(f"there is {what} {name!r}", subject=name, next_moves=("boatwright asks",))
        return _ask(found[0])

    def open(self) -> list[Ask]:
        """Those that wait for an answer, the oldest first."""
        return self._all(asks.c.state == AskState.OPEN.value)

    def of(self, account: str) -> list[Ask]:
        """Everything an account ever asked, the oldest first."""
        return self._all(asks.c.account == account)

    def all(self) -> list[Ask]:
        return self._all(asks.c.id != "")

    def granted_routes(self, account: str) -> Sequence[str]:
        """Destinations an operator has opened to this account's wires."""
        granted = (asks.c.account == account) & (asks.c.kind == AskKind.ROUTE.value)
        rows = self._all(granted & (asks.c.state == AskState.ANSWERED.value))
        return tuple(dict.fromkeys(each.decision for each in rows))

    def _all(self, condition: Any) -> list[Ask]:
        with self._database.read() as reader:
            return [
                _ask(row)
                for row in reader.execute(select(asks).where(condition).order_by(asks.c.created, asks.c.id))
            ]

    # --- the operator's side ---

    def decide(self, name: str, decision: str) -> Ask:
        """Write down what will be granted, before it is. Again: the first decision stands, and is returned.

        ``errors.Conflict`` when the row is closed.
        """
        with self._database.write() as writer:
            free = (asks.c.id == name) & (asks.c.state == AskState.OPEN.value) & (asks.c.decision == "")
            writer.execute(update(asks).where(free).values(decision=decision))
            return self._still_open(writer, name)

    def close(self, name: str, state: AskState, answer: str, *, by: str) -> Ask:
        """Answer, grant or refuse. ``errors.Conflict`` when somebody else did, or is granting it just now."""
        closed = {"state": state.value, "answer": answer, "by": by, "answered": to_text(self._clock.now())}
        with self._database.write() as writer:
            found = self._still_open(writer, name)
            if found.decision and state is not AskState.ANSWERED:
                raise errors.Conflict(
                    f"{name} is being granted", subject=name, next_moves=(f"boatwright asks grant {name}",)
                )
            writer.execute(update(asks).where(asks.c.id == name).values(**closed))
            return _ask(writer.execute(select(asks).where(asks.c.id == name)).one())

    def _still_open(self, writer: Connection, name: str) -> Ask:
        found = _ask(writer.execute(select(asks).where(asks.c.id == name).with_for_update()).one())
        if found.state is not AskState.OPEN:
            by = f" by {found.by}" if found.by else ""
            raise errors.Conflict(
                f"{name} is {found.state.value.replace('_', ' ')} already{by}",
                subject=name,
                next_moves=("boatwright asks",),
            )
        return found

    # --- who is there ---

    def beat(self, operator: str) -> None:
        """An operator watches: said anew every few seconds."""
        dialect = self._dialect
        now = to_text(self._clock.now())
        stored = dialect.insert(operators).values(name=operator, beat=now)
        with self._database.write() as writer:
            writer.execute(stored.on_conflict_do_update(index_elements=["name"], set_={"beat": now}))

    def leave(self, operator: str) -> None:
        """An operator stops watching."""
        with self._database.write() as writer:
            writer.execute(operators.delete().where(operators.c.name == operator))

    def present(self) -> bool:
        """Whether anybody watches."""
        with self._database.read() as reader:
            return self._present(reader)

    def _present(self, connection: Connection) -> bool:
        since = to_text(self._clock.now() - FRESH)
        fresh = select(operators.c.name).where(operators.c.beat >= since).limit(1)
        return connection.execute(fresh).first() is not None


def _ask(row: Row[Any]) -> Ask:
    return Ask(
        id=row.id,
        account=row.account,
        bottle=row.bottle,
        wish=Wish(AskKind(row.kind), row.text, row.wanted),
        state=AskState(row.state),
        created=from_text(row.created),
        decision=row.decision,
        answer=row.answer,
        by=row.by,
        answered=from_text(row.answered) if row.answered else None,
    )
