"""Coding agents as people install them, doing the sample task: in a bottle, unprivileged, the wire their only way out.

They are looked for on PATH; ``make test-agents`` installs the tested versions first. None is skipped when absent.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import pytest
from sqlalchemy import text

from boatwright.agents import registry
from boatwright.intake import commands
from boatwright.stages import scripted
from boatwright.testing.scripted_process import ScriptedModel, serving
from boatwright.values import events
from boatwright.values.execution import State
from boatwright.values.proof import Word
from boatwright.values.usage import Cap

pytestmark = [pytest.mark.agents, pytest.mark.timeout(300)]
AGENTS = os.environ.get("BOATWRIGHT_TEST_AGENTS", "claude codex pi").split()
EACH = pytest.mark.parametrize("agent", AGENTS)
PROGRAM = Path(sys.executable).with_name("boatwright")


class Billing(Protocol):
    def __call__(self, script: str) -> AbstractAsyncContextManager[ScriptedModel]: ...


GUIDE = "printf '\\nA short guide.\\n' >> README.md"
SUBMIT = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""How mini is told that the work is done: words alone it takes for a mistake."""


def whole(path: str, text: str) -> str:
    """A file as aider reads it from words, of a model it does not know."""
    return f"{path}\n```\n{text.rstrip()}\n```\n"


def mended(yard: Any) -> str:
    """What ``yard.test`` and ``yard.fix`` make of the two files."""
    code = (yard.repository / "paginate.py").read_text()
    tests = (yard.repository / "tests" / "test_paginate.py").read_text()
    last = "            pages([1, 2, 3], 0)\n\n"
    more = (
        f"{last}    def test_the_last_page(self):\n        self.assertEqual(pages(list(range(21)), 5), 5)\n\n"
    )
    code = code.replace("return len(items) // size", "return -(-len(items) // size)")
    return f"{whole('paginate.py', code)}\n{whole('tests/test_paginate.py', tests.replace(last, more, 1))}\nDone."


def script_of(yard: Any, agent: str) -> str:
    """The sample task and a README, in the words each agent takes."""
    guide = (yard.repository / "README.md").read_text() + "\nA short guide.\n"
    if agent == "aider":
        later = [
            {"say": f"{whole('README.md', guide)}\nDocumented."}
        ] * 2  # once to be given the file, once to edit it
        return str(yard.script(replies=[{"say": mended(yard)}], later=[later]))
    if agent == "mini":  # it begins again where it was killed, so what it runs may run twice
        once = f"grep -q test_the_last_page tests/test_paginate.py || {yard.test}"
        replies = yard.replies(once, yard.fix, SUBMIT)[:-1]
        later = [yard.replies(GUIDE, SUBMIT)[:-1], yard.replies(SUBMIT)[:-1]]
        return str(yard.script(replies=replies, later=later))
    return str(
        yard.script(replies=yard.replies(yard.test, yard.fix), later=[yard.replies(GUIDE, end="Documented.")])
    )


def keeps(agent: str) -> bool:
    return any(each.keeps for each in registry.PROGRAMS if each.name == agent)


@pytest.fixture
def billing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Billing]:
    """The scripted model in this process, so that its own bill can be held against the meter."""

    @asynccontextmanager
    async def serve(script: str) -> Any:
        told = Path(script.removeprefix("scripted:")).read_text("utf-8")
        async with serving(told, tmp_path) as model:

            async def ensure(*_: object) -> Path:
                return model.socket

            monkeypatch.setattr(scripted, "ensure", ensure)
            yield model

    yield serve


def metered(yard: Any, execution: str) -> list[tuple[int, int]]:
    calls = yard.payloads(execution, events.ModelCalled)
    return sorted(
        (call.usage.input + call.usage.cache_read + call.usage.cache_write, call.usage.output)
        for call in calls
    )


def billed(model: ScriptedModel) -> list[tuple[int, int]]:
    rows = [row for row in model.ledger() if row["billed"]]
    return sorted((row["input"] + row["cache_read"] + row["cache_write"], row["output"]) for row in rows)


@EACH
async def test_it_does_the_sample_task_and_every_token_is_metered(
    yard: Any, billing: Billing, agent: str
) -> None:
    script = script_of(yard, agent)
    async with billing(script) as model:
        view = await yard.run(script, agent=agent)
        assert (view.state, view.word) == (State.DELIVERED, Word.PROVEN), view.reason
        assert metered(yard, view.id) == billed(model) and len(billed(model)) >= 3
    assert {call.source for call in yard.payloads(view.id, events.ModelCalled)} == {"provider"}
    (step,) = yard.payloads(view.id, events.StepCompleted)
    assert bool(step.session) == keeps(agent) and step.tools
    with yard.house.wire.budgets().database.read() as connection:
        kinds = set(connection.execute(text("select kind from wire_denials")).scalars())
    assert kinds <= {
        "denied",
        "upgrade",
    }  # hosts it can do without; all that it asked the model passed strict


@EACH
async def test_a_comment_goes_on_in_a_thawed_bottle_with_its_own_session(yard: Any, agent: str) -> None:
    """One without a session is told everything again."""
    script = script_of(yard, agent)
    first = await yard.run(script, agent=agent)
    again = await yard.comment(first, "Please mention it in the README.")
    assert again.state is State.DELIVERED and "bottle.thawed" in yard.types(first.id)
    diff = yard.house.mirror(again).diff_text(again.base_commit, again.head)
    assert "A short guide." in diff and "-(-len(items) // size)" in diff
    built = yard.payloads(first.id, events.BuildCompleted)
    # mini's last words are those before its last command
    assert built[1].summary.endswith("Working." if agent == "mini" else "Documented.")


@EACH
def test_killed_after_its_work_was_saved_it_is_not_done_twice(yard: Any, agent: str) -> None:
    script = script_of(yard, agent)
    environment = {
        **os.environ,
        "BOATWRIGHT_STATE": str(yard.house.state.root),
        "BOATWRIGHT_CRASH": "step.completed",
    }
    argv = [str(PROGRAM), "run", "--repo", str(yard.repository), "--text", "Pagination drops the last page"]
    argv += ["--model", script, "--agent", agent]
    killed = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    (execution,) = yard.house.ledger.executions.list()
    del environment["BOATWRIGHT_CRASH"]
    argv = [str(PROGRAM), "resume", execution.id]
    resumed = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert resumed.returncode == 0 and "proven" in resumed.stdout, resumed.stdout + resumed.stderr
    view = yard.house.ledger.executions.get(execution.id)
    diff = yard.house.mirror(view).diff_text(view.base_commit, view.head)
    assert diff.count("+    return -(-len(items) // size)") == 1
    assert len(yard.payloads(execution.id, events.StepCompleted)) == 2


@pytest.mark.parametrize("agent", [name for name in AGENTS if name == "claude"])
async def test_a_budget_that_runs_out_parks_and_a_raise_lets_it_go_on(yard: Any, agent: str) -> None:
    view = await yard.run(yard.good(), agent=agent, budget="0.15usd")
    assert (view.state, view.parked_code) == (State.PARKED, "budget"), view.reason
    assert view.usd <= Decimal("0.15")
    await commands.raise_budget(yard.house, yard.engine, view.id, budget=Cap.parse("5usd"), by="someone")
    await commands.resume(yard.house, yard.engine, view.id, by="someone", private=True)
    done = await yard.work(view.id)
    assert (done.state, done.word) == (State.DELIVERED, Word.PROVEN)
