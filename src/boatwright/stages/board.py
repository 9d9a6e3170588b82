"""The board of live bottles, read from what there is: executions, bottles by themselves, wires, budgets, logs.

One look costs the same however long the history: a few statements, a few small reads for each bottle it shows. It
takes no lock, starts no proxy, and goes on without one.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.agents import registry
from boatwright.egress.booking import Payer
from boatwright.egress.budget import HOST, UsageRow
from boatwright.egress.client import Denial, WireSpec
from boatwright.egress.survey import Surveyed
from boatwright.ledger.unfinished import Unfinished
from boatwright.rules import board as rule
from boatwright.rules.board import PLACES, Binding, Place
from boatwright.rules.budget import NANO
from boatwright.stages import bottles, charging, tail
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.execution import ExecutionView
from boatwright.values.solo import Solo, SoloState

ROWS = 200
"""Bottles shown at most."""
CALLS, DENIALS = 50, 50
PROXY_SECONDS = 2.0
"""How long the proxy may take to say how its wires are."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """What the proxy says of itself: whether it runs and answers, and its wires as it holds them."""

    word: str
    wires: tuple[dict[str, Any], ...] = ()

    @property
    def runs(self) -> bool:
        return self.word == RUNS


RUNS, AWAY, SILENT = "runs", "not running", "does not answer"


@dataclass(frozen=True, slots=True)
class Row:
    """One bottle. ``bindings`` are the budgets that bind its calls, the nearest first."""

    slug: str
    account: str
    """Who pays: its execution, or the account of a bottle by itself."""
    alone: bool
    agent: str
    provider: str
    model: str
    state: str
    stage: str
    place: Place
    created: datetime
    age: float
    """Seconds."""
    calls: int
    """Of the last minute."""
    tokens: int
    usd: Decimal
    held_usd: Decimal
    bindings: tuple[Binding, ...]
    wire: str
    connections: int
    refused: int
    words: str
    """The last line its agent said; where it said nothing, why it stands still."""

    @property
    def tightest(self) -> Binding | None:
        return rule.tightest(self.bindings)


@dataclass(frozen=True, slots=True)
class Board:
    """``resting`` and ``beyond`` count bottles that are not shown: at rest, and past :data:`ROWS`."""

    at: datetime
    rows: tuple[Row, ...]
    resting: int
    beyond: int
    host: tuple[Binding, ...]
    proxy: str
    notices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Details:
    """Of one bottle: its newest calls, and what its wires refused, newest first."""

    calls: tuple[UsageRow, ...]
    denials: tuple[Denial, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A bottle before its numbers are known."""

    slug: str
    payer: Payer
    place: Place
    source: ExecutionView | Solo
    state: str
    log: Path


async def ask_proxy(house: House) -> Proxy:
    """What the proxy says, within :data:`PROXY_SECONDS`. Starts none."""
    try:
        async with asyncio.timeout(PROXY_SECONDS):
            said = await house.wire.status()
    except TimeoutError:
        return Proxy(SILENT)
    return Proxy(RUNS if said["running"] else AWAY, tuple(said["wires"]))


