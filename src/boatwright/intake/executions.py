"""Executions of one repository as intake looks at them, and whether one of them may be told something now."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import State
from boatwright.workflows.engine import Engine

MOST = 10_000
"""So many executions of a repository are looked at, the newest first: what is older than those is not waited for."""


async def of(house: House, repository: str, states: Collection[State]) -> list[ExecutionView]:
    """Those of a repository that are in one of ``states``, the newest first; at most ``MOST``."""
    every = house.ledger.executions.list
    return await asyncio.to_thread(every, repository=repository, states=states, limit=MOST)


async def is_live(engine: Engine, view: ExecutionView) -> bool:
    """Whether a turn works on it: that one looks itself, and may move the commit."""
    return bool(await asyncio.to_thread(engine.turns.live, view.id))


async def is_barred(house: House, engine: Engine, view: ExecutionView) -> bool:
    """Whether nothing may be begun with it now: a turn is live, or its repository is switched off."""
    if await is_live(engine, view):
        return True
    return await asyncio.to_thread(house.ledger.switches.is_off, view.repository) is not None
