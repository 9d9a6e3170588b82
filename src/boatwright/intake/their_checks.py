"""Looking at the people's own checks of a delivered commit: what a delivery says of them is never believed, only followed.

Whoever looks, a webhook's hearing, the patrol or a look at the lists, puts the same row; it wakes one turn.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

from boatwright.forge.protocol import PullRequest
from boatwright.intake import executions
from boatwright.rules import their_checks as rules
from boatwright.rules.their_checks import Found
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State
from boatwright.workflows.engine import Engine


class Settled:
    """Commits nothing more is expected of, by execution: for an hour they cost no further look of this process."""

    def __init__(self) -> None:
        self._heads: dict[str, tuple[str, datetime]] = {}

    def has(self, view: ExecutionView, now: datetime) -> bool:
        head, until = self._heads.get(view.id, ("", now))
        return head == view.head and now < until and not view.waits_for

    def put(self, view: ExecutionView, now: datetime) -> None:
        self._heads[view.id] = view.head or "", now + rules.AGAIN

    def keep(self, executions: set[str]) -> None:
        """Forget the others."""
        self._heads = {name: known for name, known in self._heads.items() if name in executions}


async def of_commit(house: House, repository: str, commit: str) -> list[ExecutionView]:
    """Executions whose delivered commit it is, while something is still open about it."""
    views = await executions.of(house, repository, (State.DELIVERED,))
    return [view for view in views if view.head == commit and rules.is_watched(view)]


async def look(house: House, engine: Engine, view: ExecutionView, pull: PullRequest | None = None) -> bool:
    """Ask the forge how the checks stand, and wake a turn where that asks for one. Whether a row is new.

    While a turn is live nothing is put: it may move the commit, and a later look finds what it left. Nothing is put
    where the repository is switched off, either.
    """
    if not rules.is_watched(view):
        return False
    if await executions.is_barred(house, engine, view):
        return False
    what = await found(house, view, pull)
    if what is Found.NOTHING:
        return False
    history = await asyncio.to_thread(house.ledger.events.stream, view.id)
    key = rules.key(what, view.head or "", history, house.clock.now())
    if key is None:
        return False
    return await asyncio.to_thread(
        lambda: engine.submit(view.id, kind=rules.KIND, sender_key=key, payload={"commit": view.head})
    )


async def found(
    house: House, view: ExecutionView, pull: PullRequest | None = None, settled: Settled | None = None
) -> Found:
    """What the checks ask for, if the pull request is open and its branch is where we left it."""
    assert view.pull_request is not None, "what is delivered has a pull request"
    pull = pull or await house.forge.pull_request(view.repository, view.pull_request)
    if pull.state != "open" or pull.head != view.head:
        return Found.NOTHING
    checks = await house.forge.their_checks(view.repository, view.head)
    now = house.clock.now()
    if settled is not None and rules.have_settled(checks, waits=view.waits_for, age=now - view.updated):
        settled.put(view, now)
    return rules.found(checks, waits=view.waits_for, told=view.checks_failed == view.head)


async def patrol(
    house: House, engine: Engine, view: ExecutionView, pull: PullRequest, settled: Settled | None
) -> bool:
    """The same for a round that was told of nothing: what is settled, or was delivered long ago, is left alone."""
    now = house.clock.now()
    if not rules.is_watched(view) or not rules.is_fresh(view, now):
        return False
    if settled is not None and settled.has(view, now):
        return False
    if await executions.is_barred(house, engine, view):
        return False
    if await found(house, view, pull, settled) is Found.NOTHING:
        return False
    return await look(house, engine, view, pull)
