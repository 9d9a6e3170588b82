"""Connecting each forge: one hook however often, its test delivery arriving, and what is said where it does not."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.paths import StateDir
from boatwright.forge.github_rights import NEEDED
from boatwright.intake import connecting
from boatwright.rules import hooks
from boatwright.stages.house import House

from .ports import BOT, KINDS, SAMPLE, SECRET, Port, opened

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=list(KINDS))
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    async with opened(root, request.param, ("webhook",)) as made:
        yield made


def public(port: Port) -> str:
    """The address the port listens at, which the fixture gave the server already: by hand, so to speak."""
    (by_hand,) = port.server.state.hooks
    port.server.state.hooks = []
    return by_hand.url.partition("/webhooks/")[0]


async def test_one_hook_is_made_and_tried_and_a_second_time_it_is_the_same(port: Port) -> None:
    address = public(port)
    repository = port.house.ledger.repositories.get(port.repository)
    first = await connecting.connect(port.house, repository, address, seconds=60)
    assert first.fresh and first.arrived is not None
    again = await connecting.connect(port.house, repository, address, seconds=60)
    assert not again.fresh and again.arrived is not None and again.arrived.id > first.arrived.id
    (hook,) = port.server.state.hooks
    assert (hook.url, hook.secret) == (f"{address}/webhooks/{port.server.KIND}", SECRET)
    await port.issue("agent")
    await port.hear()
    assert len(port.executions()) == 1, "and it tells what is needed"


async def test_a_hook_somebody_bent_is_straightened(port: Port) -> None:
    address = public(port)
    repository = port.house.ledger.repositories.get(port.repository)
    await connecting.connect(port.house, repository, address, seconds=60)
    (hook,) = port.server.state.hooks
    wanted, hook.secret, hook.events = list(hook.events), "another", ["push"]
    await connecting.connect(port.house, repository, address, seconds=60)
    assert (port.server.state.hooks[0].secret, port.server.state.hooks[0].events) == (SECRET, wanted)


async def test_nothing_arrives_where_nobody_listens_and_the_wait_ends(port: Port) -> None:
    public(port)
    repository = port.house.ledger.repositories.get(port.repository)
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    made = await connecting.connect(port.house, repository, "http://127.0.0.1:1", seconds=0.05, sleep=nap)
    assert made.asked and made.arrived is None and naps


async def test_a_login_that_may_not_make_hooks_parks_and_makes_none(port: Port) -> None:
    address = public(port)
    await asyncio.to_thread(port.server.do, lambda act: act.depot(SAMPLE).people.update({BOT: "write"}))
    repository = port.house.ledger.repositories.get(port.repository)
    with pytest.raises(errors.Parked) as refused:
        await connecting.connect(port.house, repository, address, seconds=1)
    assert refused.value.code == "forge_rights"
    assert port.server.state.hooks == []


def test_a_secret_nobody_named_is_made_once_and_the_line_is_told(root: Path) -> None:
    port_settings = {"forges": {"gitea": {"token": "env:T", "base_url": "http://127.0.0.1:1"}}}
    (root / "state").mkdir()
    written = yaml.safe_dump(port_settings)
    (root / "state" / "settings.yml").write_text(written)
    house = House.open(state=StateDir(root / "state"), environment={}, producer="test")
    url = "http://127.0.0.1:1/ann/sample.git"
    repository = house.ledger.repositories.add(
        "sample-1", source=url, forge="gitea", base_url="http://127.0.0.1:1", path=SAMPLE, by="ann"
    )
    try:
        for _ in range(2):
            with pytest.raises(errors.BadInput) as told:
                connecting.secret_of(house, repository, "https://boat.example.org")
        place = root / "state" / "secrets" / "gitea-webhook"
        assert f"webhook_secret: file:{place}" in told.value.next_moves[0]
        assert "boatwright serve --public" in told.value.next_moves[1], "and what to do then, to its end"
        assert told.value.next_moves[-1].endswith("connect gitea --url https://boat.example.org")
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        assert place.read_text().strip() not in str(told.value) + "".join(told.value.next_moves)
        assert len(secrets.resolve(f"file:{place}", environment={}).reveal()) == 64
        assert (root / "state" / "settings.yml").read_text() == written, "what a person wrote is left alone"
    finally:
        house.close()


@pytest.mark.parametrize(
    "text",
    [
        "boat.example.org",
        "ftp://boat",
        "https://u@boat",
        "https://boat/x",
        "https://boat?x=1",
        "https://[x",
        "https://boat:99999",
    ],
)
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(errors.BadInput):
        connecting.public_address(text)


def test_an_app_asks_for_the_rights_the_doctor_looks_for() -> None:
    assert {right: level for right, level, _ in NEEDED}.items() <= hooks.APP_RIGHTS.items()
