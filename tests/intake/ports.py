"""A port: a fake forge of each kind, a house that is logged in there, and two ways for the house to hear of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from boatwright.config.paths import StateDir
from boatwright.intake.door import Door
from boatwright.intake.listing import Listing
from boatwright.intake.outside import Outside
from boatwright.intake.pump import Pump
from boatwright.rules import naming
from boatwright.rules.listening import Place
from boatwright.server import listener
from boatwright.server.front import front
from boatwright.server.listener import Listener
from boatwright.stages.house import House
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_gitlab import FakeGitLab
from boatwright.values.delivery import Delivery
from boatwright.values.events import DeliverySkipped
from boatwright.values.execution import ExecutionView
from boatwright.workflows.assembly import engine_for
from boatwright.workflows.engine import Engine

KINDS = {each.KIND: each for each in (FakeGitHub, FakeGitea, FakeForgejo, FakeGitLab)}
SAMPLE, BOT = "ann/sample", "boatwright-bot"
TOKEN, SECRET = "atokenofourownaccount0123456789", "a-secret-of-the-hook"
PLAN = {
    "goal": "Count the last page",
    "steps": [{"id": "P1", "action": "edit", "path": "a.txt", "acceptance": "it counts"}],
}
NOW = 1e-6
"""An interval that is over whenever somebody looks."""


class Port:
    """``hear`` takes in all that happened by now, by webhook, by polling, or both ways."""

    def __init__(self, root: Path, server: FakeForge, ways: Sequence[str]) -> None:
        self.root, self.server, self.ways = root, server, ways
        people = {"ann": "admin", "wim": "write", "rea": "read", BOT: "admin"}
        server.make(SAMPLE, files={"a.txt": "one\n"}, people=people)
        server.token(BOT, TOKEN)
        self.house = House.open(state=_state(root, server), environment=_environment(), producer="test")
        self.engine: Engine = engine_for(self.house)
        self.repository = self.serve(SAMPLE)
        self.listing = Listing(self.house, poll=NOW)
        self.pump = Pump.of(self.house, self.engine, self.outside)

    def serve(self, path: str) -> str:
        """Register a repository of the server; its id."""
        url, kind = f"{self.server.url}/{path}.git", self.server.KIND
        self.house.ledger.repositories.add(
            naming.repository_id(url), source=url, forge=kind, base_url=self.server.url, path=path, by="ann"
        )
        return naming.repository_id(url)

    @property
    def outside(self) -> Outside:
        return Outside(
            repositories=self.house.ledger.repositories,
            people=lambda _, repository: self.house.forge.of(repository),
            called=self.house.forge.called,
            switches=self.house.ledger.switches,
        )

    async def hear(self) -> None:
        await asyncio.to_thread(self.server.postman.drain)
        if "polling" in self.ways:
            await self.listing.once()
        await self.pump.once()

    async def next_second(self) -> None:
        """Until the forge's clock tells another second: it names no smaller moment, and in one an issue that is as it was
        before looks as if nothing had happened.
        """
        begun = self.server.clock.now().replace(microsecond=0)
        while self.server.clock.now().replace(microsecond=0) == begun:
            await asyncio.sleep(0.01)

    async def do(self, action: Any) -> Any:
        """Something a person does there, apart: the loop answers the webhooks of it."""
        return await asyncio.to_thread(self.server.do, action)

    async def issue(self, *labels: str, by: str = "ann", path: str = SAMPLE) -> int:
        words = {"title": "It drops the last page", "body": "21 items make 4 pages of 5."}
        made = await self.do(lambda act: act.open_issue(path, by=by, labels=labels, **words))
        return int(made.number)

    def executions(self) -> list[ExecutionView]:
        return list(self.house.ledger.executions.list())

    def told(self, execution: str) -> list[str]:
        return [row.kind for row in self.engine.inbox.waiting(execution)]

    def deliveries(self) -> list[Delivery]:
        return self.house.ledger.deliveries.list(limit=1_000)

    def skips(self) -> list[DeliverySkipped]:
        events = self.house.ledger.events.stream("deliveries")
        return [event.payload for event in events if isinstance(event.payload, DeliverySkipped)]


def _state(root: Path, server: FakeForge) -> StateDir:
    script = root / "model.yml"
    script.write_text(yaml.safe_dump({"plan": PLAN, "replies": [{"say": "Done."}]}))
    state = StateDir(root / "state").create()
    forge = {"token": "env:PORT_TOKEN", "base_url": server.url, "webhook_secret": "env:PORT_SECRET"}
    settings = {"forges": {server.KIND: forge}, "models": {"default": f"scripted:{script}"}}
    state.settings.write_text(yaml.safe_dump(settings))
    return state


def _environment() -> dict[str, str]:
    return {**os.environ, "PORT_TOKEN": TOKEN, "PORT_SECRET": SECRET}


@asynccontextmanager
async def opened(root: Path, kind: str, ways: Sequence[str]) -> AsyncIterator[Port]:
    """A port of that kind, with a real listener for its webhooks where they are one of the ways."""
    with KINDS[kind](root / "forge") as server:
        port = Port(root, server, ways)
        try:
            async with _listening(port):
                yield port
        finally:
            port.pump.close()
            port.engine.close()
            port.house.close()


@asynccontextmanager
async def _listening(port: Port) -> AsyncIterator[None]:
    if "webhook" not in port.ways:
        yield
        return
    house = port.house
    door = Door(
        house.ledger.deliveries, house.settings.forges, environment=house.environment, clock=house.clock
    )

    async def healthy() -> str:
        return ""

    app = front(door, release="test", healthy=healthy)
    heard = Listener(listener.Door(app, Place("127.0.0.1", 0), "--public"))
    heard.open()
    port.server.hook(f"http://{heard.place}/webhooks/{port.server.KIND}", SECRET)
    try:
        yield
    finally:
        await asyncio.to_thread(port.server.postman.drain)
        await heard.close()
        await door.close()
