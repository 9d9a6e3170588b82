"""What went over the wires of one execution: whom they called, what it took, what they refused."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any

from boatwright.egress import log
from boatwright.egress.budget import UsageRow
from boatwright.egress.client import Denial
from boatwright.stages.house import House

_Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Called:
    """Calls of one purpose to one model. ``failed``: answered with an error, or not at all. ``estimated``: charged
    in full, since the provider did not say. ``bytes`` of answers; None where the proxy's log no longer tells.
    """

    provider: str
    model: str
    purpose: str
    calls: int
    failed: int
    estimated: int
    tokens: int
    usd: Decimal
    login: bool
    bytes: int | None


@dataclass(frozen=True, slots=True)
class Reached:
    """A host reached through a tunnel, as far as the proxy's log still tells; bytes."""

    host: str
    port: int
    times: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Routed:
    """Requests that one route carried, as far as the proxy's log still tells; bytes. ``times`` 0: it was never used.

    ``failed``: answered with an error, or not at all. A route whose calls are metered has no bytes here.
    """

    route: str
    times: int
    failed: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Served:
    """A service of this host that was asked, as far as the proxy's log still tells; bytes of bodies and answers."""

    service: str
    times: int
    failed: int
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """``open`` are the wires that are open now, ``cut`` those of them that refuse everything."""

    execution: str
    open: tuple[str, ...]
    cut: tuple[str, ...]
    called: tuple[Called, ...]
    reached: tuple[Reached, ...]
    routed: tuple[Routed, ...]
    denied: tuple[Denial, ...]
    fallbacks: int
    """How often a model was asked because the one before it could not answer."""
    served: tuple[Served, ...] = ()

    @property
    def tokens(self) -> int:
        return sum(each.tokens for each in self.called)

    @property
    def usd(self) -> Decimal:
        return sum((each.usd for each in self.called), Decimal(0))


async def of(house: House, execution: str) -> Traffic:
    """What the book, the denials and the log know. Starts no proxy; asks one that runs which wires are open."""
    rows = await asyncio.to_thread(house.wire.budgets().usage, execution)
    lines = await asyncio.to_thread(_lines, house, execution)
    wires = [each for each in (await house.wire.status())["wires"] if each["execution"] == execution]
    return Traffic(
        execution=execution,
        open=tuple(each["id"] for each in wires),
        cut=tuple(each["id"] for each in wires if each["cut"]),
        called=_called(rows, lines),
        reached=_reached(lines),
        routed=_routed(lines, [name for each in wires for name in each.get("routes", ())]),
        denied=tuple(await house.wire.denials_of(execution)),
        fallbacks=sum(line["what"] == "fallback" for line in lines),
        served=_served(lines),
    )


def _lines(house: House, execution: str) -> list[dict[str, Any]]:
    """Lines of the proxy's log about this execution. A wire's id begins with it."""
    kinds = ("called", "tunnelled", "fallback", "intercepted", "opened", "served")
    found = log.read(house.state.logs / "proxy.log", kinds)
    mine = f"{execution}-"
    return [
        line for line in found if line.get("execution") == execution or str(line.get("wire")).startswith(mine)
    ]


def _called(rows: Sequence[UsageRow], lines: Sequence[dict[str, Any]]) -> tuple[Called, ...]:
    heard: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in lines:
        if line["what"] == "called":
            heard[str(line.get("purpose")), str(line.get("model"))].append(int(line.get("bytes") or 0))
    ordered = sorted(rows, key=_key)
    return tuple(_group(key, list(group), heard[key[0], key[2]]) for key, group in groupby(ordered, key=_key))


def _key(row: UsageRow) -> _Key:
    return row.purpose, row.provider, row.model


def _group(key: _Key, rows: Sequence[UsageRow], heard: Sequence[int]) -> Called:
    purpose, provider, model = key
    answered = sum(row.status > 0 for row in rows)
    return Called(
        provider=provider,
        model=model,
        purpose=purpose,
        calls=len(rows),
        failed=sum(not 200 <= row.status < 300 for row in rows),
        estimated=sum(row.source == "estimate" for row in rows),
        tokens=sum(row.usage.tokens for row in rows),
        usd=sum((row.usd for row in rows), Decimal(0)),
        login=any(row.price_table == "subscription" for row in rows),
        bytes=sum(heard) if len(heard) >= answered else None,
    )


def _reached(lines: Sequence[dict[str, Any]]) -> tuple[Reached, ...]:
    found: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["what"] == "tunnelled":
            found[str(line["host"]), int(line["port"])].append(line)
    return tuple(
        Reached(host, port, len(each), _sum(each, "sent"), _sum(each, "received"))
        for (host, port), each in sorted(found.items())
    )


def _routed(lines: Sequence[dict[str, Any]], known: Sequence[str]) -> tuple[Routed, ...]:
    """What each route carried; those the wires had and nobody used are there too."""
    opened = [str(line.get("routes") or "") for line in lines if line["what"] == "opened"]
    named = dict.fromkeys([*known, *(name for text in opened for name in text.split()), *_used(lines)])
    return tuple(_one_route(name, lines) for name in named)


def _used(lines: Sequence[dict[str, Any]]) -> list[str]:
    return [str(line["route"]) for line in lines if line["what"] != "opened" and line.get("route")]


def _one_route(name: str, lines: Sequence[dict[str, Any]]) -> Routed:
    mine = [line for line in lines if line.get("route") == name]
    failed = sum(
        line["what"] == "intercepted" and not 0 < int(line.get("status") or 200) < 400 for line in mine
    )
    return Routed(name, len(mine), failed, _sum(mine, "sent"), _sum(mine, "received"))


def never_used(house: House) -> tuple[str, ...]:
    """Routes of settings.yml that carried nothing, as far as the proxy's log still tells."""
    found = log.read(house.state.logs / "proxy.log", ("intercepted", "tunnelled"))
    used = {str(line["route"]) for line in found if line.get("route")}
    return tuple(name for name in house.settings.routes if name not in used)


def _served(lines: Sequence[dict[str, Any]]) -> tuple[Served, ...]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        if line["what"] == "served":
            found[str(line["service"])].append(line)
    return tuple(
        Served(name, len(each), _failed(each), _sum(each, "sent"), _sum(each, "received"))
        for name, each in sorted(found.items())
    )


def _failed(lines: Sequence[dict[str, Any]]) -> int:
    return sum(not 200 <= int(line.get("status") or 0) < 300 for line in lines)


def _sum(lines: Sequence[dict[str, Any]], name: str) -> int:
    return sum(int(line.get(name) or 0) for line in lines)
