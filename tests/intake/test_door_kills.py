"""Killed at every point between a delivery and what it asks, and started again: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.rules import naming
from boatwright.stages.house import House
from boatwright.values.delivery import DeliveryState
from boatwright.values.events import DeliverySkipped
from boatwright.values.skipping import SkipReason
from boatwright.workflows.assembly import engine_for

from . import door_worker
from .conftest import lay

pytestmark = pytest.mark.timeout(200)
ROOT = Path(__file__).parents[2]
BELOW = ("intake.stored", "turn.claimed", "turn.enqueued")
"""Points of the engine that are passed on the way."""
ONCE = ("pump.claimed", "pump.started")
"""Passed by the delivery alone that begins an execution."""
FIRST = [f"{point}:1" for point in (*crash.DOOR_POINTS, *BELOW)]
LATER = [f"{point}:{nth}" for point in crash.DOOR_POINTS if point not in ONCE for nth in (2, 3, 4, 5)] + [
    "intake.stored:2"
]


def work(root: Path, at: str = "") -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    argv = [sys.executable, "-m", "tests.intake.door_worker", str(root)]
    ran = subprocess.run(
        argv,
        env={**clean, crash.VARIABLE: at},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode


def prepare(root: Path) -> None:
    """The issue is there where it is answered: on the local forge of that state directory."""
    laid = lay(root)
    house = House.open(state=StateDir(root / "state"), producer="test")

    async def begin() -> None:
        await house.forge.add_repository(laid.id, source=laid.source, default_branch="main")
        await house.forge.create_issue(laid.id, title="t", body="b", author="eve")

    asyncio.run(begin())
    house.close()


def holds(root: Path) -> None:
    house = House.open(state=StateDir(root / "state"), producer="test")
    engine = engine_for(house)
    repository = naming.repository_id(str(root / "paginate"))
    try:
        rows = house.ledger.deliveries.list()
        assert [row.state for row in rows] == [DeliveryState.PROCESSED] * len(door_worker.SENT), rows
        assert [row.outcome for row in rows] == ["skipped", "answered", "told", "skipped", "started"]
        (view,) = house.ledger.executions.list()
        types = [event.type for event in house.ledger.events.stream(view.id)]
        assert types.count("feature.requested") == 1
        told = [(row.kind, row.sender_key) for row in engine.inbox.waiting(view.id)]
        assert told == [("request", "request"), ("retry", f"retry:{repository}:issue:50")]
        assert [turn.execution for turn in engine.turns.live()] == [view.id], "and somebody will work on it"
        assert asyncio.run(_said(house, repository)) == ["explain:51", "refused:52"]
        skips = [event.payload for event in house.ledger.events.stream("deliveries")]
        assert [s.reason for s in skips if isinstance(s, DeliverySkipped)] == [
            SkipReason.ALREADY_ASKED,
            SkipReason.UNKNOWN_COMMAND,
        ]
        heard = house.ledger.watched.get(repository, 1)
        assert heard is not None and heard.execution == view.id
        assert house.ledger.verify().problems == ()
    finally:
        engine.close()
        house.close()


async def _said(house: House, repository: str) -> list[str]:
    return [comment.marker for comment in await house.forge.comments(repository, 1)]


def dies_and_goes_on(root: Path, at: str) -> None:
    prepare(root)
    assert work(root, at) == -signal.SIGKILL, "nothing died, so nothing was shown"
    assert work(root) == 0
    assert work(root) == 0, "and everything is delivered once more"
    holds(root)


@pytest.mark.parametrize("at", FIRST)
def test_killed_once_on_the_way(root: Path, at: str) -> None:
    dies_and_goes_on(root, at)


@pytest.mark.chaos
@pytest.mark.parametrize("at", LATER)
def test_killed_at_every_later_delivery(root: Path, at: str) -> None:
    dies_and_goes_on(root, at)


def test_killed_again_and_again(root: Path) -> None:
    """Every time it starts it dies one point further on."""
    prepare(root)
    for at in (
        "door.stored:1",
        "pump.begun:1",
        "pump.claimed:1",
        "intake.stored:1",
        "turn.claimed:1",
        "pump.acted:1",
    ):
        assert work(root, at) == -signal.SIGKILL, at
    assert work(root) == 0
    holds(root)
