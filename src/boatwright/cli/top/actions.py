"""What a person does to a bottle from the screen: the same functions the commands call, a sentence for each."""

from __future__ import annotations

from typing import Protocol

from boatwright import errors
from boatwright.intake import asks, caps, commands, solo
from boatwright.stages.board import Row
from boatwright.stages.house import House
from boatwright.values.asking import Ask, AskKind
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine


class Actions(Protocol):
    """Each returns what was done, as a sentence; ``errors.BoatwrightError`` says why it was not."""

    async def cut(self, row: Row) -> str: ...

    async def freeze(self, row: Row) -> str: ...

    async def kill(self, row: Row) -> str: ...

    async def raise_(self, row: Row, amount: str) -> str: ...

    async def answer(self, ask: Ask, text: str) -> str:
        """Answer a question; grant anything else, as asked where ``text`` is empty, else that."""
        ...

    async def refuse(self, ask: Ask, why: str) -> str: ...


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

    async def answer(self, ask: Ask, text: str) -> str:
        kind, other = ask.wish.kind, text.strip() or None
        if kind is AskKind.QUESTION:
            done = await asks.answer(self._house, ask.id, text, by=self._by)
            return f"{done.id} is answered"
        done = await asks.grant(
            self._house,
            self._engine,
            ask.id,
            budget=other if kind is AskKind.BUDGET else None,
            route=other if kind is AskKind.ROUTE else None,
            by=self._by,
        )
        what = "may be reached" if kind is AskKind.ROUTE else "is the cap now"
        return f"{done.id} is granted: {done.decision} {what}, for {done.bottle or done.account}"

    async def refuse(self, ask: Ask, why: str) -> str:
        done = await asks.refuse(self._house, ask.id, why, by=self._by)
        return f"{done.id} is refused"

    def _nobody(self) -> str:
        return "" if self._engine.has_worker() else "; no worker is alive: boatwright worker carries it out"
