"""Every payload of ``@octokit/webhooks-examples`` through the real front door and the pump: captures nobody here wrote.

Needs npm and its registry; nothing is skipped where there is none.
"""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from boatwright.values.delivery import DeliveryState
from boatwright.values.skipping import SkipReason

from .conftest import Harbour

pytestmark = [pytest.mark.packages, pytest.mark.timeout(600)]
PACKAGE = "@octokit/webhooks-examples@7.6.1"
NUMBER = 329


@pytest.fixture(scope="session")
def examples(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """58 events, each with its payloads; kept in pytest's cache."""
    cache = getattr(pytestconfig, "cache", None)
    place: Path = cache.mkdir("webhooks-examples") if cache is not None else tmp_path_factory.mktemp("npm")
    found = next(place.rglob("webhooks-examples/**/index.json"), None)
    if found is None:
        argv = [
            "npm",
            "install",
            "--prefix",
            str(place),
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            PACKAGE,
        ]
        subprocess.run(argv, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
        found = next(place.rglob("webhooks-examples/**/index.json"))
    return list(json.loads(found.read_text()))


@pytest.mark.parametrize("with_installation", [False, True])
async def test_every_example_is_taken_and_done_or_ignored_with_a_reason(
    harbour: Harbour, examples: list[dict[str, Any]], with_installation: bool
) -> None:
    harbour.world.served.path = "Codertocat/Hello-World"
    harbour.world.writers = {"Codertocat"}
    sent = 0
    for event in examples:
        for payload in event["examples"]:
            given = {"installation": {"id": 1, "node_id": "x"}} if with_installation else {}
            answer = await harbour.send(event["name"], {**given, **payload})
            assert answer.status_code == 202, (event["name"], answer.text)
            sent += 1
    assert (len(examples), sent) == (58, NUMBER)
    assert await harbour.pump.once() == NUMBER
    rows = harbour.house.ledger.deliveries.list(limit=1_000)
    assert len(rows) == NUMBER and {row.state for row in rows} == {DeliveryState.PROCESSED}
    skipped = [row for row in rows if row.outcome == "skipped"]
    assert {row.reason for row in skipped} <= {reason.value for reason in SkipReason}
    assert len(harbour.skips()) == len(skipped) and all(row.reason for row in skipped)
    assert {row.outcome for row in rows} == {"skipped", "noted"}
    why = Counter(row.reason for row in skipped)
    assert why[SkipReason.OTHER_SHAPE] == 0, [row for row in skipped if row.reason == SkipReason.OTHER_SHAPE]
    assert why[SkipReason.NO_TRIGGER] >= 10 and why[SkipReason.NOT_ADDRESSED] >= 1
    assert harbour.executions() == []
