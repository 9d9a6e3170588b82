"""A password in the address of this host's own registry: the wire has it, the bottle has the address without."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest

from boatwright import errors
from boatwright.testing import registry

SECRET = "canary-3f9a1c7b5e2d"


@pytest.fixture
def authorization() -> str:
    return "Basic " + base64.b64encode(f"someone:{SECRET}".encode()).decode()


def configured(harbour: Any) -> None:
    """As a developer's own machine may be set up for pip."""
    harbour.environment |= {
        "PIP_INDEX_URL": f"https://someone:{SECRET}@{harbour.place}/simple/",
        "PIP_CERT": str(harbour.server.ca),
        "PIP_CONFIG_FILE": os.devnull,
    }


async def test_the_wire_adds_it_and_the_bottle_never_holds_it(harbour: Any) -> None:
    configured(harbour)
    house = await harbour.house({}, {"network": {"policy": "registry_only"}})
    log = await harbour.set_up(
        house,
        "pip install -q --no-cache-dir sail && /env/bin/python -c 'import sail; print(sail.SAYS)' && env | grep PIP_"
        "; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; true",
    )
    assert registry.SAYS in log and SECRET not in log and "someone" not in log
    assert f"PIP_INDEX_URL=https://{harbour.place}/simple/" in log
    assert not harbour.registry.refused
    kept = [
        each
        for each in house.state.root.rglob("*")
        if each.is_file() and SECRET.encode() in each.read_bytes()
    ]
    assert kept == []


async def test_it_is_for_reading_alone(harbour: Any) -> None:
    configured(harbour)
    house = await harbour.house({}, {"network": {"policy": "registry_only"}})
    with pytest.raises(errors.Parked) as parked:
        await harbour.set_up(house, f"curl -sS --fail -X POST -d x https://{harbour.place}/simple/sail/")
    assert "no route takes POST there" in str(parked.value)
    assert harbour.server.asked == []


async def test_under_another_policy_it_is_not_used(harbour: Any) -> None:
    configured(harbour)
    house = await harbour.house({}, {"network": {"policy": "deny_all"}})
    log = await harbour.set_up(house, "env | grep PIP_INDEX || echo nothing")
    assert "nothing" in log and harbour.server.asked == []
