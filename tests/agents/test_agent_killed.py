"""The agent's process is killed between a reply and its tool calls, for real, and a second one goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from boatwright import crash
from boatwright.testing.scripted_process import ScriptedModel, running

AGENT = Path(__file__).with_name("agent_process.py")
SCRIPT = """\
replies:
  - tools: [{bash: "echo one >> log"}]
  - tools: [{bash: "echo two >> log"}]
  - say: "Done."
"""


async def agent(model: ScriptedModel, directory: Path, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(AGENT), str(model.socket), str(directory),
        env=dict(os.environ) | environment, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode().strip()


async def test_killed_after_a_reply_only_that_step_is_redone(tmp_path: Path) -> None:
    async with running(SCRIPT, tmp_path) as model:
        killed = await agent(model, tmp_path, **{crash.VARIABLE: "step.replied:2"})
        assert killed == (-signal.SIGKILL, "")
        saved = sorted(one.name for one in (tmp_path / "steps").iterdir())
        assert saved == ["1"]
        assert await agent(model, tmp_path) == (0, "finished Done.")
        asked = [entry["reply"] for entry in model.ledger()]
    assert (tmp_path / "bottle" / "workspace" / "log").read_text() == "one\ntwo\n"
    assert sorted(asked) == [1, 2, 2, 3]
