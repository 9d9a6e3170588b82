"""Many deliveries, shuffled, each several times, heard by several at once: every request is one execution."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash
from boatwright.config.paths import StateDir
from boatwright.stages.house import House
from boatwright.values.delivery import DeliveryState
from boatwright.values.skipping import SkipReason
from boatwright.workflows.assembly import engine_for

from .conftest import Harbour, comment, issue, lay

pytestmark = pytest.mark.timeout(200)
ROOT = Path(__file__).parents[2]
ASKED = (1, 2, 3, 4)
STRANGERS = (11, 12)


def events() -> list[tuple[int, dict[str, Any]]]:
    """Of each issue: opened with its label, labelled, edited. Strangers label theirs, too."""
    found = []
    for number in (*ASKED, *STRANGERS):
        sender = "ada" if number in ASKED else "eve"
        found += [
            (number, issue("opened", number=number, sender=sender, at="2026-01-02T03:04:05Z")),
            (number, issue("labeled", number=number, sender=sender, at="2026-01-02T03:04:06Z")),
            (
                number,
                issue("edited", number=number, sender=sender, at="2026-01-02T03:09:00Z", body="changed"),
            ),
        ]
    return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_storm_begins_each_request_once(harbour: Harbour, seed: int) -> None:
    chance = random.Random(seed)
    once = [(f"guid-{at}", event) for at, (_, event) in enumerate(events())]
    # An edit that is heard first makes what came before it stale: that is another story (test_news).
    storm = [each for each in once if each[1]["action"] != "edited" for _ in range(chance.randint(1, 4))]
    chance.shuffle(storm)
    storm += [each for each in once if each[1]["action"] == "edited"]
    answers = await asyncio.gather(
        *(harbour.send("issues", event, delivery=name) for name, event in storm[: len(storm) // 2])
    )
    await harbour.pump.once()
    answers += await asyncio.gather(
        *(harbour.send("issues", event, delivery=name) for name, event in storm[len(storm) // 2 :])
    )
    await harbour.pump.once()
    assert {answer.status_code for answer in answers} <= {200, 202}
    rows = harbour.house.ledger.deliveries.list(limit=500)
    assert len(rows) == len(once) and {row.state for row in rows} == {DeliveryState.PROCESSED}
    views = harbour.house.ledger.executions.list()
    assert sorted(view.issue or 0 for view in views) == list(ASKED)
    assert {view.body for view in views} == {"21 items make 4 pages of 5."}, "as it was when somebody asked"
    assert all(harbour.inbox(view.id) == [("request", "request")] for view in views)
    denied = [skip for skip in harbour.skips() if skip.reason is SkipReason.NOT_ALLOWED]
    assert len(denied) >= len(STRANGERS)


async def test_two_that_process_the_same_at_once_begin_one(harbour: Harbour) -> None:
    """As two hosts on one database would: nothing but the rows keeps them apart."""
    await harbour.send("issues", issue("opened"))
    await harbour.send("issues", issue(at="2026-01-02T03:04:06Z"))
    rows = harbour.house.ledger.deliveries
    due = [rows.get(number) for number in rows.due()]
    hearing = harbour.pump._hearing
    await asyncio.gather(*(hearing.process(delivery) for delivery in due * 3))
    (view,) = harbour.house.ledger.executions.list()
    assert harbour.inbox(view.id) == [("request", "request")]
    heard = harbour.house.ledger.watched.get(harbour.world.served.id, 7)
    assert heard is not None and heard.execution == view.id


# --- with kills --------------------------------------------------------------------------------------------


def about(number: int) -> list[tuple[str, dict[str, Any]]]:
    """What is delivered of an issue: of each three one is asked by a writer, one by a stranger, one by nobody."""
    asked, sender = number % 3 != 2, "ada" if number % 3 == 0 else "eve"
    labels = ("agent",) if asked else ("bug",)
    return [
        ("issues", issue("opened", number=number, sender=sender, labels=labels, at="2026-01-02T03:04:05Z")),
        ("issues", issue(number=number, sender=sender, labels=labels, at="2026-01-02T03:04:06Z")),
        ("issue_comment", comment("Please hurry.", number=number, number_of=number, sender="eve")),
        ("issue_comment", comment("/boatwright stop", number=number, number_of=9_000 + number, sender="eve")),
    ]


def brew(root: Path, size: int, chance: random.Random) -> list[int]:
    """A storm of that many deliveries, shuffled, each sent one to four times. Returns the issues that are to be begun."""
    numbers = range(1, size // 10 + 1)
    once = [(f"guid-{number}-{at}", *each) for number in numbers for at, each in enumerate(about(number))]
    storm = [each for each in once for _ in range(chance.randint(1, 4))]
    storm += chance.choices(once, k=max(0, size - len(storm)))
    chance.shuffle(storm)
    (root / "storm.json").write_text(json.dumps(storm))
    return [number for number in numbers if number % 3 == 0]


def blow(root: Path, at: str, seconds: float) -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.intake.storm_worker", str(root)], env={**clean, crash.VARIABLE: at}, cwd=ROOT,
        capture_output=True, text=True, check=False, timeout=seconds,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode


def weathered(root: Path, size: int, kills: int, seconds: float) -> None:
    """Blow a storm at a process that is killed so often, and look at what it left."""
    chance = random.Random(size)
    lay(root)
    wanted = brew(root, size, chance)
    points = [
        "pump.claimed",
        "door.stored",
        "pump.acted",
        *crash.DOOR_POINTS,
        "intake.stored",
        "turn.claimed",
        "turn.enqueued",
    ]
    spread = max(2, len(wanted) // kills)
    died = 0
    for nth in range(kills):
        point = points[nth % len(points)]
        died += blow(root, f"{point}:{chance.randint(1, spread)}", seconds) == -signal.SIGKILL
    assert died >= kills * 3 // 4, "too little died to show anything"
    assert blow(root, "", seconds) == 0
    holds(root, wanted)


def holds(root: Path, wanted: list[int]) -> None:
    house = House.open(state=StateDir(root / "state"), producer="test")
    engine = engine_for(house)
    try:
        rows = house.ledger.deliveries.list(limit=10_000)
        assert {row.state for row in rows} == {DeliveryState.PROCESSED}
        storm = json.loads((root / "storm.json").read_text())
        assert {row.delivery for row in rows} == {name for name, _, _ in storm}
        views = house.ledger.executions.list(limit=10_000)
        assert sorted(view.issue or 0 for view in views) == wanted
        for view in views:
            types = [event.type for event in house.ledger.events.stream(view.id)]
            assert types.count("feature.requested") == 1
            assert [(row.kind, row.sender_key) for row in engine.inbox.waiting(view.id)] == [
                ("request", "request")
            ]
        assert {turn.execution for turn in engine.turns.live()} == {view.id for view in views}
        assert house.ledger.verify().problems == ()
    finally:
        engine.close()
        house.close()


@pytest.mark.timeout(600)
def test_a_storm_of_200_with_kills_begins_each_request_once(root: Path) -> None:
    weathered(root, 200, kills=3, seconds=180)


@pytest.mark.chaos
@pytest.mark.timeout(3_600)
def test_a_storm_of_2000_with_kills_begins_each_request_once(root: Path) -> None:
    weathered(root, 2_000, kills=24, seconds=1_800)
