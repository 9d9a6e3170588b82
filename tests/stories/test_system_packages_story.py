"""A repository whose tests need a system package that is not on this host: in every round, in the proof, after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from boatwright import errors
from boatwright.bottle.packages import trees
from boatwright.stages.house import House
from boatwright.testing.debian import Source
from boatwright.values.events import BottleCreated, EnvironmentPrepared, ModelCalled
from boatwright.values.state import State
from boatwright.workflows.assembly import engine_for

POLICY = "system_packages: [greeting]\n"
USES = """\
import subprocess
import unittest


class Greets(unittest.TestCase):
    def test_greeting(self):
        self.assertEqual(subprocess.check_output(["greeting"]), b"hello\\n")
"""


@pytest.fixture
def source(yard: Any) -> Source:
    made = Source(yard.house.state.root.parent / "source")
    made.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho hello\n"}, depends="words")
    made.add("words", {"usr/share/words": b"words\n"})
    return made


def reopened(yard: Any, environment: dict[str, str]) -> None:
    """The same state directory, as a new process with these variables finds it."""
    state, known = yard.house.state, yard.house.environment
    yard.engine.close()
    yard.house.close()
    yard.house = House.open(state=state, environment={**known, **environment}, producer="test")
    yard.engine = engine_for(yard.house)


@pytest.fixture
def greeting(yard: Any, source: Source) -> Any:
    """The yard on a host that allows packages and can fetch ``greeting``, with a test that needs it."""
    yard.house.state.settings.write_text("system_packages: any\n")
    reopened(yard, source.publish())
    yard.commit(".boatwright.yml", POLICY)
    yard.commit("tests/test_greeting.py", USES)
    return yard


async def test_from_the_base_to_the_proof_and_through_later_rounds(greeting: Any, source: Source) -> None:
    yard = greeting
    view = await yard.run(yard.good())
    assert (view.state, view.ready) == (State.DELIVERED, True), yard.lines
    (prepared,) = yard.payloads(view.id, EnvironmentPrepared)
    assert prepared.packages == ("greeting=1.0", "words=1.0")
    kept = laid(yard.house)
    assert len(kept) == 1
    # Newer ones are there by now, and a process that knows nothing of this one: the next round gets what the first had.
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho newer\n"}, version="2.0")
    reopened(yard, source.publish())
    view = await yard.comment(view, "Please go on.")
    assert view.state is State.DELIVERED, yard.lines
    assert laid(yard.house) == kept
    assert {each.packages for each in yard.payloads(view.id, EnvironmentPrepared)} == {prepared.packages}


async def test_a_tree_that_is_gone_and_cannot_be_had_again_parks(greeting: Any, source: Source) -> None:
    yard = greeting
    view = await yard.run(yard.good())
    assert view.state is State.DELIVERED, yard.lines
    (key,) = laid(yard.house)
    trees.discard(yard.house.state, key)
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\necho newer\n"}, version="2.0")
    reopened(yard, source.publish())
    view = await yard.comment(view, "Please go on.")
    assert (view.state, view.parked_code) == (State.PARKED, "packages"), yard.lines
    assert "Version '1.0' for 'greeting' was not found" in view.reason
    assert f"then: boatwright retry {view.id} --from analyze" in view.next_moves
    assert laid(yard.house) == []


async def test_a_package_nobody_has_parks_before_money_is_spent(greeting: Any) -> None:
    yard = greeting
    yard.commit(".boatwright.yml", "system_packages: [nobody-has-it]\n")
    view = await yard.run(yard.good())
    assert (view.state, view.parked_code) == (State.PARKED, "packages"), yard.lines
    assert view.reason.startswith(
        "system_packages nobody-has-it could not be fetched: Unable to locate package"
    )
    assert yard.payloads(view.id, ModelCalled) == yard.payloads(view.id, BottleCreated) == []


@pytest.mark.parametrize(
    ("settings", "path", "kind", "says"),
    [
        ("", None, errors.AboveCeiling, "'system_packages' asks for greeting; this host allows none"),
        (
            "system_packages: any",
            "/nonexistent",
            errors.MissingPart,
            "not all of apt-get, apt-config, dpkg-deb",
        ),
    ],
)
async def test_a_host_that_does_not_or_cannot_refuses_before_anything_is_written(
    yard: Any, settings: str, path: str | None, kind: type[errors.BoatwrightError], says: str
) -> None:
    yard.house.state.settings.write_text(settings)
    reopened(yard, {"PATH": path} if path else {})
    yard.commit(".boatwright.yml", POLICY)
    with pytest.raises(kind, match=says):
        await yard.ask(yard.good())
    assert yard.house.ledger.executions.list() == []


def laid(house: House) -> list[str]:
    return sorted(
        path.name for path in house.state.packages.iterdir() if not path.name.startswith((".", "for-"))
    )
