"""A real model behind a real proxy, each a process of its own, and a client that may hang up at any byte.

``make test-model`` installs the model and names its interpreter in ``BOATWRIGHT_TEST_MODEL``.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h11
import pytest

from boatwright.config import settings
from boatwright.config.paths import StateDir
from boatwright.egress.budget import Standing, UsageRow
from boatwright.egress.client import Upstream, WireClient, WireSpec
from boatwright.egress.upstream import open_unix
from boatwright.stages import wiring
from boatwright.testing import real_model
from boatwright.testing.real_model import RealModel
from boatwright.values.usage import Cap, ModelRef, Usage

PYTHON = os.environ.get("BOATWRIGHT_TEST_MODEL", "")
KEY = "sk-known-to-the-wire-alone"
EXECUTION, WIRE = "ex-1", "w1"
NAMES = ("openai:smollm2", "anthropic:smollm2")
SETTINGS = f"""\
models:
  prices:
{"".join(f"    '{name}': {{input: 1, output: 20000, cache_read: 0.5}}{chr(10)}" for name in NAMES)}"""
"""Dear answers: sixteen of them fill a cap before a slow machine has written many."""


@dataclass
class Heard:
    """An answer as it came through the wire. ``text`` is all of it, streamed or not."""

    status: int
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    def events(self) -> list[dict[str, Any]]:
        """The data of a stream's events, the closing mark left out."""
        lines = (line[6:] for line in self.text.splitlines() if line.startswith("data: "))
        return [json.loads(line) for line in lines if line != "[DONE]"]


@dataclass
class Through:
    """A wire whose provider is the real model."""

    client: WireClient
    model: RealModel
    directory: Path
    spec: WireSpec

    async def call(self, path: str, body: dict[str, Any]) -> Heard:
        """One call on a connection of its own, read to its end."""
        reader, writer = await open_unix(self.directory / "wire.sock")
        try:
            writer.write(request(path, body))
            await writer.drain()
            return await hear(reader)
        finally:
            writer.close()

    async def call_and_leave(self, path: str, body: dict[str, Any], after: int) -> int:
        """One call whose client goes away once it has read ``after`` bytes; its status, 0 if it never saw one."""
        reader, writer = await open_unix(self.directory / "wire.sock")
        try:
            writer.write(request(path, body))
            await writer.drain()
            seen = b""
            while len(seen) < after and (data := await reader.read(min(256, after - len(seen)))):
                seen += data
            return int(seen.split(b" ", 2)[1]) if len(seen) > 12 else 0
        finally:
            writer.transport.abort()

    def rows(self) -> list[UsageRow]:
        return self.client.budgets().usage(EXECUTION)

    def standing(self) -> Standing:
        (one,) = self.client.budgets().standing("execution", EXECUTION)
        return one

    def cap(self, text: str) -> None:
        self.client.budgets().set_cap("execution", EXECUTION, Cap.parse(text))

    def held(self) -> int:
        return self.client.budgets().open_reservations()


def request(path: str, body: dict[str, Any]) -> bytes:
    raw = json.dumps(body).encode()
    head = (f"POST {path} HTTP/1.1", "host: wire", "content-type: application/json", "connection: close")
    return "\r\n".join((*head, f"content-length: {len(raw)}", "", "")).encode() + raw


async def hear(reader: Any) -> Heard:
    """The whole answer; an error when it broke off."""
    connection, status, parts = h11.Connection(h11.CLIENT), 0, []
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "wire")]))
    connection.send(h11.EndOfMessage())
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            parts.append(bytes(event.data))
    return Heard(status, b"".join(parts).decode())


def total(usages: list[Usage]) -> Usage:
    """The sum of what calls took."""
    return Usage(
        input=sum(one.input for one in usages),
        cache_read=sum(one.cache_read for one in usages),
        cache_write=sum(one.cache_write for one in usages),
        output=sum(one.output for one in usages),
    )


def between(before: Usage, after: Usage) -> Usage:
    return Usage(
        input=after.input - before.input,
        cache_read=after.cache_read - before.cache_read,
        output=after.output - before.output,
    )


def spec_of(model: RealModel, **changes: Any) -> WireSpec:
    """As an operator would have it: a provider's address, the key by reference, a price in settings.yml."""
    house: Any = SimpleNamespace(settings=settings.parse(SETTINGS))
    openai = wiring.prices(house, ModelRef.parse(NAMES[0]))
    assert openai == wiring.prices(house, ModelRef.parse(NAMES[1]))
    given: dict[str, Any] = {
        "id": WIRE,
        "execution": EXECUTION,
        "repository": "repo",
        "upstreams": (
            Upstream("openai", base_url=f"{model.url}/v1", secret="env:MODEL_KEY"),
            Upstream("anthropic", base_url=model.url, secret="env:MODEL_KEY"),
        ),
        "prices": openai,
    }
    return WireSpec(**{**given, **changes})


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has the model."""
    if not PYTHON:
        pytest.skip("the real model is not installed here: make test-model installs it")
    return Path(PYTHON)


@pytest.fixture(scope="session")
def model(python: Path) -> Iterator[RealModel]:
    with real_model.running(python, key=KEY) as running:
        yield running


@pytest.fixture
async def wire_to(tmp_path: Path) -> AsyncIterator[Any]:
    """Opens a wire to a model, on a proxy of this test's own."""
    environment = {"PATH": os.environ["PATH"], "MODEL_KEY": KEY}
    client = WireClient(StateDir(tmp_path / "state").create(), environment=environment, grace=1.0)

    async def open_to(model: RealModel, **changes: Any) -> Through:
        spec = spec_of(model, **changes)
        client.budgets().set_cap("execution", EXECUTION, Cap(usd=Decimal(100)))
        return Through(client, model, await client.open(spec), spec)

    yield open_to
    await client.close(WIRE)


@pytest.fixture
async def through(wire_to: Any, model: RealModel) -> Through:
    opened: Through = await wire_to(model)
    return opened


@pytest.fixture
def helpers() -> Any:
    """This module's own helpers."""
    return SimpleNamespace(total=total, between=between, running=real_model.running, KEY=KEY)
