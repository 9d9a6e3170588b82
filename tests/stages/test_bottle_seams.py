"""Where parts meet at a bottle by itself: cuts half carried out, wires nobody listens on, another backend, a replay."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.protocol import BottleSpec, Missing
from boatwright.config.paths import StateDir
from boatwright.egress.spec import Upstream, WireSpec
from boatwright.egress.wires import Wires, place
from boatwright.intake import asks, cuts
from boatwright.intake import solo as intake
from boatwright.rules.cutting import Order
from boatwright.stages import solo, solo_cut, wiring
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.models import Models
from boatwright.values.route import Credential, Route
from boatwright.values.solo import Solo, SoloState
from boatwright.values.usage import Cap
from boatwright.workflows.assembly import engine_for
from boatwright.workflows.engine import Engine

NOW = datetime.now(UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    root = tmp_path / "state"
    opened = House.open(
        state=StateDir(root), environment={"PATH": os.defpath, "BOATWRIGHT_STATE": str(root)}, producer="test"
    )
    yield opened
    opened.close()


@pytest.fixture
def engine(house: House) -> Iterator[Engine]:
    opened = engine_for(house)
    yield opened
    opened.close()


def record(house: House, slug: str, **changes: Any) -> Solo:
    usual: dict[str, Any] = {
        "slug": slug, "account": f"{slug}.1", "agent": "claude", "provider": "claude", "bottles": None,
        "model": "anthropic:claude-sonnet-4-5", "budget": Cap.parse("2usd"), "created": NOW, "state": SoloState.STOPPED,
    }  # fmt: skip
    made, hold = Records(house.state, house.clock).claim(slug, lambda _: Solo(**{**usual, **changes}))
    hold.__exit__(None, None, None)
    return made


def cut(house: House, account: str, policy: CutPolicy) -> None:
    house.wire.cuts().write(account, Order(policy, Cause.COMMAND, "it has been cut"), at=NOW)


async def test_a_bottle_that_never_began_is_in_nobodys_way(house: House) -> None:
    """A start that was killed: there is nothing to freeze, and the cuts of others are carried out all the same."""
    record(house, "half", state=SoloState.STARTING)
    await house.backend.create(BottleSpec(slug="half", purpose="agent"))
    record(house, "other")
    for account in ("half.1", "other.1"):
        cut(house, account, CutPolicy.FREEZE)
    assert await solo_cut.finish_all(house) == 2
    assert all(each.done for each in house.wire.cuts().all())


async def test_a_raise_finishes_what_a_kill_left_half_torn_down(house: House, engine: Engine) -> None:
    record(
        house, "half", archive="", state=SoloState.RUNNING
    )  # its directories went, its record did not say so yet
    cut(house, "half.1", CutPolicy.KILL)
    await cuts.raise_budget(house, engine, "half", Cap.parse("4usd"), by="me")
    assert Records(house.state, house.clock).get("half").state is SoloState.KILLED, (
        "so it begins in a new bottle"
    )
    assert house.wire.cuts().of("half.1") is None


async def test_a_granted_budget_widens_the_bottles_own_cap_as_a_raise_does(
    house: House, engine: Engine
) -> None:
    record(house, "asks")
    budgets = house.wire.budgets()
    budgets.set_cap("execution", "asks.1", Cap.parse("2usd"), hard=True)
    budgets.set_cap("bottle", "asks.1", Cap.parse("1usd"), hard=False)
    asks.present(house, "me")
    ask = house.ledger.asks.ask("asks.1", "asks", asks.asking.budget("1usd", "tests"))
    await asks.grant(house, engine, ask.id, by="me")
    assert budgets.cap("execution", "asks.1") == Cap.parse("3usd")
    assert budgets.cap("bottle", "asks.1") == Cap.parse("3usd")


async def test_wires_are_closed_where_no_proxy_listens(house: House) -> None:
    made = record(house, "left")
    rows = Wires(house.wire.budgets().database, place(house.state))
    for wire, account in (("w1", "left.1"), ("w2", "other.1")):
        rows.save(WireSpec(id=wire, execution=account, repository="r"), NOW)
    assert not (await house.wire.status())["running"]
    await solo.close_wires(house, made)
    assert [each.id for each in rows.all()] == ["w2"], "else the next proxy listens on it again"


async def test_a_bottle_goes_on_with_its_own_backend_whatever_the_default_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = (Missing("podman", "it is nowhere", "apt-get install podman"),)
    monkeypatch.setattr(type(house.backend.container), "missing", lambda _: lacks)
    monkeypatch.setattr(type(house.backend.bubblewrap), "missing", lambda _: ())
    record(house, "boxed", backend="container")
    with pytest.raises(errors.MissingPart, match="podman"):
        await intake.resume(house, "boxed", "go on", say=str, begun=str)
    with pytest.raises(errors.BadInput, match="no terminals") as none:
        await intake.look_again(house, "boxed")
    assert none.value.next_moves == ('boatwright bottle resume boxed --headless --prompt "…"',)


def test_where_nobody_knows_yet_whose_bottles_are_wanted_one_backend_is_enough(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacks = (Missing("bwrap", "it is nowhere", "apt-get install bubblewrap"),)
    monkeypatch.setattr(type(house.backend.bubblewrap), "missing", lambda _: lacks)
    monkeypatch.setattr(type(house.backend.container), "missing", lambda _: ())
    with pytest.raises(errors.MissingPart, match="bwrap"):
        house.require_any_bottle()
    house = dataclasses.replace(house, settings=type(house.settings).model_validate({"container": {}}))
    house.require_any_bottle()
    monkeypatch.setattr(type(house.backend.container), "missing", lambda _: lacks)
    with pytest.raises(errors.MissingPart, match="bwrap"):
        house.require_any_bottle()


def test_a_replay_has_no_route_out() -> None:
    route = Route("api", "api.example", credential=Credential("env:KEY"), meter="anthropic")
    spec = WireSpec(
        id="w1", execution="ex-1", repository="r", network="allow_list", hosts=("a.example",), routes=(route,),
        upstreams=(Upstream("anthropic", secret="env:KEY"),),
    )  # fmt: skip
    again = wiring.replayed(spec, "ex-0", "anthropic", Models.parse("anthropic:m"))
    assert (again.routes, again.hosts, again.network) == ((), (), "deny_all")
    assert [each.secret for each in again.upstreams] == [None]
