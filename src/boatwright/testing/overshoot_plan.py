"""One random trial of the budgets as a value: who pays, which caps stand, what each caller does. Same seed, same trial."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from boatwright.egress.booking import Outcome, Payer, Reserve
from boatwright.rules.budget import NANO, Amount, Need, Scope
from boatwright.values.usage import Cap, Usage

_EPOCH = datetime(2000, 1, 1, 23, 59, 58, tzinfo=UTC)
_DAYS = 3
"""Days a trial may touch; each trial has days of its own, so that the host's day is fresh."""
_MOST_CALLERS = 12


class Kind(StrEnum):
    """Where the callers are: tasks on one journal, threads on two writers, a process that is killed."""

    JOURNAL = "journal"
    THREADS = "threads"
    KILLED = "killed"


class End(StrEnum):
    """What a caller does once it holds budget."""

    SETTLED = "settled"
    TWICE = "twice"
    CHARGED = "charged"
    RELEASED = "released"
    LATE = "late"  # after the next owner has charged it
    LOST = "lost"
    CANCELLED = "cancelled"  # it leaves while it waits for its reservation


_ENDS = (*[End.SETTLED] * 6, End.TWICE, End.CHARGED, End.RELEASED, End.LATE, End.LOST, End.CANCELLED)
_KINDS = (*[Kind.JOURNAL] * 14, *[Kind.THREADS] * 5, Kind.KILLED)


@dataclass(frozen=True, slots=True)
class Stands:
    """One cap of a trial."""

    scope: Scope
    key: str
    cap: Cap
    hard: bool
    daily: bool


@dataclass(frozen=True, slots=True)
class Call:
    request: Reserve
    end: End
    part: float
    """Of what it holds, how much it costs."""

    @property
    def id(self) -> str:
        return self.request.id

    def outcome(self, held: Amount) -> Outcome:
        sent = int(self.request.need.sent_tokens * self.part)
        output = int((held.tokens - self.request.need.sent_tokens) * self.part)
        return Outcome("provider", 200, Usage(input=sent, output=output), int(held.usd * self.part))


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    owner: str
    payer: Payer
    kind: Kind
    caps: tuple[Stands, ...]
    calls: tuple[Call, ...]
    dies_after: int
    """Reservations after which a process of kind KILLED ends itself; beyond their number: it is killed from outside."""
    patience: float
    """Seconds until then."""

    def binding(self) -> Iterator[tuple[str, tuple[int | None, int | None]]]:
        """The account of each cap that binds, and its limits: the nearest scope's, every hard one, the execution's.

        Written down once more, apart from the rule that is on trial.
        """
        order = list(Scope)
        nearest = min(order.index(each.scope) for each in self.caps)
        days = sorted({f"{call.request.at:%Y-%m-%d}" for call in self.calls})
        for each in self.caps:
            if order.index(each.scope) != nearest and not each.hard and each.scope is not Scope.EXECUTION:
                continue
            limits = (None if each.cap.usd is None else int(each.cap.usd * NANO), each.cap.tokens)
            for day in days if each.daily else [""]:
                yield f"{each.scope.value}|{each.key}|{day}", limits


def plan(seed: int, number: int) -> Plan:
    """Trial ``number`` of ``seed``."""
    chance = random.Random(f"{seed}:{number}")  # noqa: S311 - a game of chance, not a secret
    payer = _payer(chance, f"{seed}.{number}")
    kind = chance.choice(_KINDS)
    calls = tuple(_calls(chance, payer, number))
    return Plan(
        name=f"seed {seed} trial {number} ({kind})", owner=f"o{seed}.{number}", payer=payer, kind=kind,
        caps=tuple(_caps(chance, payer)), calls=calls, dies_after=chance.randint(1, len(calls) + 2),
        patience=chance.choice((0.02, 0.05, 0.2, 20.0)),
    )  # fmt: skip


def _payer(chance: random.Random, name: str) -> Payer:
    parents = [f"p{name}", f"q{name}"][: chance.choice((0, 0, 1, 2))]
    return Payer(
        execution=f"x{name}", repository=chance.choice((f"r{name}", "")), agent=chance.choice((f"a{name}", "")),
        bottle=chance.choice((f"b{name}", "")), parent=" ".join(parents),
    )  # fmt: skip


def _caps(chance: random.Random, payer: Payer) -> Iterator[Stands]:
    """The execution's and the host's day always, since defaults would stand there; of the others some."""
    for scope, key in payer.scopes():
        if scope in {Scope.EXECUTION, Scope.HOST} or chance.random() < 0.4:
            daily = scope is Scope.HOST or (scope is not Scope.EXECUTION and chance.random() < 0.5)
            hard = scope in {Scope.EXECUTION, Scope.HOST} or chance.random() < 0.5
            yield Stands(scope, key, _cap(chance), hard, daily)


def _cap(chance: random.Random) -> Cap:
    usd = Decimal(chance.randint(1, 400_000)) / 1_000_000
    tokens = chance.randint(1, 40_000)
    return chance.choice((Cap(usd=usd), Cap(tokens=tokens), Cap(usd=usd, tokens=tokens), Cap(usd=Decimal(9))))


def _calls(chance: random.Random, payer: Payer, number: int) -> Iterator[Call]:
    began = _EPOCH + timedelta(days=_DAYS * number + 1)
    for index in range(chance.randint(1, _MOST_CALLERS)):
        # Around midnight, and now and then the clock jumps a day ahead or back.
        at = began + timedelta(seconds=chance.uniform(-1, 3), days=chance.choice((0, 0, 0, 0, 1, -1)))
        need = Need(
            sent_tokens=chance.randint(1, 4_000), most=chance.randint(1, 8_000), least=1,
            answers=chance.choice((1, 1, 1, 3)), sent_pico=chance.randint(0, 4_000) * 3_000_000,
            answer_pico=15_000_000,
        )  # fmt: skip
        request = Reserve(
            f"{payer.execution}.{index}",
            payer,
            need,
            at,
            owner=f"o{payer.execution[1:]}",
            provider="scripted",
            model="m",
        )
        yield Call(request, chance.choice(_ENDS), chance.random())
