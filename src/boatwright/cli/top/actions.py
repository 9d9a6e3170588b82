"""What a person does to a bottle from the screen: the same functions the commands call, a sentence for each."""

from __future__ import annotations

from typing import Protocol

from boatwright import errors
from boatwright.intake import caps, commands, solo
from boatwright.stages.board import Row
from boatwright.stages.house import House
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine


class Actions(Protocol):
    """Each returns what was done, as a sentence; ``errors.BoatwrightError`` says why it was not."""

    async def cut(self, row: Row) -> str: ...

    async def freeze(self, row: Row) -> str: ...

    async def kill(self, row: Row) -> str: ...

    async def raise_(self, row: Row, amount: str) -> str: ...


class HouseActions:
    """Actions on a real house."""

    def __init__(self, house: House, engine: Engine, *, by: str) -> None:
        self._house, self._engine, self._by = house, engine, by

    async def cut(self, row: Row) -> str:
        done = await caps.cut(self._house, row.slug)
        return (
            f"{row.slug} is cut: {done.wires} open wires, and every one after them; raise its budget to go on"
        )

    async def freeze(self, row: Row) -> str:
        if not row.alone:
            raise errors.Conflict(
                f"{row.slug} is frozen when its execution parks: cut it, and it does",
                subject=row.slug,
                next_moves=(f"boatwright cut {row.account}",),
            )
        await solo.freeze(self._house, row.slug)
        return f"{row.slug} is frozen"

    async def kill(self, row: Row) -> str:
        if row.alone:
            existed = await solo.destroy(self._house, row.slug)
            return f"{row.slug} is destroyed" if existed else f"there is no bottle {row.slug}"
        await caps.cut(self._house, row.slug)
        await commands.cancel(
            self._house, self._engine, row.account, reason="killed by a person", by=self._by
        )
        return f"{row.account} is cut and told to stop for good{self._nobody()}"

    async def raise_(self, row: Row, amount: str) -> str:
        cap = Cap.parse(amount)
        if row.alone:
            cap = await solo.raise_budget(self._house, row.slug, cap)
        else:
            cap = await commands.raise_budget(self._house, self._engine, row.account, budget=cap, by=self._by)
        return f"{row.slug} may spend {cap}"

    def _nobody(self) -> str:
        return "" if self._engine.has_worker() else "; no worker is alive: boatwright worker carries it out"