class Watch:
    """One watcher's eyes. Safe to use from one thread at a time, whichever that is."""

    def __init__(self, house: House, *, rows: int = ROWS) -> None:
        self._house = house
        self._rows = rows
        self._lock = threading.Lock()
        self._unfinished = Unfinished(house.ledger.database)
        self._solos = _Solos(house)

    def look(self, proxy: Proxy, *, everything: bool = False) -> Board:
        """The board as it stands now. ``errors.StoreUnavailable`` when a store cannot be read."""
        with self._lock:
            return self._look(proxy, everything)

    def details(self, row: Row) -> Details:
        survey = self._house.wire.survey()
        return Details(tuple(survey.calls(row.account, CALLS)), tuple(survey.denials(row.account, DENIALS)))

    def log(self, row: Row) -> Path:
        """Where what its agent says is kept."""
        return self._solos.records.log(row.slug) if row.alone else bottles.log(self._house, row.account)

    @property
    def proxy_log(self) -> Path:
        return self._house.state.logs / "proxy.log"

    def _look(self, proxy: Proxy, everything: bool) -> Board:
        at = self._house.clock.now()
        specs: dict[str, list[WireSpec]] = defaultdict(list)
        for spec in self._house.wire.opened():
            specs[spec.execution].append(spec)
        found = self._found(specs)
        wanted = [each for each in found if everything or each.place is not Place.RESTING]
        shown = wanted[: self._rows]
        host = Payer("", "")
        surveyed = self._house.wire.survey().of([*(each.payer for each in shown), host], at)
        rows = zip(shown, surveyed, strict=False)
        return Board(
            at=at,
            rows=tuple(_row(each, numbers, specs, proxy, at) for each, numbers in rows),
            resting=len(found) - len(wanted),
            beyond=len(wanted) - len(shown),
            host=tuple(
                each for each in rule.bindings(surveyed[-1].chain) if (each.scope, each.key) == ("host", HOST)
            ),
            proxy=proxy.word,
            notices=self._solos.notices,
        )

    def _found(self, specs: dict[str, list[WireSpec]]) -> list[_Found]:
        """Every bottle there is, in the order of showing: by place, the newest first."""
        found = [
            *(
                each
                for view in self._unfinished.views()
                if (each := self._execution(view, specs)) is not None
            ),
            *(self._solo(record, specs) for record in self._solos.all()),
        ]
        found.sort(key=lambda each: each.source.created, reverse=True)
        found.sort(key=lambda each: PLACES.index(each.place))
        return found

    def _execution(self, view: ExecutionView, specs: dict[str, list[WireSpec]]) -> _Found | None:
        open_ = specs.get(view.id, [])
        place = rule.of_execution(view.state, wire=bool(open_))
        if place is None:
            return None
        slug = bottles.slug_of(view.id)
        payer = _payer(open_, view.id, view.repository, view.provider, slug)
        return _Found(slug, payer, place, view, str(view.state), bottles.log(self._house, view.id))

    def _solo(self, record: Solo, specs: dict[str, list[WireSpec]]) -> _Found:
        records, open_ = self._solos.records, specs.get(record.account, [])
        held = record.state is not SoloState.FROZEN and records.held(record.slug)
        state = rule.seen(record.state, held=held)
        stop = record.end.stop if record.end else ""
        place = rule.of_solo(state, stop, wire=bool(open_))
        payer = _payer(open_, record.account, record.repository, record.provider, record.slug)
        return _Found(record.slug, payer, place, record, state, records.log(record.slug))


def _payer(open_: Sequence[WireSpec], account: str, repository: str, provider: str, slug: str) -> Payer:
    """Who pays for its agent's calls: as its open wire says, else as the next one will."""
    for spec in open_:
        if spec.bottle:
            return spec.payer
    bottle = "" if provider == registry.BUILTIN else charging.account_of(account, slug)
    return Payer(account, repository, provider, bottle)


def _row(
    found: _Found, numbers: Surveyed, specs: dict[str, list[WireSpec]], proxy: Proxy, at: datetime
) -> Row:
    source, account = found.source, found.payer.execution
    bound = rule.bindings(numbers.chain)
    wires = [each for each in proxy.wires if each["execution"] == account]
    cuts = [bool(each["cut"]) for each in wires] or [False] * len(specs.get(account, []))
    return Row(
        slug=found.slug,
        account=account,
        alone=isinstance(source, Solo),
        agent=source.agent or source.provider,
        provider=source.provider,
        model=source.model,
        state=found.state,
        stage=source.stage if isinstance(source, ExecutionView) else "",
        place=found.place,
        created=source.created,
        age=(at - source.created).total_seconds(),
        calls=numbers.calls,
        tokens=numbers.used.tokens,
        usd=Decimal(numbers.used.usd) / NANO,
        held_usd=Decimal(numbers.held.usd) / NANO,
        bindings=bound,
        wire=rule.wire_word(cuts, proxy=proxy.runs, cut=any(each.cut for each in bound)),
        connections=sum(int(each["connections"]) for each in wires),
        refused=numbers.refused,
        words=_words(found),
    )


def _words(found: _Found) -> str:
    """Why it stands still, where it does; else the last thing its agent said."""
    source = found.source
    if found.place is not Place.WORKING:
        if isinstance(source, ExecutionView) and source.reason:
            return source.reason
        if isinstance(source, Solo) and source.end is not None:
            return source.end.detail or source.end.summary
    return tail.last_line(found.log)


class _Solos:
    """The records of bottles by themselves, each read again only when its file was replaced."""

    def __init__(self, house: House) -> None:
        self.records = Records(house.state, house.clock)
        self._read: dict[str, tuple[tuple[int, int], Solo | str]] = {}

    def all(self) -> list[Solo]:
        there = dict(self.records.files())
        for slug in self._read.keys() - there.keys():
            del self._read[slug]
        for slug, status in there.items():
            self._renew(slug, status)
        return [each for _, each in self._read.values() if isinstance(each, Solo)]

    @property
    def notices(self) -> tuple[str, ...]:
        """What could not be read, a sentence each."""
        return tuple(each for _, each in self._read.values() if isinstance(each, str))

    def _renew(self, slug: str, status: os.stat_result) -> None:
        file = (status.st_ino, status.st_mtime_ns)
        if slug in self._read and self._read[slug][0] == file:
            return
        try:
            found = self.records.find(slug)
        except errors.BoatwrightError as error:
            self._read[slug] = (file, str(error))
            return
        if found is not None:
            self._read[slug] = (file, found)
