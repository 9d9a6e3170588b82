"""An agent in a real bottle calls its forge over its real wire: reads, writes where it may, is refused, says it is done."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash
from boatwright.config import settings as settings_module
from boatwright.stages import attending
from boatwright.values.events import BuildCompleted, ForgeCalled
from boatwright.values.state import State

BOATWRIGHT = Path(sys.executable).with_name("boatwright")
SECRET = "ghp_" + base64.b32encode(b"a canary, not a token!").decode()[:36].ljust(36, "Q")
PROGRAM = """
import json, subprocess, time, urllib.error, urllib.request
URL = "http://127.0.0.1:8080/boatwright/forge/call"
def call(kind, **fields):
    request = urllib.request.Request(URL, json.dumps({"call": kind, **fields}).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            said = answer.read().decode()
    except urllib.error.HTTPError as error:
        said = f"{error.code} " + error.read().decode()
    print(kind, "->", said, flush=True)
    return said
def sh(line):
    subprocess.run(["sh", "-c", line], check=True)
"""
MANIFEST = """---
provider: command
forge_calls: {calls}
command:
  run: [env, python3, -c, {program}]
  protocol: openai
---
"""


class Caller:
    """A yard with an issue (1) to work on and another (2), and an agent that runs the lines it is given."""

    def __init__(self, yard: Any) -> None:
        self.yard, self.repository = yard, ""

    def settings(self, text: str) -> None:
        self.yard.house.state.settings.write_text(text)
        object.__setattr__(self.yard.house, "settings", settings_module.load(self.yard.house.state.settings))

    def lay(self, *lines: str, calls: str = "write") -> None:
        coded = base64.b64encode((PROGRAM + "\n".join(lines)).encode()).decode()
        program = json.dumps(f"exec(__import__('base64').b64decode('{coded}'))")
        folder = self.yard.house.state.root / "agents"
        folder.mkdir(exist_ok=True)
        (folder / "caller.md").write_text(MANIFEST.format(program=program, calls=calls))

    async def issues(self) -> None:
        from boatwright.intake import request

        self.repository, _ = await request.open_repository(self.yard.house, str(self.yard.repository))
        await self.yard.house.forge.add_repository(
            self.repository, source=str(self.yard.repository), default_branch="main"
        )
        for title in ("Pagination drops the last page", "Another one"):
            await self.yard.house.forge.create_issue(
                self.repository, title=title, body=f"{title}, says ann.", author="ann"
            )

    async def run(self, *lines: str, calls: str = "write") -> Any:
        self.lay(*lines, calls=calls)
        await self.issues()
        return await self.yard.run(self.yard.script(), text=None, issue=1, agent="caller")

    async def said(self, view: Any) -> str:
        (built,) = self.yard.payloads(view.id, BuildCompleted)[:1]
        return (await self.yard.house.read(built.transcript)).decode()

    def calls(self, view: Any) -> list[tuple[str, int, str, str]]:
        told = self.yard.payloads(view.id, ForgeCalled)
        return [(each.call, each.number, each.outcome, each.reason) for each in told]

    async def comments(self, number: int = 1) -> list[str]:
        return [c.body for c in await self.yard.house.forge.comments(self.repository, number)]


@pytest.fixture
def caller(yard: Any) -> Caller:
    return Caller(yard)


def mend(caller: Caller) -> list[str]:
    return [f"sh({caller.yard.test!r})", f"sh({caller.yard.fix!r})"]


async def test_it_reads_writes_where_it_may_and_says_it_is_done(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attending, "GRACE_SECONDS", 0.1)
    view = await caller.run(
        'call("read_issue", number=2)', 'call("post_comment", number=1, text="Working on it, @team.")',
        'call("post_comment", number=2, text="Hello there")',
        f'call("post_comment", number=1, text="token = {SECRET!r}")', *mend(caller),
        'call("signal_done", status="done", summary="Mended the last page.")', "time.sleep(600)",
    )  # fmt: skip
    assert view.state is State.DELIVERED, (view.reason, caller.yard.lines[-20:])
    assert caller.calls(view) == [
        ("read_issue", 2, "done", ""),
        ("post_comment", 1, "done", ""),
        ("post_comment", 2, "refused", "other_number"),
        ("post_comment", 1, "refused", "secret"),
        ("signal_done", 0, "done", "done"),
    ]
    said = await caller.said(view)
    assert "| Another one, says ann." in said and "400 This is refused: you may write to 1 alone" in said
    assert [each for each in await caller.comments() if "Working on it," in each] == [
        f"> The agent of `{view.id}` writes:\n\nWorking on it, @\u2060team."
    ]
    assert await caller.comments(2) == [] and SECRET not in "".join(await caller.comments())
    (built,) = caller.yard.payloads(view.id, BuildCompleted)
    assert (built.stop_reason, built.summary) == ("finished", "Mended the last page.")


async def test_a_blocked_agent_parks_with_its_words_and_goes_on_when_a_person_helped(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attending, "GRACE_SECONDS", 0.1)
    view = await caller.run(
        'call("signal_done", status="blocked", summary="Which\\nregistry?")', "time.sleep(600)", calls="read"
    )
    assert (view.state, view.parked_code) == (State.PARKED, "blocked")
    assert view.reason == "the agent says it is blocked: “Which registry?”"
    assert f"boatwright resume {view.id}" in view.next_moves
    assert caller.yard.payloads(view.id, BuildCompleted) == []


async def test_an_agent_of_which_nothing_is_heard_did_not_report(caller: Caller) -> None:
    caller.settings("silence: 2s\n")
    view = await caller.run("time.sleep(600)", calls="none")
    assert (view.state, view.parked_code) == (State.PARKED, "did_not_report")
    assert view.reason == "the agent did not report: no model call and no call to this host for 2 seconds"
    assert any("silence" in move for move in view.next_moves)


async def test_without_the_key_in_the_manifest_there_is_no_service(caller: Caller) -> None:
    view = await caller.run('assert "404" in call("read_issue", number=1)', *mend(caller), calls="none")
    assert view.state is State.DELIVERED, view.reason
    assert caller.calls(view) == []


@pytest.mark.parametrize(
    "point",
    [
        each if each == "call.acted" else pytest.param(each, marks=pytest.mark.chaos)
        for each in crash.CALL_POINTS
    ],
)
async def test_killed_there_and_resumed_there_is_one_comment(caller: Caller, point: str) -> None:
    """The whole process, by a signal it cannot catch, between the intent and what the agent hears."""
    yard = caller.yard
    caller.lay(
        'call("post_comment", number=1, text="Working on it")', *mend(caller),
        'call("signal_done", status="done", summary="Mended.")',
    )  # fmt: skip
    await caller.issues()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(yard.repository.parent),
        "BOATWRIGHT_STATE": str(yard.house.state.root),
    }

    def boatwright(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BOATWRIGHT), *arguments], env={**environment, **more}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    run = (
        "run",
        "--repo",
        str(yard.repository),
        "--issue",
        "1",
        "--agent",
        "caller",
        "--model",
        yard.script(),
    )
    killed = boatwright(*run, BOATWRIGHT_CRASH=point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    (view,) = yard.house.ledger.executions.list(limit=10)
    resumed = boatwright("resume", view.id)
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    after = yard.house.ledger.executions.find(view.id)
    assert after.state is State.DELIVERED
    said = [each for each in await caller.comments() if "agent of" in each]
    assert len(said) == 1
    assert [each for each in caller.calls(after) if each[0] == "post_comment"] == [
        ("post_comment", 1, "done", "")
    ]
