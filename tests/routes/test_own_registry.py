"""A password in the address of this host's own registry, or a token its npm keeps: the wire has it, the bottle has the
address without.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.testing import registry
from boatwright.testing.tls_server import certificates

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


# --- npm ---

PAIR = base64.b64encode(f"someone:{SECRET}".encode()).decode()
WORD = base64.b64encode(SECRET.encode()).decode()
LINES = {
    "token": ("//PLACE/:_authToken=${THE_TOKEN}", f"Bearer {SECRET}"),
    "pair": (f"//PLACE/:_auth={PAIR}", f"Basic {PAIR}"),
    "password": (f"//PLACE/:username=someone\n//PLACE/:_password={WORD}", f"Basic {PAIR}"),
    "path": (f"//PLACE/sail:_authToken={SECRET}", f"Bearer {SECRET}"),
}
INSTALL = (
    "npm install --silent sail && node -p 'require(\"sail\")'; curl -sS https://PLACE/simple/sail/; npm config list --json"
    "; env; cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n'; cat /run/npmrc ~/.npmrc; true"
)
"""Without --no-audit: what npm posts is refused, and that must not fail an installation."""


def npm_configured(harbour: Any, lines: str, home: Path, scope: str = "") -> None:
    """As a developer's own machine may be set up for npm."""
    key = f"{scope}:registry" if scope else "registry"
    said = [f"{key}=https://{harbour.place}/", lines.replace("PLACE", harbour.place)]
    (home / ".npmrc").write_text("\n".join([*said, f"cafile={harbour.server.ca}", ""]))
    (home / ".npmrc").chmod(0o600)
    harbour.environment |= {"THE_TOKEN": SECRET, "PIP_CONFIG_FILE": os.devnull}


@pytest.mark.parametrize(("line", "authorization"), LINES.values(), ids=LINES)
async def test_npm_gets_in_and_the_bottle_holds_no_token(
    harbour: Any, needs: Callable[[str], None], tmp_path: Path, line: str
) -> None:
    needs("npm")
    npm_configured(harbour, line, tmp_path)
    house = await harbour.house({}, {"network": {"policy": "registry_only"}})
    log = await harbour.set_up(house, INSTALL.replace("PLACE", harbour.place))
    assert registry.SAYS in log and f"NPM_CONFIG_REGISTRY=https://{harbour.place}/" in log
    assert not any(secret in log for secret in (SECRET, PAIR, WORD, "_auth"))
    outside = {each.target for each in harbour.registry.refused}
    assert ("/simple/sail/" in outside) == ("PLACE/sail:" in line), "the token is for its path alone"
    assert not any(each.startswith("/sail") for each in outside)
    kept = [
        each
        for each in house.state.root.rglob("*")
        if each.is_file() and any(word.encode() in each.read_bytes() for word in (SECRET, PAIR, WORD))
    ]
    assert kept == []


@pytest.mark.parametrize("authorization", [f"Bearer {SECRET}"])
async def test_a_scopes_registry_is_named_in_the_bottle(
    harbour: Any, needs: Callable[[str], None], tmp_path: Path
) -> None:
    needs("npm")
    npm_configured(harbour, f"//PLACE/:_authToken={SECRET}", tmp_path, scope="@corp")
    house = await harbour.house({}, {"network": {"policy": "registry_only"}})
    log = await harbour.set_up(house, "npm view @corp/sail name 2>&1; cat /run/npmrc; true")
    assert f'@corp:registry="https://{harbour.place}/"' in log and SECRET not in log
    assert [each.target for each in harbour.server.asked] == [
        "/@corp%2fsail"
    ] and not harbour.registry.refused


@pytest.mark.parametrize("authorization", [f"Bearer {SECRET}"])
async def test_whom_one_client_trusts_is_trusted_beside_what_another_does(
    harbour: Any, needs: Callable[[str], None], tmp_path: Path
) -> None:
    needs("npm")
    npm_configured(harbour, f"//PLACE/:_authToken={SECRET}", tmp_path)
    (tmp_path / "pips").mkdir()
    harbour.environment["PIP_CERT"] = str(certificates(tmp_path / "pips", ("other.example",))[0])
    house = await harbour.house({}, {"network": {"policy": "registry_only"}})
    log = await harbour.set_up(house, "npm install --silent --no-audit sail && node -p 'require(\"sail\")'")
    assert registry.SAYS in log
