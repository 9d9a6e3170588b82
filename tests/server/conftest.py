"""Doors that are really open: a house of its own, a listener on a socket of the kernel's choice, a client that has a token."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any

import httpx2
import pytest

from boatwright.config.paths import StateDir
from boatwright.rules.listening import Place
from boatwright.server import serving
from boatwright.server.listener import Listener
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.values.events import Payload
from boatwright.workflows.assembly import engine_for
from boatwright.workflows.engine import Engine

ANY = Place("127.0.0.1", 0)


@dataclass
class Front:
    """A house whose private door is open."""

    house: House
    engine: Engine
    listener: Listener
    token: str

    @property
    def address(self) -> str:
        return f"http://{self.listener.place}"

    def client(self, token: str | None = None, **more: Any) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx2.AsyncClient(base_url=self.address, headers=headers, timeout=60, **more)

    def stranger(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self.address, timeout=60)

    def begin(self, execution: str, **changes: Any) -> None:
        """An execution in the ledger, that nobody works on."""
        self.house.ledger.events.append(
            execution, samples.requested(issue=None, **changes), key="feature.requested"
        )

    def append(self, execution: str, payload: Payload, key: str) -> int:
        return self.house.ledger.events.append(execution, payload, key=key).event.position


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """In a short directory: it holds sockets, whose paths are limited."""
    root = Path(tempfile.mkdtemp(prefix="bw-door-"))
    root.chmod(0o711)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    environment = {**clean, "BOATWRIGHT_DATABASE_URL": database_url, "BOATWRIGHT_STATE": str(root / "s")}
    house = House.open(state=StateDir.from_environment(environment), environment=environment, producer="test")
    yield house
    house.close()
    rmtree(root, ignore_errors=True)


@asynccontextmanager
async def opened(house: House) -> AsyncIterator[Front]:
    """The private door of a house, until the block is left."""
    engine = engine_for(house)
    token = house.ledger.tokens.create(f"t-{house.ids.token()[:8]}", by="me")
    listener = Listener(serving.private_door(house, engine, ANY))
    listener.open()
    try:
        yield Front(house, engine, listener, token)
    finally:
        await listener.close()
        engine.close()


@pytest.fixture
async def front(house: House) -> AsyncIterator[Front]:
    async with opened(house) as front:
        yield front
