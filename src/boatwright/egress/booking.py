"""What is asked of a book and what it answers: who pays, what is held, how a call ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from boatwright.rules.budget import Amount, Need, Scope, Short
from boatwright.values.usage import Usage


class Payer(NamedTuple):
    """Who pays for a call: one key per scope, empty where there is none; several parents with spaces between."""

    execution: str
    repository: str = ""
    agent: str = ""
    bottle: str = ""
    parent: str = ""

    def scopes(self) -> list[tuple[Scope, str]]:
        named = [
            (Scope.AGENT, self.agent),
            (Scope.BOTTLE, self.bottle),
            *((Scope.PARENT, each) for each in self.parent.split()),
            (Scope.EXECUTION, self.execution),
            (Scope.REPOSITORY, self.repository),
        ]
        return [*((scope, key) for scope, key in named if key), (Scope.HOST, "*")]


@dataclass(frozen=True, slots=True)
class Reserve:
    """Ask to hold what a call can cost at most. ``prices`` are the unit prices of this moment, as JSON."""

    id: str
    payer: Payer
    need: Need
    at: datetime
    owner: str = ""
    wire: str = ""
    purpose: str = ""
    provider: str = ""
    model: str = ""
    prices: str = ""
    price_table: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Held: the call may be sent, each answer limited to ``answer_tokens``."""

    id: str
    held: Amount
    answer_tokens: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended. ``usage`` None is "in full"; ``usd`` is in nano-dollars."""

    source: str
    status: int = 0
    usage: Usage | None = None
    usd: int = 0
    cache_write_long: int = 0


RELEASED = Outcome("released", usage=Usage())
CHARGED = Outcome("estimate")


@dataclass(frozen=True, slots=True)
class Settle:
    id: str
    outcome: Outcome
    at: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """Booked. ``again``: it had been before, nothing changed. ``above``: the provider billed above its
    bound.
    """

    id: str
    again: bool = False
    above: bool = False


@dataclass(frozen=True, slots=True)
class Denied:
    """A refusal worth a row: ``kind`` is the code, ``target`` what was asked for."""

    place: str
    wire: str
    execution: str
    kind: str
    target: str
    reason: str
    at: datetime


Operation = Reserve | Settle | Denied
Result = Reservation | Short | Settled | None
