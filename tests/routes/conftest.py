"""A house with a proxy in this event loop, a private registry behind TLS of its own, and set-ups in real bottles.

The proxy runs here so that a name can be resolved to loopback; everything else is the product's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.config import release
from boatwright.config.effective import Flags
from boatwright.config.paths import StateDir
from boatwright.egress import control
from boatwright.egress.budget import Budgets
from boatwright.egress.proxy import Proxy
from boatwright.stages import environments, ground
from boatwright.stages.house import House
from boatwright.stages.solo import Account
from boatwright.testing.registry import Registry
from boatwright.testing.tls_server import TlsServer
from boatwright.values.clock import SystemClock, SystemIds

NAME = "packages.example"
SECRET = "canary-3f9a1c7b5e2d"
_CLIENTS = (
    "PIP_",
    "NPM_",
    "UV_",
    "SSL_",
    "REQUESTS_",
    "CURL_",
    "NODE_",
    "GIT_",
    "HTTP",
    "http",
    "NO_PROXY",
    "no_proxy",
)


@dataclass
class Harbour:
    """One state directory: ``settings`` is written before the house is opened."""

    root: Path
    server: TlsServer
    registry: Registry
    environment: dict[str, str]
    resolved: list[str] = field(default_factory=list)
    tasks: list[tuple[Proxy, asyncio.Task[bool], Budgets]] = field(default_factory=list)
    houses: list[House] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"{NAME}:{self.server.port}"

    def route(self, **changes: Any) -> dict[str, Any]:
        return {"host": NAME, "port": self.server.port, "ca": str(self.server.ca), **changes}

    async def house(self, settings: Mapping[str, Any], bottle: Mapping[str, Any]) -> House:
        """A house with these settings, and a bottle manifest ``net`` of the host."""
        state = StateDir(self.root).create()
        state.settings.write_text(yaml.safe_dump(dict(settings)))
        (state.bottles / "net.md").write_text(f"---\n{yaml.safe_dump(dict(bottle))}---\n")
        made = House.open(state=state, environment=self.environment)
        self.houses.append(made)
        await self._listen(state)
        return made

    async def _listen(self, state: StateDir) -> None:
        budgets = await asyncio.to_thread(Budgets.open, state.budgets_url)
        clock = SystemClock()

        async def resolve(host: str, _: int) -> list[str]:
            self.resolved.append(host)
            return ["127.0.0.1"]

        proxy = Proxy(
            state, budgets, clock=clock, ids=SystemIds(clock), release=release.current(self.environment),
            grace=3_600, resolve=resolve,
        )  # fmt: skip
        task = asyncio.create_task(proxy.run())
        self.tasks.append((proxy, task, budgets))
        async with asyncio.timeout(30):
            while not (state.run / control.SOCKET).exists() and not task.done():
                await asyncio.sleep(0.01)

    async def set_up(self, house: House, line: str) -> str:
        """Run a set-up line in a bottle under ``net``; what it printed. ``errors.Parked`` when it fails."""
        flags = Flags(bottles=("net",), setup_command=line, model="scripted:none.yml")
        here = await ground.untested(house, None, "", flags, files=False)
        payer = Account(f"ex-{house.ids.token()[:8]}", "repository", "builtin", "scripted:none.yml")
        prepared = await environments.for_bottle(house, payer, None, here, lambda _: None)
        return prepared.log.decode("utf-8", "replace")


@pytest.fixture
def authorization() -> str:
    return f"Bearer {SECRET}"


@pytest.fixture
async def harbour(tmp_path: Path, authorization: str) -> AsyncIterator[Harbour]:
    root = Path(tempfile.mkdtemp(prefix="bwr-", dir="/tmp"))
    root.chmod(0o711)
    registry = Registry(authorization)
    server = TlsServer(tmp_path / "server", NAME, respond=registry)
    await server.start()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_CLIENTS)}
    made = Harbour(root, server, registry, {**kept, "REGISTRY_TOKEN": SECRET, "HOME": str(tmp_path)})
    yield made
    for proxy, task, budgets in made.tasks:
        proxy.stop()
        await task
        budgets.database.dispose()
    for house in made.houses:
        house.close()
    await server.stop()
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def needs() -> Callable[[str], None]:
    """Skip, naming the part, where this host lacks a program that a bottle can see."""

    def need(program: str) -> None:
        if shutil.which(program, path="/usr/local/bin:/usr/bin:/bin") is None:
            pytest.skip(f"this host has no {program} under /usr")

    return need
