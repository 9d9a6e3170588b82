"""A request on a base branch whose policy is broken, or asks for too much: told once, processed, and nothing is begun."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright import crash, errors
from boatwright.config.paths import StateDir
from boatwright.forge.router import Forges
from boatwright.intake import pump as pump_module
from boatwright.stages.house import House
from boatwright.values.delivery import Delivery, DeliveryState
from boatwright.values.skipping import SkipReason
from boatwright.workflows.assembly import engine_for

from .conftest import Harbour, comment, issue, lay
from .ports import KINDS, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
BROKEN = "schema_version: 1\ntest_comand: make test\n"
ABOVE = "budget: 100000usd\n"
CASES = [
    (BROKEN, SkipReason.POLICY, ".boatwright.yml line 2: unknown key 'test_comand'"),
    (ABOVE, SkipReason.CEILING, "'budget' asks for 100000 USD, and that is not"),
    ("agent: nobody\n", SkipReason.POLICY, "there is no agent 'nobody'"),
    ("network: {routes: [inner]}\n", SkipReason.CEILING, ".boatwright.yml line 1: there is no route 'inner'"),
    ("budget: 0usd\n", SkipReason.POLICY, ".boatwright.yml: a budget of 0 USD admits no call at all"),
    ("max_retries: 9\n", SkipReason.CEILING, ".boatwright.yml: 'max_retries' asks for 9, and that is not"),
    ("agent: codex\nallowed_commands: [make]\n", SkipReason.POLICY, ".boatwright.yml lists allowed_commands"),
    ('"\\u200b\\u202e@team": 1\n', SkipReason.POLICY, "unknown key '\\u200b\\u202e@team'"),
]
ROOT = Path(__file__).parents[2]


def commit(repository: Path, text: str | None) -> None:
    """The policy of the base branch is ``text`` from now on; None: there is none."""
    file = repository / ".boatwright.yml"
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    git = ["git", "-C", str(repository), "-c", "user.name=A", "-c", "user.email=a@localhost"]
    for words in (["add", "--all"], ["commit", "-q", "-m", "Say how to work here"]):
        subprocess.run([*git, *words], check=True, capture_output=True)


async def thread(harbour: Harbour, text: str) -> None:
    """Issue 1 stands where it can be answered, and the policy is ``text``."""
    forge, served = harbour.house.forge, harbour.world.served
    commit(Path(served.source), text)
    await forge.add_repository(served.id, source=served.source, default_branch="main")
    await forge.create_issue(served.id, title="t", body="b", author="eve")


async def told(harbour: Harbour) -> list[str]:
    """What stands on the issue with a mark of ours; nothing is said twice."""
    said = await harbour.house.forge.comments(harbour.world.served.id, 1)
    assert len({each.marker for each in said}) == len(said)
    return [each.body for each in said]


def skipped(row: Delivery, why: SkipReason) -> bool:
    return (row.state, row.outcome, row.reason) == (DeliveryState.PROCESSED, "skipped", why.value)


def labelled(minute: int = 3, **more: Any) -> dict[str, Any]:
    return issue(number=1, at=f"2026-01-02T03:{minute:02}:05Z", **more)


@pytest.mark.parametrize(("text", "why", "says"), CASES)
async def test_a_label_is_told_once_and_begins_nothing(
    harbour: Harbour, text: str, why: SkipReason, says: str
) -> None:
    await thread(harbour, text)
    row = await harbour.hear("issues", labelled(), delivery="one")
    fault = " ".join(says.partition(", and that")[0].split()[-2:])
    assert skipped(row, why) and fault in row.about, "and the operator sees why"
    (said,) = await told(harbour)
    assert said.startswith("**Not begun**: `") and says in said
    assert said.endswith("then take the label `agent` off, and a minute later put it on again.")
    assert (await harbour.send("issues", labelled(), delivery="one")).status_code == 200, "it is processed"
    assert await harbour.pump.once() == 0
    assert skipped(await harbour.hear("issues", labelled(), delivery="two"), SkipReason.ALREADY_ASKED)
    opened = issue("opened", number=1, at="2026-01-02T03:03:06Z")
    assert skipped(await harbour.hear("issues", opened), SkipReason.ALREADY_ASKED)
    assert await told(harbour) == [said] and harbour.executions() == []
    assert harbour.skips()[0].reason is why
    ours = comment(f"{said}\n\n<!-- boatwright:unbegun:x -->", number=1, number_of=32)
    assert skipped(await harbour.hear("issue_comment", ours), SkipReason.FROM_OURSELVES)


@pytest.mark.parametrize(("text", "why", "says"), CASES)
async def test_so_is_a_plan_that_is_asked_for(
    harbour: Harbour, text: str, why: SkipReason, says: str
) -> None:
    await thread(harbour, text)
    said = comment("/boatwright plan", number=1)
    assert skipped(await harbour.hear("issue_comment", said), why)
    assert skipped(await harbour.hear("issue_comment", said), SkipReason.ALREADY_ASKED), (
        "by a look at the list"
    )
    (answer,) = await told(harbour)
    assert answer.startswith("**Not done**: `/boatwright plan`: `") and says in answer
    commit(Path(harbour.world.served.source), None)
    assert skipped(await harbour.hear("issue_comment", said), SkipReason.ALREADY_ASKED), "it was answered"
    assert await told(harbour) == [answer] and harbour.executions() == []
    again = comment("/boatwright plan", number=1, number_of=33)
    again["comment"]["created_at"] = "2026-01-02T05:00:00Z"
    assert (await harbour.hear("issue_comment", again)).outcome == "started"


async def test_the_label_put_on_again_is_told_again_or_begins(harbour: Harbour) -> None:
    await thread(harbour, BROKEN)
    await harbour.hear("issues", labelled())
    commit(Path(harbour.world.served.source), ABOVE)
    await harbour.hear("issues", issue("unlabeled", number=1, labels=(), at="2026-01-02T03:04:30Z"))
    assert skipped(await harbour.hear("issues", labelled(5)), SkipReason.CEILING)
    first, second = await told(harbour)
    assert "test_comand" in first and "100000" in second
    commit(Path(harbour.world.served.source), None)
    assert (await harbour.hear("issues", labelled(9))).outcome == "started"
    assert len(await told(harbour)) == 2 and len(harbour.executions()) == 1


async def test_who_may_not_ask_is_told_nothing(harbour: Harbour) -> None:
    await thread(harbour, BROKEN)
    assert skipped(await harbour.hear("issues", labelled(sender="eve")), SkipReason.NOT_ALLOWED)
    said = comment("/boatwright plan", number=1, sender="eve")
    assert skipped(await harbour.hear("issue_comment", said), SkipReason.NOT_ALLOWED)
    assert await told(harbour) == []


async def test_what_is_switched_off_tells_nobody(harbour: Harbour) -> None:
    await thread(harbour, BROKEN)
    harbour.world.off = "the operator sleeps"
    assert skipped(await harbour.hear("issues", labelled()), SkipReason.SWITCHED_OFF)
    assert await told(harbour) == []


async def test_what_is_the_operators_own_fault_is_not_told_at_the_issue(harbour: Harbour) -> None:
    await thread(harbour, "agent: mason\n")
    manifest = harbour.house.state.root / "agents" / "mason.md"
    manifest.parent.mkdir(exist_ok=True)
    manifest.write_text("---\nprovidr: builtin\n---\n")
    row = await harbour.hear("issues", labelled())
    assert row.state is DeliveryState.FAILED and str(manifest) in row.error
    assert await told(harbour) == []


async def test_an_agent_that_settings_yml_names_is_the_operators_to_mend(harbour: Harbour) -> None:
    await thread(harbour, "{}\n")
    object.__setattr__(
        harbour.house, "settings", harbour.house.settings.model_copy(update={"agent": "nobody"})
    )
    row = await harbour.hear("issues", labelled())
    assert row.state is DeliveryState.FAILED and "no agent 'nobody'" in row.error
    assert await told(harbour) == []


@pytest.mark.parametrize("away", [True, False])
async def test_what_the_forge_does_not_take_now_is_said_later_or_not_at_all(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    await thread(harbour, BROKEN)

    async def shut(*_: object, **__: object) -> None:
        if away:
            raise errors.ForgeUnavailable("the forge does not answer")
        raise errors.Parked("the forge does not let us", code="forge_rights")

    with monkeypatch.context() as patch:
        patch.setattr(Forges, "post_comment", shut)
        row = await harbour.hear("issues", labelled())
    log = (harbour.house.state.logs / pump_module.LOG).read_text()
    if not away:
        assert skipped(row, SkipReason.POLICY) and '"what": "unanswered"' in log
        return
    assert (row.state, row.error) == (DeliveryState.FAILED, "the forge does not answer")
    harbour.house.ledger.deliveries.retry(row.id)
    await harbour.pump.once()
    assert skipped(harbour.newest(), SkipReason.POLICY) and len(await told(harbour)) == 1


# --- killed on the way ---


def work(root: Path, at: str = "") -> int:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.intake.door_worker", str(root), "labelled"],
        env={**clean, crash.VARIABLE: at}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert "Traceback" not in ran.stderr, ran.stderr
    return ran.returncode


@pytest.mark.parametrize("mended", [False, True])
@pytest.mark.parametrize("at", ["pump.claimed", "pump.acted"])
def test_killed_before_or_after_the_comment_it_is_said_once(root: Path, at: str, mended: bool) -> None:
    """Mended between the kill and the next try, it begins where nobody was told to ask again, and only there."""
    laid = lay(root)
    commit(Path(laid.source), BROKEN)
    house = House.open(state=StateDir(root / "state"), producer="test")

    async def begin() -> None:
        await house.forge.add_repository(laid.id, source=laid.source, default_branch="main")
        await house.forge.create_issue(laid.id, title="t", body="b", author="eve")

    async def said() -> list[str]:
        return [each.marker.partition(":")[0] for each in await house.forge.comments(laid.id, 1)]

    asyncio.run(begin())
    assert work(root, at) == -signal.SIGKILL
    if mended:
        commit(Path(laid.source), None)
    assert work(root) == 0 and work(root) == 0
    begins = mended and at == "pump.claimed"
    engine = engine_for(house)
    try:
        (row,) = house.ledger.deliveries.list()
        reason = "policy" if at == "pump.claimed" else "already_asked"
        assert (row.state, row.reason) == (DeliveryState.PROCESSED, "" if begins else reason)
        assert asyncio.run(said()) == ([] if begins else ["unbegun"])
        assert len(house.ledger.executions.list()) == int(begins)
    finally:
        engine.close()
        house.close()


# --- at every forge, either way ---


@pytest.fixture
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    kind, way = request.param.split("-")
    ways = {"webhook": ("webhook",), "polling": ("polling",), "both": ("webhook", "polling")}[way]
    async with opened(root, kind, ways) as made:
        yield made


def push(port: Port, text: str | None) -> None:
    """A person commits that policy to the base branch over there."""
    bare, work = port.root / "forge" / "git" / f"{SAMPLE}.git", port.root / "work"
    if not work.exists():
        subprocess.run(["git", "clone", "-q", str(bare), str(work)], check=True, capture_output=True)
    commit(work, text)
    subprocess.run(
        ["git", "-C", str(work), "push", "-q", "origin", "HEAD:main"], check=True, capture_output=True
    )


@pytest.mark.parametrize(
    "port", [*(f"{kind}-both" for kind in KINDS), "github-polling", "gitlab-webhook", "gitea-polling"], indirect=True
)  # fmt: skip
async def test_the_story_of_an_issue_whose_base_is_broken(port: Port) -> None:
    push(port, BROKEN)
    number = await port.issue("agent")
    for _ in range(3):  # what we say is told of, too, and begins nothing
        await port.hear()
    other = await port.issue()
    await port.do(lambda act: act.comment(SAMPLE, other, by="rea", body="/boatwright plan"))
    await port.do(lambda act: act.comment(SAMPLE, other, by="wim", body="/boatwright plan"))
    for _ in range(3):
        await port.hear()
    assert port.executions() == []
    assert {row.state for row in port.deliveries()} == {DeliveryState.PROCESSED}
    assert {SkipReason.POLICY} <= {skip.reason for skip in port.skips()}
    for at, mark in ((number, "unbegun"), (other, "refused")):
        (said,) = [each for each in await port.house.forge.comments(port.repository, at) if each.marker]
        assert said.marker.startswith(mark)
        assert ".boatwright.yml line 2: unknown key 'test_comand'" in said.body

    push(port, None)
    await port.do(lambda act: act.unlabel(SAMPLE, number, "agent", by="ann"))
    await port.hear()
    # A forge whose times are in seconds shows the same issue again, where all of this takes less than one.
    await port.do(lambda act: act.label(SAMPLE, number, "urgent", by="ann"))
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by="ann"))
    await port.hear()
    assert [view.issue for view in port.executions()] == [number]
