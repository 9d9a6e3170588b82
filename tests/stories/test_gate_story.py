"""An agent in a real bottle clones, commits and pushes through its gate, over its real wire."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from boatwright import errors
from boatwright.cli import app
from boatwright.git import names
from boatwright.intake import pushes, solo
from boatwright.intake.solo import Ask
from boatwright.stages import traffic
from boatwright.stages.sidecars import programs

SCRIPT = """
set -x
cd "$HOME" && git clone -q "$(git config remote.gate.url)" there 2>&1 && cd there && git log --oneline
git config user.name A; git config user.email a@b
echo two > b.txt && git add b.txt && git commit -qm Two
git push gate HEAD:refs/heads/agent/work 2>&1
git push gate HEAD:refs/heads/base 2>&1
ls -A /workspace && cd /workspace && git fetch -q gate && git branch -r
"""
MANIFEST = """---
provider: command
git: {{gate: true}}
command:
  run: [env, python3, -c, {program}]
  protocol: openai
---
"""


class Clean:
    """A scanner that finds nothing: the real one has a test of its own."""

    name = "clean"

    def scan(self, _: object) -> tuple[()]:
        return ()


def quiet(_: object) -> None:
    """Nobody watches what it says."""


def manifest(yard: Any) -> None:
    coded = base64.b64encode(SCRIPT.encode()).decode()
    program = f"import base64, subprocess; subprocess.run(['sh', '-c', base64.b64decode('{coded}')])"
    (yard.house.state.root / "agents").mkdir(exist_ok=True)
    text = MANIFEST.format(program=json.dumps(program))
    (yard.house.state.root / "agents" / "pusher.md").write_text(text)


async def test_it_clones_and_pushes_and_a_person_finds_it(
    yard: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(programs, "find", lambda *_: Clean())
    manifest(yard)
    ask = Ask(
        agent="pusher",
        prompt="Push",
        cwd=yard.repository,
        label="pushes",
        model=yard.script(replies=[]),
        copy_cwd=True,
    )
    wanted = await solo.look(yard.house, ask)
    record = await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)
    said = (await yard.house.read(record.transcript)).decode()
    assert "Cut a list into pages" in said and "agent/work is kept for a person to look at" in said, said
    assert "only branches below agent/ may be pushed" in said
    assert "gate/base" in said and "gate/agent/work" in said
    path, (branch,) = pushes.of(yard.house, "pushes")
    assert branch.branch == "agent/work" and path is not None
    told = await traffic.of(yard.house, record.account)
    assert [each.service for each in told.served] == ["git"] and told.served[0].times >= 6
    yard.git("fetch", str(path), f"{branch.ref}:refs/heads/agent/work")
    assert yard.git("show", "agent/work:b.txt") == "two"
    assert yard.git("rev-parse", "agent/work~1") == record.commit
    monkeypatch.setenv("BOATWRIGHT_STATE", str(yard.house.state.root))
    assert app.run(["bottle", "pushed", "pushes"]) == 0
    assert f"{branch.commit[:12]}  agent/work" in capsys.readouterr().out
    await solo.destroy(yard.house, "pushes")
    from boatwright.git.mirror import Mirror

    assert Mirror(path).refs(names.pushed("pushes")) == {}


async def test_a_gate_needs_a_repository(yard: Any, tmp_path: Any) -> None:
    manifest(yard)
    ask = Ask(agent="pusher", prompt="Push", cwd=tmp_path, label="pushes", model=yard.script(replies=[]))
    wanted = await solo.look(yard.house, ask)
    with pytest.raises(errors.BadPolicy, match=r"pusher.md line 3: .*no repository here"):
        await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)
