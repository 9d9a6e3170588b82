"""A coding agent as people install it, at one task in a bottle of its own: metered, frozen, resumed, killed, billed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright.intake import request, solo
from boatwright.intake.solo import Ask
from boatwright.intake.solo_topic import Named
from boatwright.stages import scripted
from boatwright.testing.scripted_process import ScriptedModel, serving
from boatwright.values.solo import Solo

pytestmark = [
    pytest.mark.agents,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        "claude" not in os.environ.get("BOATWRIGHT_TEST_AGENTS", "claude").split(),
        reason="claude is not among the agents asked for",
    ),
]
PROGRAM = Path(sys.executable).with_name("boatwright")
TWO = {
    "later": [[{"say": "Working.", "tools": [{"bash": "echo two >> made"}]}, {"say": "Done two."}]],
    "replies": [{"say": "Working.", "tools": [{"bash": "echo one > made"}]}, {"say": "Done one."}],
}


@pytest.fixture
async def billing(yard: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedModel]:
    """The scripted model in this process, so that its own bill can be held against the meter."""
    script = Path(yard.script(**TWO).removeprefix("scripted:"))
    async with serving(script.read_text("utf-8"), tmp_path) as model:

        async def ensure(*_: object) -> Path:
            return model.socket

        monkeypatch.setattr(scripted, "ensure", ensure)
        yield model


async def made(yard: Any, slug: str) -> str:
    bottle = await yard.house.backend.open(slug)
    return str((await bottle.exec(["cat", "made"])).text())


def quiet(_: object) -> None:
    """Nobody watches."""


async def test_it_works_alone_is_frozen_and_goes_on_with_its_own_session(
    yard: Any, billing: ScriptedModel
) -> None:
    script = yard.script(**TWO)
    ask = Ask(
        agent="claude", prompt="Make it", cwd=yard.repository, label="alone", model=script, copy_cwd=True
    )
    wanted = await solo.look(yard.house, ask)
    first: Solo = await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)
    assert first.end is not None and (first.end.stop, first.end.summary) == ("finished", "Done one.")
    assert first.session and await made(yard, "alone") == "one\n"
    frozen = await solo.freeze(yard.house, "alone")
    assert frozen.archive and await yard.house.backend.open("alone") is None
    again = await solo.resume(yard.house, "alone", "And more", say=quiet, begun=quiet)
    assert again.end is not None and again.end.summary == "Done two."
    assert await made(yard, "alone") == "one\ntwo\n"
    rows = yard.house.wire.budgets().usage(first.account)
    billed = [row for row in billing.ledger() if row["billed"]]
    assert sum(row.usage.output for row in rows) == sum(row["output"] for row in billed)
    assert len(rows) == len(billed) >= 4
    await solo.destroy(yard.house, "alone")
    assert not [
        each for each in (await yard.house.wire.status())["wires"] if each["execution"] == first.account
    ]


async def test_it_reads_its_issue_comments_on_it_and_its_word_ends_the_run(yard: Any) -> None:
    forge = yard.house.forge
    repository, _ = await request.open_repository(yard.house, str(yard.repository))
    await forge.add_repository(repository, source=str(yard.repository), default_branch="main")
    await forge.create_issue(repository, title="Louder", body="The README whispers.", author="ann")
    folder = yard.house.state.root / "agents"
    folder.mkdir(exist_ok=True)
    (folder / "talker.md").write_text("---\nprovider: claude\nforge_calls: write\n---\n")
    calls = [
        ("read_issue", {"number": 1}), ("post_comment", {"number": 1, "text": "How loud?"}),
        ("signal_done", {"status": "done", "summary": "Asked how loud."}),
    ]  # fmt: skip
    replies = [{"say": "So.", "tools": [{"call": {"name": f"mcp__boatwright-forge__{name}", "arguments": fields}}]}
               for name, fields in calls]  # fmt: skip
    script = yard.script(replies=[*replies, {"say": "Over."}])
    ask = Ask(agent="talker", prompt="Look", cwd=yard.repository, model=script, topic=Named(1))
    wanted = await solo.look(yard.house, ask)
    ended: Solo = await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)
    heard = (await yard.house.read(ended.transcript)).decode()
    assert ended.end is not None and (ended.end.stop, ended.end.summary) == ("finished", "Asked how loud."), (
        heard
    )
    assert "| The README whispers." in heard
    (said,) = await forge.comments(repository, 1)
    assert said.body == f"> The agent of `{ended.account}` writes:\n\nHow loud?"


def test_killed_after_its_work_was_saved_it_goes_on_with_its_session(yard: Any) -> None:
    environment = {**os.environ, "BOATWRIGHT_STATE": str(yard.house.state.root)}
    run = [str(PROGRAM), "bottle", "start", "claude", "--headless", "--prompt", "Make it"]
    run += ["--model", yard.script(**TWO)]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": 200}
    killed = subprocess.run(
        run, check=False, env={**environment, "BOATWRIGHT_CRASH": "step.completed"}, **how
    )
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    for command, said in (
        (["list"], "interrupted"),
        (["resume", "claude", "--headless", "--prompt", "And more"], "finished: Done two."),
        (["exec", "claude", "--", "cat", "made"], "one\ntwo\n"),
        (["destroy", "claude"], "is destroyed"),
    ):
        done = subprocess.run([str(PROGRAM), "bottle", *command], check=False, env=environment, **how)
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr
