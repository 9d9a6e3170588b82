"""``/ready`` and ``/metrics``: whether work can be done here, and how much there is."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from fastapi import APIRouter, Response
from starlette.responses import PlainTextResponse

from boatwright import errors
from boatwright.egress.budget import Standing
from boatwright.intake.caps import Scope
from boatwright.ledger import counts
from boatwright.rules import exposition
from boatwright.rules.exposition import Family, Sample
from boatwright.server.behind import Behind, Shared
from boatwright.stages import board
from boatwright.stages.house import House
from boatwright.values.register import EVERYTHING
from boatwright.values.state import State

router = APIRouter(tags=["health"])
_LIVED = frozenset({Scope.EXECUTION.value, Scope.BOTTLE.value})
"""Scopes with a key for each execution: a figure a day would make thousands of series."""


@router.get("/ready", summary="Whether ledger, worker and wire can be worked with")
async def ready(shared: Shared, response: Response) -> dict[str, str]:
    """503 with the reason where one of them cannot. A wire that is idle is started when it is needed."""
    told = {"release": shared.house.release}
    try:
        away = "" if await asyncio.to_thread(shared.engine.has_worker) else "no worker is alive"
        told |= {"ledger": "ok", "worker": away or "ok"}
    except errors.StoreUnavailable as gone:
        away = str(gone)
        told |= {"ledger": away, "worker": "unknown"}
    proxy = (await board.ask_proxy(shared.house)).word
    told["wire"] = {board.RUNS: "ok", board.AWAY: "idle"}.get(proxy, proxy)
    fit = not away and told["wire"] in {"ok", "idle"}
    response.status_code = 200 if fit else 503
    return {"status": "ready" if fit else "not ready", **told}


@router.get("/metrics", response_class=PlainTextResponse, summary="Figures, for Prometheus")
async def metrics(shared: Shared) -> Response:
    bottles = len(await shared.house.backend.list())
    families = await asyncio.to_thread(_families, shared, bottles)
    return Response(exposition.text(families), media_type=exposition.CONTENT_TYPE)


def _families(shared: Behind, bottles: int) -> Sequence[Family]:
    standings = [each for each in shared.house.wire.budgets().standings() if each.scope not in _LIVED]
    return (
        *_work(shared, bottles),
        *_ledger(shared.house),
        Family("boatwright_budget_usd", "Dollars of a budget: cap, used, held.", _dollars(standings)),
        Family("boatwright_budget_tokens", "Tokens of a budget: cap, used, held.", _tokens(standings)),
    )


def _work(shared: Behind, bottles: int) -> Sequence[Family]:
    leases = Counter(lease.release for lease in shared.engine.workers())
    live = len(shared.engine.turns.live())
    off = any(each.off and each.scope == EVERYTHING for each in shared.house.ledger.switches.all())
    return (
        Family("boatwright_workers", "Workers that are alive, by release.", _by("release", leases)),
        Family("boatwright_turns_live", "Turns worked on, or waiting for a worker.", (Sample(live),)),
        Family("boatwright_bottles", "Bottles that are there.", (Sample(bottles),)),
        Family("boatwright_switched_off", "1 where everything is switched off.", (Sample(int(off)),)),
    )


def _ledger(house: House) -> Sequence[Family]:
    states = dict.fromkeys((state.value for state in State), 0) | house.ledger.executions.counts()
    deliveries = counts.deliveries(house.ledger.database)
    position = house.ledger.events.position()
    return (
        Family("boatwright_executions", "Executions, by state.", _by("state", states)),
        Family("boatwright_deliveries", "Deliveries of forges, by state.", _by("state", deliveries)),
        Family("boatwright_event_position", "Position of the newest event.", (Sample(position),)),
    )


def _by(label: str, counted: Mapping[str, int]) -> tuple[Sample, ...]:
    return tuple(Sample(many, {label: name}) for name, many in sorted(counted.items()))


def _dollars(standings: Sequence[Standing]) -> tuple[Sample, ...]:
    return tuple(
        Sample(value, _labels(each, what))
        for each in standings
        if each.cap.usd is not None
        for what, value in (("cap", each.cap.usd), ("used", each.used_usd), ("held", each.held_usd))
    )


def _tokens(standings: Sequence[Standing]) -> tuple[Sample, ...]:
    return tuple(
        Sample(value, _labels(each, what))
        for each in standings
        if each.cap.tokens is not None
        for what, value in (
            ("cap", each.cap.tokens), ("used", each.used_tokens), ("held", each.held_tokens),
        )
    )  # fmt: skip


def _labels(standing: Standing, what: str) -> dict[str, str]:
    """Without the day: today's series goes on tomorrow."""
    per = "day" if standing.period else "ever"
    return {"scope": standing.scope, "key": standing.key, "per": per, "what": what}
