"""Killed at each effect on Gitea or GitLab, and taken up again: one branch, one pull request, one living comment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.stories.test_forge_others_story import BOT, TOKEN, Harbour

from boatwright.values.state import State

PROGRAM = Path(sys.executable).with_name("boatwright")
POINTS = ("deliver.intended", "deliver.pushed", "deliver.opened", "deliver.commented", "turn.ending")
SHORT = "deliver.opened"


@pytest.fixture(params=[pytest.param("gitea", marks=pytest.mark.chaos), "gitlab"])
def harbour(request: pytest.FixtureRequest) -> Iterator[Harbour]:
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    made = Harbour(root, request.param)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def boatwright(harbour: Harbour, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], "HOME": str(harbour.root), "STORY_TOKEN": TOKEN}
    return subprocess.run(
        [str(PROGRAM), *arguments],
        env={**known, "BOATWRIGHT_STATE": str(harbour.root / "state"), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "point", [each if each == SHORT else pytest.param(each, marks=pytest.mark.chaos) for each in POINTS]
)
async def test_killed_there_and_resumed_it_has_one_effect_of_each(harbour: Harbour, point: str) -> None:
    house, number = harbour.yard.house, str(harbour.issue())
    run = ("run", "--repo", harbour.url, "--issue", number, "--model", harbour.yard.good())
    killed = boatwright(harbour, *run, BOATWRIGHT_CRASH=point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    (view,) = house.ledger.executions.list(limit=10)
    resumed = boatwright(harbour, "resume", view.id)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = house.ledger.executions.find(view.id)
    assert (after.state, after.ready) == (State.DELIVERED, True)
    assert [bool(topic.pull) for topic in harbour.depot.topics.values()] == [False, True]
    checks = {c.name: c.conclusion for c in await house.forge.checks(after.repository, after.head or "")}
    names = ("boatwright/verify", "boatwright/security", "boatwright/review")
    assert checks == dict.fromkeys(names, "success")
    heads = harbour.server.act.bare(harbour.depot).heads()
    assert heads == {"main": heads["main"], after.branch: after.head}
    topic = harbour.pull(after.pull_request)
    assert [(r.number, r.author) for r in harbour.depot.remarks] == [(int(number), BOT), (topic.number, BOT)]
    assert topic.pull is not None
    assert not topic.pull.draft
    assert TOKEN not in killed.stdout + killed.stderr + resumed.stdout + resumed.stderr
