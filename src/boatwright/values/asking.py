"""What an agent may ask a person for, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class AskKind(StrEnum):
    QUESTION = "question"
    BUDGET = "budget"
    ROUTE = "route"


class AskState(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"  # a question answered, a wish granted
    REFUSED = "refused"
    NO_OPERATOR = "no_operator"  # nobody was there to be asked
    WITHDRAWN = "withdrawn"  # the agent's round ended before anybody answered


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, checked. ``wanted``: an amount as people write it, or ``host:port``; empty for a question.

    ``text`` is the agent's own: untrusted, bounded, without control characters.
    """

    kind: AskKind
    text: str
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One row. ``account`` is who pays (an execution, or a bottle's own), ``bottle`` the slug.

    ``decision`` is what an operator chose to grant, written down before it is done: a new cap, or ``host:port``.
    """

    id: str
    account: str
    bottle: str
    wish: Wish
    state: AskState
    created: datetime
    decision: str = ""
    answer: str = ""
    by: str = ""
    answered: datetime | None = None
