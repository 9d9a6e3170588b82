"""The repository's own checks: a delivery waits for the required ones, a failed one is mended, and no run of them is endless."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.stories.conftest import Yard
from tests.stories.test_forge_github_story import PATH, TOKEN, Harbour, issue_of

from boatwright import crash
from boatwright.forge.protocol import Check
from boatwright.intake import commands, their_checks
from boatwright.intake.acting import Acting, Done
from boatwright.rules import excerpts
from boatwright.testing import fake_checks
from boatwright.values.events import BuildStarted, ChecksFailed, FeatureParked
from boatwright.values.execution import ExecutionView
from boatwright.values.order import Look
from boatwright.values.skipping import Skip
from boatwright.values.state import State

LOG = "\n".join(
    ["2026-01-02T03:04:05.1234567Z step"] * 400 + ["E  the README says nothing of paging", "exit 1"]
)
GUIDE = "printf '\\n# Pages are counted from one.\\n' >> paginate.py"


@pytest.fixture(params=["app"])
def harbour(request: pytest.FixtureRequest) -> Iterator[Harbour]:
    root = Path(tempfile.mkdtemp(prefix="bw-story-"))
    root.chmod(0o711)
    made = Harbour(root, request.param)
    yield made
    made.close()
    shutil.rmtree(root, ignore_errors=True)


def ends(harbour: Harbour, view: ExecutionView, conclusion: str, **more: Any) -> None:
    said = {"app": "github-actions", "log": LOG if conclusion == "failure" else "", **more}
    harbour.server.do(
        lambda act: fake_checks.ran(act, PATH, view.head or "", "build", conclusion=conclusion, **said)
    )


def comment(harbour: Harbour, view: ExecutionView) -> Any:
    """The one on the pull request."""
    (living,) = [each for each in harbour.depot().remarks if each.number == view.pull_request]
    return living


async def waiting(harbour: Harbour) -> ExecutionView:
    """Delivered, every gate green, and a draft: the required check has not ended."""
    yard = harbour.yard
    harbour.server.do(lambda act: act.depot(PATH).required.update(main=["build", "boatwright/verify"]))
    script = yard.script(
        replies=yard.replies(yard.test, yard.fix), later=[yard.replies(GUIDE, end="Documented.")]
    )
    view = await harbour.run(script, issue_of(harbour))
    assert (view.state, view.ready, view.waits_for) == (State.DELIVERED, False, ("build",))
    return view


async def test_a_failed_check_is_mended_and_passed_ones_make_it_ready(harbour: Harbour) -> None:
    yard, house = harbour.yard, harbour.yard.house
    view = await waiting(harbour)
    pull = harbour.depot().topics[view.pull_request]
    living = comment(harbour, view)
    assert pull.pull.draft
    assert living.body.startswith("**Draft** at ")
    assert "- `build`" in living.body

    ends(harbour, view, "failure")
    acting = Acting(house, yard.engine)
    served = house.ledger.repositories.of("github", PATH)
    assert served is not None
    heard = await acting.look(Look(view.head or "", "check_run failure"), served)
    assert isinstance(heard, Done)
    assert isinstance(await acting.look(Look(view.head or "", "again"), served), Skip)
    assert await commands.reconcile(house, yard.engine) == 0
    second = await yard.work(view.id)
    assert (second.state, second.turn, second.waits_for) == (State.DELIVERED, 2, ("build",))
    assert second.head != view.head
    (failed,) = yard.payloads(view.id, ChecksFailed)
    assert (failed.commit, failed.names) == (view.head, ("build",))
    prompt = (await house.read(yard.payloads(view.id, BuildStarted)[-1].prompt)).decode()
    assert "| E  the README says nothing of paging" in prompt
    assert prompt.count("| step") <= excerpts.LAST_LINES

    assert await commands.reconcile(house, yard.engine) == 0, "nothing has ended on the new commit"
    ran = yard.types(view.id).count("tests.ran")
    ends(harbour, second, "success")
    assert await commands.reconcile(house, yard.engine) == 1
    third = await yard.work(view.id)
    assert (third.state, third.ready, third.waits_for, third.head) == (State.DELIVERED, True, (), second.head)
    assert yard.types(view.id).count("tests.ran") == ran, "the judged commit is what it was"
    assert pull.pull.draft is False
    living = comment(harbour, view)
    assert living.body.startswith("**Ready for review** at ")
    assert "- `build`" not in living.body
    assert await commands.reconcile(house, yard.engine) == 0


async def test_checks_alone_start_as_many_turns_as_there_are_rounds(yard: Yard) -> None:
    yard.commit(".boatwright.yml", "schema_version: 1\nmax_retries: 1\n")
    house = yard.house

    async def fails(view: ExecutionView, conclusion: str = "failure") -> None:
        check = Check(view.repository, view.head or "", "build", conclusion, "it broke", f"ci:{view.head}")
        await house.forge.set_check(check)

    script = yard.script(
        replies=yard.replies(yard.test, yard.fix), later=[yard.replies(GUIDE, end="Documented.")]
    )
    view = await yard.run(script)
    assert view.ready

    await fails(view)
    assert await commands.reconcile(house, yard.engine) == 1
    await fails(view, "success")  # before anybody came to read it
    flaky = await yard.work(view.id)
    assert (flaky.state, flaky.ready, flaky.head, flaky.turn) == (State.DELIVERED, True, view.head, 2)
    assert yard.payloads(view.id, ChecksFailed) == []

    await fails(view)
    assert await commands.reconcile(house, yard.engine) == 1
    second = await yard.work(view.id)
    assert (second.state, second.turn) == (State.DELIVERED, 3)
    assert second.head != view.head

    await fails(second)
    assert await commands.reconcile(house, yard.engine) == 1
    third = await yard.work(view.id)
    assert (third.state, third.parked_code, third.head) == (State.PARKED, "their_ci", second.head)
    (parked,) = yard.payloads(view.id, FeatureParked)
    assert "build" in parked.reason
    assert (second.head or "")[:12] in parked.reason
    assert not await their_checks.look(house, yard.engine, third)


WORK = """
import asyncio, os, sys
from pathlib import Path
from boatwright.config.paths import StateDir
from boatwright.stages.house import House
from boatwright.workflows.assembly import engine_for
house = House.open(state=StateDir(Path(sys.argv[1])), environment=dict(os.environ), producer="test")
asyncio.run(engine_for(house).run_execution(sys.argv[2], lambda _, line: print(line)))
"""


def work(harbour: Harbour, execution: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another process works on what waits."""
    return subprocess.run(
        [sys.executable, "-c", WORK, str(harbour.root / "state"), execution],
        env={**os.environ, "STORY_TOKEN": TOKEN, **environment},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("point", crash.CHECK_POINTS)
async def test_killed_at_what_a_check_asked_for_it_is_done_once(harbour: Harbour, point: str) -> None:
    yard, house = harbour.yard, harbour.yard.house
    view = await waiting(harbour)
    ends(harbour, view, "failure" if point == "checks.recorded" else "success")
    assert await commands.reconcile(house, yard.engine) == 1
    killed = work(harbour, view.id, BOATWRIGHT_CRASH=point)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    harbour.server.state.depots[PATH].logs.clear()  # what was read is not asked for again
    done = work(harbour, view.id)
    assert done.returncode == 0, done.stdout + done.stderr
    after = await house.view(view.id)
    assert (after.state, after.turn) == (State.DELIVERED, 2)
    living = comment(harbour, view)
    failed = yard.payloads(view.id, ChecksFailed)
    if point == "checks.recorded":
        assert [each.commit for each in failed] == [view.head]
        assert after.head != view.head
        prompt = (await house.read(yard.payloads(view.id, BuildStarted)[-1].prompt)).decode()
        assert "the README says nothing of paging" in prompt
    else:
        assert (failed, after.ready, after.head) == ([], True, view.head)
        assert harbour.depot().topics[view.pull_request].pull.draft is False
        assert living.body.startswith("**Ready for review** at ")
    assert await commands.reconcile(house, yard.engine) == 0
