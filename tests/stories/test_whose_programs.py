"""Whose programs an execution runs: a toolchain that is missing is named before a token is spent; an image brings its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from boatwright import errors
from boatwright.config.effective import Flags
from boatwright.git.mirror import Mirror
from boatwright.git.remote import Remote
from boatwright.rules import naming
from boatwright.stages import environments, ground, roots, solo
from boatwright.stages.house import House
from boatwright.values.events import EnvironmentPrepared, ModelCalled
from boatwright.values.state import State

ALLOWED = "container:\n  images: ['localhost/boatwright-test-*']\nnetwork: {ceiling: deny_all}\n"


async def test_a_missing_toolchain_parks_by_its_name(yard: Any) -> None:
    view = await yard.run(yard.good(), test="swift test")
    assert (view.state, view.parked_code) == (State.PARKED, "toolchain"), yard.lines
    assert view.reason.startswith("swift is not in this environment (this host's programs)")
    assert any("environment: {image: REF}" in move for move in view.next_moves)
    assert yard.payloads(view.id, ModelCalled) == []
    assert yard.payloads(view.id, EnvironmentPrepared) == []


@pytest.fixture
def allowing(yard: Any) -> House:
    """The yard's house, with containers and the test's image allowed."""
    state = yard.house.state
    state.settings.write_text(ALLOWED)
    return House.open(state=state, environment=yard.house.environment, producer="test")


async def look(yard: Any, house: House) -> tuple[ground.Ground, Any]:
    source = Remote.of(yard.repository).address
    mirror = Mirror.open(house.state, naming.repository_id(source), source)
    _, commit = mirror.fetch_base(None)
    return await ground.untested(house, mirror, commit, Flags(agent="builtin"), files=True), mirror


async def test_an_image_brings_its_own_toolchain(yard: Any, image: str, allowing: House) -> None:
    yard.commit(".boatwright.yml", f"environment: {{image: '{image}'}}\nsetup_command: go > /env/said\n")
    here, mirror = await look(yard, allowing)
    assert (here.effective.backend, here.image) == ("container", image)
    payer = solo.Account("ex-look", "local/paginate", "builtin", "")
    made = await environments.for_bottle(allowing, payer, mirror, here, lambda _: None)
    assert (made.path / "said").read_text() == "go of the image\n"
    again = await environments.for_bottle(allowing, payer, mirror, here, lambda _: None)
    assert again.cached and again.root == made.root and made.root.image
    await roots.require(allowing, here, ("go",), made)
    with pytest.raises(errors.Parked, match=f"cargo is not in this environment \\({image}"):
        await roots.require(allowing, here, ("go", "cargo"), made)
    other = replace(here, variables={"A": "b"})
    assert (await environments.for_bottle(allowing, payer, mirror, other, lambda _: None)).key != made.key
    allowing.close()


async def test_a_devcontainer_is_read_from_the_base_and_held_to_the_ceiling(
    yard: Any, allowing: House
) -> None:
    (yard.repository / ".devcontainer").mkdir()
    written = {
        "image": "localhost/boatwright-test-x:1",
        "containerEnv": {"A": "b"},
        "postCreateCommand": "make env",
    }
    yard.commit(".boatwright.yml", "environment: devcontainer\n")
    with pytest.raises(errors.BadPolicy, match="has no .devcontainer/devcontainer.json"):
        await look(yard, allowing)
    yard.commit(".devcontainer/devcontainer.json", json.dumps(written))
    here, _ = await look(yard, allowing)
    assert (here.image, dict(here.variables), here.setup_line) == (written["image"], {"A": "b"}, "make env")
    yard.commit(".devcontainer/devcontainer.json", json.dumps(written | {"image": "elsewhere/x"}))
    with pytest.raises(errors.AboveCeiling, match="the image elsewhere/x"):
        await look(yard, allowing)
    allowing.close()
