"""What the patrol hears at a pull request is what webhooks and looks hear: each word once, and no bot's."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boatwright.intake import commands
from boatwright.rules import gitlab_numbers
from boatwright.testing.fake_gitlab import FakeGitLab
from boatwright.values.events import PullRequestOpened
from boatwright.values.execution import ExecutionView

from .ports import BOT, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
TOLD = ["github-webhook", "github-polling", "gitea-polling", "gitlab-webhook", "gitlab-polling"]
"""A Gitea sends no webhook of a remark on a line."""


@pytest.fixture
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    kind, way = request.param.split("-")
    async with opened(root, kind, (way,)) as made:
        yield made


async def delivered(port: Port) -> tuple[ExecutionView, int]:
    """An execution with a pull request, and what the forge calls that."""
    await port.issue("agent")
    await port.hear()
    (view,) = port.executions()
    bare = port.server.act.bare(port.server.act.depot(SAMPLE))
    head = bare.head("main")
    assert head is not None
    subprocess.run(["git", "-C", bare.path, "update-ref", "refs/heads/work", head], check=True)
    words = {"title": "t", "body": "", "branch": "work", "base": "main"}
    made = await port.do(lambda act: act.open_pull(SAMPLE, by=BOT, draft=True, **words))
    ours = made.number
    if isinstance(port.server, FakeGitLab):
        ours = gitlab_numbers.pull_number(port.server.words.iid(port.server.act.depot(SAMPLE), made))
    event = PullRequestOpened(number=ours, title="t", branch="work", base_ref="main", head=head, draft=True)
    port.house.ledger.events.append(view.id, event, key="opened")
    return port.executions()[0], made.number


def comments(port: Port, view: ExecutionView) -> list[tuple[str, str]]:
    rows = port.engine.inbox.waiting(view.id)
    return [(row.author, row.payload["text"]) for row in rows if row.kind == "comment"]


@pytest.mark.parametrize("port", TOLD, indirect=True)
async def test_what_was_told_is_heard_once(port: Port) -> None:
    view, number = await delivered(port)
    await port.do(lambda act: act.remark(SAMPLE, number, by="wim", body="Why?", file="a.txt", line=1))
    await port.do(lambda act: act.comment(SAMPLE, number, by="ann", body="Hurry."))
    await port.hear()
    told = [("wim", "About a.txt:1:\nWhy?"), ("ann", "Hurry.")]
    assert sorted(comments(port, view)) == sorted(told)
    assert await commands.hear(port.house, port.engine, view) == 0
    await port.do(lambda act: act.remark(SAMPLE, number, by="wim", body="And?", file="a.txt", line=1))
    assert await commands.hear(port.house, port.engine, view) == 1, "the patrol came first"
    await port.hear()
    assert sorted(comments(port, view)) == sorted([*told, ("wim", "About a.txt:1:\nAnd?")])


@pytest.mark.parametrize("port", ["github-polling", "gitlab-polling"], indirect=True)
async def test_the_patrol_obeys_no_bot(port: Port) -> None:
    view, number = await delivered(port)
    kind = port.server.KIND
    forges = port.house.settings.forges
    forges[kind] = forges[kind].model_copy(update={"bots": ("WIM",)})
    machine = "project_7_bot_a1" if kind == "gitlab" else "helper[bot]"
    await port.do(lambda act: act.account(machine))
    await port.do(lambda act: act.depot(SAMPLE).people.update({machine: "write"}))
    for who in ("wim", machine, "ann"):
        await port.do(lambda act, by=who: act.comment(SAMPLE, number, by=by, body=f"Said by {by}."))
        await port.do(
            lambda act, by=who: act.remark(SAMPLE, number, by=by, body=f"Said by {by}.", file="a.txt", line=1)
        )
    assert await commands.hear(port.house, port.engine, view) == 2
    assert {who for who, _ in comments(port, view)} == {"ann"}
