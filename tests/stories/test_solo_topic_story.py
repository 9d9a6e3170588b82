"""A bottle by itself with an issue: its agent reads it, says something there once, whatever is killed, and says it is done."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import boatwright
from boatwright import crash
from boatwright.stages import attending

from .test_forge_calls_story import BOATWRIGHT, Caller


@pytest.fixture
async def caller(yard: Any) -> Caller:
    made = Caller(yard)
    await made.issues()
    return made


def surroundings(caller: Caller) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "HOME": str(caller.yard.repository.parent),
        "BOATWRIGHT_STATE": str(caller.yard.house.state.root),
    }  # fmt: skip


def bottle(caller: Caller, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BOATWRIGHT), "bottle", *arguments], env={**surroundings(caller), **more}, cwd=caller.yard.repository,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def start(caller: Caller, *more: str, **variables: str) -> subprocess.CompletedProcess[str]:
    headless = ("start", "caller", "--headless", "--prompt", "Look at it.", "--model", caller.yard.script())
    return bottle(caller, *headless, *more, **variables)


def row(caller: Caller) -> Any:
    (one,) = json.loads(bottle(caller, "list", "--json").stdout)
    return one


async def test_it_reads_comments_where_it_may_and_its_word_ends_the_run(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attending, "GRACE_SECONDS", 0.1)
    for name, value in surroundings(caller).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BOATWRIGHT_MODEL", caller.yard.script())
    caller.lay(
        'call("read_issue", number=1)', 'call("post_comment", number=1, text="Looking, @team.")',
        'call("post_comment", number=2, text="Hello")',
        'call("signal_done", status="done", summary="Found it.")', "time.sleep(600)",
    )  # fmt: skip
    slug = boatwright.start_headless(
        "caller", prompt="Look", forge_env={"FORGE_ISSUE": "1"}, user_cwd=caller.yard.repository
    )
    one = row(caller)
    assert (one["ended"], one["issue"], one["issue_of"]) == ("finished: Found it.", 1, caller.repository)
    (said,) = await caller.comments()
    assert said == f"> The agent of `{one['account']}` writes:\n\nLooking, @\u2060team."
    assert await caller.comments(2) == []
    told = bottle(caller, "logs", slug).stdout
    assert "| Pagination drops the last page, says ann." in told and "you may write to 1 alone" in told
    with pytest.raises(boatwright.BottleError, match="is about issue 1 of .*, and stays so") as refused:
        boatwright.resume_headless(slug, prompt="On", forge_env={"FORGE_ISSUE": "2"})
    assert refused.value.exit_code == 5
    boatwright.resume_headless(slug, prompt="On", forge_env={"FORGE_ISSUE": "1"})
    assert len(await caller.comments()) == 1, "the same words again are no second comment"
    boatwright.destroy(slug)
    assert [path.name for path in (caller.yard.house.state.root / "solo").iterdir()] == []


async def test_cut_after_its_word_it_ended_by_the_cut(caller: Caller) -> None:
    """What it says of its end hides no budget that is gone, nor a person who cut it."""
    caller.lay('call("signal_done", status="done", summary="All of it.")', "time.sleep(600)")
    argv = [str(BOATWRIGHT), "bottle", "start", "caller", "--headless", "--prompt", "Go", "--issue", "1"]
    running = subprocess.Popen(
        [*argv, "--model", caller.yard.script()], env=surroundings(caller), cwd=caller.yard.repository,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    solo = caller.yard.house.state.root / "solo"
    while not any("signal_done" in path.read_text() for path in solo.glob("*.calls")):
        assert running.poll() is None, running.communicate()
        await asyncio.sleep(0.05)
    cut = subprocess.run(
        [str(BOATWRIGHT), "cut", "caller", "--policy", "freeze"], env=surroundings(caller), check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert cut.returncode == 0, cut.stdout + cut.stderr
    said, _ = await asyncio.to_thread(running.communicate)
    assert running.returncode == 4 and "has been cut" in said, said
    assert row(caller)["state"] == "frozen"


async def test_switched_off_it_is_not_begun(caller: Caller) -> None:
    caller.lay("pass")
    switch = [str(BOATWRIGHT), "switch", "off", "--reason", "Sunday"]
    done = subprocess.run(switch, env=surroundings(caller), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    shut = start(caller, "--issue", "1")
    assert shut.returncode == 5 and "nothing is begun" in shut.stderr
    assert start(caller).returncode == 0, "without an issue it is a person's own bottle"


async def test_the_policy_of_the_issues_own_repository_holds(caller: Caller, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / ".boatwright.yml").write_text("forge_calls: none\n")
    for line in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", str(other), *line], check=True)
    made = [str(BOATWRIGHT), "issue", "create", "--repo", str(other), "--title", "Theirs"]
    assert subprocess.run(made, env=surroundings(caller), check=False, capture_output=True).returncode == 0
    caller.lay("pass")
    shut = start(caller, "--issue", "1", "--repo", str(other))
    assert shut.returncode == 5 and "lets no agent call its forge" in shut.stderr
    assert json.loads(bottle(caller, "list", "--json").stdout) == []


async def test_blocked_it_stops_with_its_words(caller: Caller) -> None:
    caller.lay('call("signal_done", status="blocked", summary="Which\\npage?")', calls="read")
    ended = start(caller, "--issue", "1")
    assert ended.returncode == 4, ended.stdout + ended.stderr
    assert "the agent says it is blocked: “Which page?”" in ended.stdout + ended.stderr
    assert "resume caller" in ended.stdout + ended.stderr


async def test_without_an_issue_there_is_no_forge(caller: Caller) -> None:
    caller.lay('assert "404" in call("read_issue", number=1)')
    ended = start(caller)
    assert ended.returncode == 0, ended.stdout + ended.stderr


async def test_a_look_at_it_says_whose_issue_and_leaves_no_trace(caller: Caller) -> None:
    caller.lay("pass")
    shown = start(caller, "--issue", "1", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    line = next(each for each in shown.stdout.splitlines() if each.strip().startswith("issue"))
    assert "1: Pagination drops the last page" in line and line.endswith("its agent may write")
    assert json.loads(bottle(caller, "list", "--json").stdout) == [] and await caller.comments() == []
    away = start(caller, "--issue", "77")
    assert away.returncode == 2 and "77" in away.stderr and "Traceback" not in away.stderr
    alone = start(caller, "--repo", str(caller.yard.repository))
    assert alone.returncode == 2 and "it needs --issue" in alone.stderr


@pytest.mark.parametrize(
    "point",
    [
        each if each == "call.acted" else pytest.param(each, marks=pytest.mark.chaos)
        for each in crash.CALL_POINTS
    ],
)
async def test_killed_there_and_resumed_there_is_one_comment(caller: Caller, point: str) -> None:
    """The whole process, by a signal it cannot catch, between the intent and what the agent hears."""
    caller.lay(
        'call("post_comment", number=1, text="Working on it")',
        'call("signal_done", status="done", summary="Done.")',
    )
    killed = start(caller, "--issue", "1", BOATWRIGHT_CRASH=point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert row(caller)["state"] == "interrupted"
    resumed = bottle(caller, "resume", "caller", "--headless", "--prompt", "Go on.")
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    assert len([each for each in await caller.comments() if "Working on it" in each]) == 1
    (kept,) = Path(caller.yard.house.state.root / "solo").glob("caller.*.calls")
    lines = kept.read_text().splitlines()
    said = [json.loads(line)["called"] for line in lines if '"called"' in line]
    assert [each["outcome"] for each in said if each["call"] == "post_comment"][-1:] == ["done"]
    assert sum(each["call"] == "post_comment" and each["outcome"] == "done" for each in said) == 1
