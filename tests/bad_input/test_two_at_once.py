"""Two of what there may be one of: runs on an issue, workers of different releases, commands for what is over."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py
MODEL = "anthropic:claude-sonnet-4-5"  # without a key: the run parks before a token is spent


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    made: Path = desk.repository()
    return made


def test_two_runs_on_one_issue(desk: Desk, repository: Path) -> None:
    desk.do("issue", "create", "--repo", str(repository), "--title", "The last page")
    command = ("run", "--repo", str(repository), "--issue", "1", "--model", MODEL)
    both = [desk.start(*command), desk.start(*command)]
    first, second = sorted((one.ended() for one in both), key=lambda said: said.code)
    execution = desk.parked(first, "credential", "ANTHROPIC_API_KEY")
    second.refuses(
        6, "issue 1", "has a live execution already", execution, move=f"boatwright show {execution}"
    )
    later = desk.do(*command).refuses(6, execution, move=f"boatwright cancel {execution}")
    assert not later.out.strip()
    assert desk.do("cancel", execution).code in {0, 130}
    assert desk.parked(desk.do(*command), "credential", "ANTHROPIC_API_KEY") != execution


def test_a_text_never_stands_for_another(desk: Desk, repository: Path) -> None:
    one, other = desk.run(repository, MODEL), desk.run(repository, MODEL)
    assert desk.parked(one, "credential", "KEY") != desk.parked(other, "credential", "KEY")


def test_the_beginning_of_several_names(desk: Desk) -> None:
    for command in (("show",), ("resume",), ("cancel",)):
        desk.do(*command, "ex-").refuses(
            2, "ex- is the beginning of several executions", move="more of the id"
        )


def test_what_is_over_stays_over(desk: Desk, repository: Path) -> None:
    execution = desk.run(repository, desk.good()).execution
    shown = desk.lost_nothing(execution, now="DELIVERED")["execution"]
    merged = desk.do("pr", "merge", str(shown["pull_request"]), "--repo", str(repository))
    assert merged.code == 0, str(merged)
    desk.do("resume", execution).refuses(6, "is completed: there is nothing to resume", move="boatwright run")
    desk.do("retry", execution).refuses(6, "is completed: its pull request is merged", move="boatwright run")
    desk.do("cancel", execution).refuses(6, "is completed already", move=f"boatwright show {execution}")
    desk.do("budget", "raise", execution, "9usd").refuses(6, "is completed", move="boatwright run")
    number = str(shown["pull_request"])
    again = desk.do("pr", "merge", number, "--repo", str(repository))
    assert (
        again.code == 0 and again.out.splitlines()[0] == merged.out.splitlines()[0]
    )  # said again, done once
    desk.do("pr", "close", number, "--repo", str(repository)).refuses(6, f"pull request {number}")
    desk.lost_nothing(execution, now="COMPLETED")


def test_a_bundle_that_cannot_be_written(desk: Desk, repository: Path) -> None:
    execution = json.loads(desk.do("status", "--all", "--json").out)[0]["id"]
    there = desk.root / "there.tar.gz"
    there.write_text("mine")
    desk.do("show", execution, "--bundle", str(there)).refuses(
        2, "there.tar.gz exists already", move="--bundle"
    )
    assert there.read_text() == "mine"
    desk.do("show", execution, "--bundle", "/nowhere/x.tar.gz").refuses(
        2, "cannot be written", move="--bundle FILE"
    )
    desk.do("show", execution, "--bundle", str(repository)).refuses(2, str(repository), move="--bundle")


def test_a_second_worker_of_another_release(desk: Desk) -> None:
    """Each does its own turns, says that the other is there, and leaves when it is told."""
    first = desk.start("worker")
    first.said("worker of release")
    second = desk.start("worker", env={"BOATWRIGHT_RELEASE": "99.0"})
    second.said("stop it with Ctrl-C")
    second.said("of another release")
    for running in (second, first):
        os.kill(running.pid, signal.SIGTERM)
        said = running.ended()
        assert said.code == 0 and "Traceback" not in said.text, str(said)
    desk.lost_nothing()
