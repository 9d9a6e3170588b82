"""What a person does to a bottle from the screen: the same functions the commands call, a sentence for each."""

from __future__ import annotations

from typing import Protocol

from boatwright.intake import asks, cuts, solo
from boatwright.intake.cuts import Done
from boatwright.stages.board import Row
from boatwright.stages.house import House
from boatwright.values.asking import Ask, AskKind
from boatwright.values.cutting import CutPolicy
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
        done = await self._cut(row, CutPolicy.CUTOFF)
        return (
            f"{row.slug} is cut: {done.wires} open wires, and every one after them; raise its budget to go on"
        )

    async def freeze(self, row: Row) -> str:
        """A bottle by itself is frozen and no more; an execution's is cut besides, else its turn would thaw it."""
        if row.alone:
            await solo.freeze(self._house, row.slug)
            return f"{row.slug} is frozen"
        done = await self._cut(row, CutPolicy.FREEZE)
        return f"{row.slug} is cut, {self._and(done, 'kept as an archive')}; raise its budget to go on"

    async def kill(self, row: Row) -> str:
        done = await self._cut(row, CutPolicy.KILL)
        return f"{row.slug} is cut, {self._and(done, 'torn down')}"

    async def raise_(self, row: Row, amount: str) -> str:
        raised = await cuts.raise_budget(
            self._house, self._engine, self._named(row), Cap.parse(amount), by=self._by
        )
        return f"{row.slug} may spend {raised.cap}"

    async def _cut(self, row: Row, policy: CutPolicy) -> Done:
        return await cuts.cut(self._house, self._engine, self._named(row), policy, by=self._by)

    def _named(self, row: Row) -> str:
        return row.slug if row.alone else row.account

    def _and(self, done: Done, what: str) -> str:
        """What the policy asks besides is done by who works on it; where nobody does, by the next worker."""
        if done.carried_out:
            return f"and {what}"
        nobody = (
            "" if self._engine.has_worker() else "; where it runs nowhere, boatwright worker carries it out"
        )
        return f"and will be {what} by who works on it{nobody}"

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
