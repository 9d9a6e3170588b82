"""What each registered repository's forge lets us do, asked before a token is spent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from boatwright import errors
from boatwright.forge.protocol import MissingRight
from boatwright.stages.house import House


@dataclass(frozen=True, slots=True)
class Checkup:
    """One repository: who we are at its forge, and what is missing. ``trouble`` where we could not even ask."""

    repository: str
    forge: str
    path: str
    me: str = ""
    missing: tuple[MissingRight, ...] = ()
    trouble: str = ""
    next_moves: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        return not self.missing and not self.trouble


async def look(house: House) -> list[Checkup]:
    """Every repository that is served from a forge, in the order of their ids."""
    served = await asyncio.to_thread(house.ledger.repositories.all)
    return [await _one(house, each.id, each.forge, each.path) for each in served if each.forge != "local"]


async def _one(house: House, repository: str, forge: str, path: str) -> Checkup:
    try:
        me = await house.forge.me(repository)
        missing = tuple(await house.forge.rights(repository))
    except errors.BoatwrightError as error:
        return Checkup(repository, forge, path, trouble=str(error), next_moves=error.next_moves)
    return Checkup(repository, forge, path, me, missing)
