"""A base that gives nothing to compare with: no test command, a set-up that fails, tests that run wild. Each parks with its name."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py
MODEL = "anthropic:claude-sonnet-4-5"  # never reached: whatever parks here does so before a token is spent
SMALL = "limits: {wall: 60s, memory: 192MiB, pids: 48, disk: 32MiB, output: 1MiB}\n"

WILD = {
    # how the tests behave: the limit that is named
    "sleep 600": "wall clock",
    "head -c 200000000 /dev/zero | tr '\\0' x": "output",
    "python3 -c 'import os\nwhile True: os.fork()'": "processes",
    "cat /dev/zero > big": "disk",
    "python3 -c 'kept = []\nwhile True: kept.append(b\"x\" * (1 << 20) + bytes([len(kept) % 256]))'": "memory",
}


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    desk.settings(SMALL)
    made: Path = desk.repository()
    return made


def test_tests_that_run_wild_are_ended_by_a_limit_that_is_named(desk: Desk, repository: Path) -> None:
    hasty = desk.repository(files={".boatwright.yml": "limits: {wall: 2s}\n"})

    def run(test: str) -> Any:
        return desk.run(hasty if test.startswith("sleep") else repository, MODEL, "--test", test)

    with ThreadPoolExecutor(2) as together:
        for said, limit in zip(together.map(run, WILD), WILD.values(), strict=True):
            desk.parked(said, "base_tests", f"hit the {limit} limit", move="--from analyze")


def test_a_limit_that_was_raised_lets_the_next_run_through(desk: Desk) -> None:
    """What a limit ended is not remembered as the base's own result."""
    repository = desk.repository()
    desk.settings("limits: {wall: 1s}\n")
    slow = ("--test", "sleep 2 && python3 -m unittest discover -s tests -t .")
    execution = desk.parked(desk.run(repository, MODEL, *slow), "base_tests", "hit the wall clock limit")
    desk.settings(SMALL)
    again = desk.do("resume", execution)
    assert "base: 4 pass" in again.out, str(again)
    again.refuses(4, "parked (credential)")


def test_a_set_up_that_fails(desk: Desk, repository: Path) -> None:
    said = desk.run(repository, MODEL, "--setup", "echo no such thing; exit 3")
    execution = desk.parked(said, "setup", "the setup command failed", "exit code 3", move="--from analyze")
    assert "no such thing" in desk.do("show", execution).out
    hasty = desk.repository(files={".boatwright.yml": "limits: {wall: 2s}\n"})
    desk.parked(desk.run(hasty, MODEL, "--setup", "sleep 600"), "setup", "it met the limit 'wall clock'")


def test_a_test_command_that_is_not_there(desk: Desk, repository: Path) -> None:
    said = desk.run(repository, MODEL, "--test", "no-such-program")
    desk.parked(
        said, "toolchain", "`no-such-program` cannot be started", "exit 127", move="boatwright resume"
    )


def test_a_base_whose_tests_all_fail_is_mended_and_goes_on(desk: Desk) -> None:
    whole = (desk.repository() / "tests" / "test_paginate.py").read_text()
    broken = "import unittest\n\n\nclass Pages(unittest.TestCase):\n    def test_a(self):\n        self.fail('always')\n"
    repository = desk.repository(files={"tests/test_paginate.py": broken})
    said = desk.run(repository, MODEL)
    execution = desk.parked(
        said, "base_tests", "on the base no test passes", move=f"retry {said.execution} --from analyze"
    )
    mended = desk.commit(repository, {"tests/test_paginate.py": whole})
    again = desk.do("retry", execution, "--from", "analyze")
    assert "base: 4 pass" in again.out, str(again)
    again.refuses(4, "parked (credential)")
    assert desk.lost_nothing(execution)["execution"]["base_commit"] == mended


def test_nobody_says_how_to_test_until_the_policy_does(desk: Desk) -> None:
    repository = desk.root / "words"
    repository.mkdir()
    desk.git(repository, "init", "--quiet", "--initial-branch=main")
    desk.commit(repository, {"NOTES": "Nothing to test.\n"})
    said = desk.run(repository, MODEL)
    execution = desk.parked(
        said, "no_test_command", "nobody says how to test", move=f"retry {said.execution} --from analyze"
    )
    desk.commit(repository, {".boatwright.yml": "test_command: grep -q test NOTES\n"})
    again = desk.do("retry", execution, "--from", "analyze")
    assert "base: 1 pass" in again.out, str(again)
    desk.commit(repository, {".boatwright.yml": "test_comand: true\n"})
    again = desk.do("retry", execution, "--from", "analyze").refuses(
        4, "parked (policy)", "unknown key 'test_comand'"
    )
    assert any("retry" in move for move in again.moves)
    desk.lost_nothing(execution)
