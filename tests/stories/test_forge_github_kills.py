"""Killed at each effect on a GitHub, and taken up again: one branch, one pull request, one living comment, one check a gate."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stories.test_forge_github_story import PATH, TOKEN, Harbour, issue_of

from boatwright import crash
from boatwright.values.state import State

PROGRAM = Path(sys.executable).with_name("boatwright")
POINTS = (
    *crash.TOLD_POINTS, "deliver.intended", "deliver.pushed", "deliver.opened", "deliver.commented", "turn.ending",
)  # fmt: skip
SHORT = {"told.commented", "deliver.opened"}


@pytest.fixture
def harbour() -> Iterator[Harbour]:
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    made = Harbour(root, "token")
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def boatwright(harbour: Harbour, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(PROGRAM), *arguments],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(harbour.root),
            "BOATWRIGHT_STATE": str(harbour.root / "state"),
            "STORY_TOKEN": TOKEN,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "point", [each if each in SHORT else pytest.param(each, marks=pytest.mark.chaos) for each in POINTS]
)
def test_killed_there_and_resumed_it_has_one_effect_of_each(harbour: Harbour, point: str) -> None:
    yard = harbour.yard
    number = str(issue_of(harbour))
    run = ("run", "--repo", harbour.url, "--issue", number, "--model", yard.good())
    killed = boatwright(harbour, *run, BOATWRIGHT_CRASH=point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    (view,) = yard.house.ledger.executions.list(limit=10)
    resumed = boatwright(harbour, "resume", view.id)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = yard.house.ledger.executions.find(view.id)
    assert (after.state, after.ready) == (State.DELIVERED, True)
    depot = harbour.depot()
    assert [bool(topic.pull) for topic in depot.topics.values()] == [False, True]
    assert [(remark.number, remark.author) for remark in depot.remarks] == [(1, harbour.me), (2, harbour.me)]
    assert Counter({s.context for s in depot.statuses}) == Counter(
        ("boatwright/verify", "boatwright/security", "boatwright/review")
    )
    heads = harbour.server.act.bare(depot).heads()
    assert heads == {"main": heads["main"], after.branch: after.head}
    assert harbour.server.state.depots[PATH].topics[2].pull.draft is False  # type: ignore[union-attr]
    assert TOKEN not in killed.stdout + killed.stderr + resumed.stdout + resumed.stderr
