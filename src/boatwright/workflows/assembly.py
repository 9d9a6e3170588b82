"""Put the engine and the stories together."""

from __future__ import annotations

from boatwright.stages.house import House
from boatwright.workflows import feature
from boatwright.workflows.engine import Engine, Turn


def engine_for(house: House) -> Engine:
    """The durable engine of this process, telling the feature story with this house's services."""

    async def story(turn: Turn) -> str:
        return await feature.turn(turn, house)

    return Engine(
        ledger=house.ledger,
        state=house.state,
        story=story,
        release=house.release,
        clock=house.clock,
        ids=house.ids,
        environment=house.environment,
    )
