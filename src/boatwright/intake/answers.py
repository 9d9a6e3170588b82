"""What was answered to one order of a person, and answering it: once, whoever tells of the order."""

from __future__ import annotations

from boatwright import errors
from boatwright.intake.outside import Served
from boatwright.stages.house import House
from boatwright.values.order import Command, Misspoken, Start

US = "boatwright"


class Answers:
    """The answers that stand behind one comment or label. Read when one is first asked about, and then known: nobody
    else answers while a delivery of that repository is heard.
    """

    def __init__(self, house: House, served: Served, order: Command | Misspoken | Start) -> None:
        self._forge, self._served, self._order = house.forge, served, order
        self._found: frozenset[str] | None = None

    async def tell(self, marker: str, body: str) -> str:
        """Give an answer where the forge lets us; else the sentence that is returned says why. One that is away is asked
        again, with the delivery.
        """
        try:
            await self.give(marker, body)
        except (errors.ForgeUnavailable, errors.StoreUnavailable, errors.Stopped):
            raise
        except errors.BoatwrightError as shut:
            return str(shut)
        return ""

    async def is_given(self, marker: str) -> bool:
        """As :meth:`has`; where we may not read, nothing was answered."""
        try:
            return await self.has(marker)
        except errors.ForgeUnavailable:
            raise
        except (errors.NotFound, errors.Parked):
            return False

    async def give(self, marker: str, body: str) -> None:
        """Write an answer, unless it stands there: a kill may have come after it."""
        if not await self.has(marker):
            number = self._order.number
            await self._forge.post_comment(self._served.id, number, author=US, body=body, marker=marker)

    async def has(self, marker: str) -> bool:
        """Whether an answer stands behind what was asked: what is older is not read, in a thread that may be long."""
        if self._found is None:
            order = self._order
            said = await self._forge.comments(self._served.id, order.number, since=order.created)
            self._found = frozenset(comment.marker for comment in said)
        return marker in self._found
