"""What a live turn does when somebody switches it off: it ends the stage under way, and parks.

The row of the switch is looked at before a stage begins and all the time it runs, so that it does not matter who
switched, on which machine, or when this worker was started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from boatwright import errors
from boatwright.rules import switching
from boatwright.stages.house import House
from boatwright.values.register import Switch

LOOK_SECONDS = 0.5
T = TypeVar("T")


async def refuse(house: House, repository: str) -> None:
    """Raise ``errors.Refused`` where nothing may begin in a repository."""
    found = await asyncio.to_thread(house.ledger.switches.standing, repository)
    if found is not None:
        raise errors.Refused(
            f"nothing is begun: {switching.sentence(found)}",
            subject=repository,
            next_moves=switching.moves(found),
        )


async def heeded(house: House, execution: str, begin: Callable[[], Awaitable[T]]) -> T:
    """A stage's work; it is not begun, or it is cancelled, where the execution's repository is switched off.

    Then ``errors.Parked`` (``switched_off``) is raised: what was saved stays, the step under way is done anew later.
    """
    repository = (await house.view(execution)).repository
    before = await asyncio.to_thread(house.ledger.switches.standing, repository)
    if before is not None:
        raise _parked(execution, before)
    working = asyncio.ensure_future(begin())
    watch = asyncio.ensure_future(_off(house, repository))
    try:
        await asyncio.wait({working, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise _parked(execution, watch.result())
        return working.result()
    finally:
        for task in (watch, working):
            task.cancel()
        await asyncio.wait({watch, working})


async def _off(house: House, repository: str) -> Switch:
    """Return when the repository is switched off. A store that is away says nothing, and is asked again."""
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        with suppress(errors.StoreUnavailable):
            found = await asyncio.to_thread(house.ledger.switches.standing, repository)
            if found is not None:
                return found


def _parked(execution: str, switch: Switch) -> errors.Parked:
    return errors.Parked(
        switching.sentence(switch), code=switching.CODE, subject=execution, next_moves=switching.moves(switch)
    )
