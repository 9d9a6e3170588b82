"""Somebody pushes to the branch of a delivered pull request: the webhook of it makes the look happen that the patrol would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.rules import gitlab_numbers
from boatwright.testing.samples import requested
from boatwright.values.events import (
    AnalysisStarted,
    BranchMoved,
    BranchPushed,
    FeatureDelivered,
    VerificationStarted,
)
from boatwright.values.skipping import SkipReason

from .ports import BOT, KINDS, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
BRANCH = "boatwright/issue-1"


@pytest.fixture(params=sorted(KINDS))
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    async with opened(root, request.param, ("webhook",)) as made:
        yield made


def commit_on(act: Any, branch: str, words: str) -> str:
    """A commit on what is at ``branch``, pushed nowhere yet."""
    bare = act.bare(act.depot(SAMPLE))
    parent = bare.head(branch)
    who = ("-c", "user.name=Sal", "-c", "user.email=sal@localhost")
    made = bare.run(*who, "commit-tree", f"{parent}^{{tree}}", "-p", parent, "-m", words)
    return str(made.out.decode().strip())


async def delivered(port: Port) -> tuple[int, str]:
    """An execution whose pull request is open and ready, at the commit it delivered."""

    def propose(act: Any) -> tuple[int, str]:
        depot = act.depot(SAMPLE)
        head = commit_on(act, "main", "Count it")
        act.bare(depot).run("update-ref", f"refs/heads/{BRANCH}", head)
        words = {"title": "Count it", "body": "", "branch": BRANCH, "base": "main", "draft": False}
        return act.open_pull(SAMPLE, by=BOT, **words).number, head

    topic, head = await port.do(propose)
    number = topic
    if port.server.KIND == "gitlab":
        depot = port.server.state.depots[SAMPLE]
        number = gitlab_numbers.pull_number(port.server.words.iid(depot, depot.topics[topic]))  # type: ignore[attr-defined]
    done = FeatureDelivered(
        pull_request=number, branch=BRANCH, commit=head, ready=True, word="PROVEN", usd=Decimal(0), tokens=0
    )
    facts = (
        requested(repository=port.repository, issue=None),
        AnalysisStarted(base_commit=head),
        VerificationStarted(round=1),
        BranchPushed(branch=BRANCH, commit=head, old=None),
        done,
    )
    for at, fact in enumerate(facts):
        port.house.ledger.events.append("ex-01", fact, key=str(at))
    await port.hear()
    return topic, head


async def push(port: Port, *, by: str, to: str | None = None) -> str:
    """That branch is moved to a new commit, or to the one named, and the forge tells of it."""

    def move(act: Any) -> str:
        depot = act.depot(SAMPLE)
        before = act.bare(depot).heads()
        head = to or commit_on(act, BRANCH, f"By {by}")
        act.bare(depot).run("update-ref", f"refs/heads/{BRANCH}", head)
        act.pushed(depot, by, before)
        return head

    return str(await port.do(move))


def moved(port: Port) -> list[str]:
    stream = port.house.ledger.events.stream("ex-01")
    return [event.payload.head for event in stream if isinstance(event.payload, BranchMoved)]


async def test_what_others_push_is_said_at_once_and_starts_nothing(port: Port) -> None:
    topic, _ = await delivered(port)
    pull = port.server.state.depots[SAMPLE].topics[topic].pull
    assert pull is not None and not pull.draft
    theirs = await push(port, by="wim")
    await port.hear()
    assert moved(port) == [theirs] and pull.draft
    again = await push(port, by="wim")
    await port.hear()
    await port.hear()
    assert moved(port) == [theirs, again]
    assert port.told("ex-01") == [] and port.engine.turns.live("ex-01") == []


async def test_a_bot_that_pushes_is_somebody_else(port: Port) -> None:
    await delivered(port)
    theirs = await push(port, by="renovate[bot]")
    await port.hear()
    assert moved(port) == [theirs]


async def test_the_forge_is_asked_whatever_is_said(port: Port) -> None:
    """By the time anybody looks, the branch is where we left it."""
    _, head = await delivered(port)
    await push(port, by="wim")
    await push(port, by="wim", to=head)
    await port.hear()
    assert moved(port) == [] and port.told("ex-01") == []
    assert {skip.reason for skip in port.skips()} >= {SkipReason.NOTHING_TO_DO}


async def test_our_own_push_starts_nothing(port: Port) -> None:
    await delivered(port)
    ours = await port.do(lambda act: commit_on(act, BRANCH, "Mend it"))
    port.house.ledger.events.append("ex-01", BranchPushed(branch=BRANCH, commit=ours, old=None), key="pushed")
    await push(port, by=BOT, to=ours)
    await port.hear()
    assert moved(port) == [] and port.told("ex-01") == [] and port.engine.turns.live("ex-01") == []
    assert SkipReason.NOTHING_TO_DO in {skip.reason for skip in port.skips()}, (
        "its forge says where it is: where we left it"
    )


async def test_another_branch_is_none_of_ours(port: Port) -> None:
    await delivered(port)

    def move(act: Any) -> None:
        depot = act.depot(SAMPLE)
        before = act.bare(depot).heads()
        act.bare(depot).run("update-ref", "refs/heads/other", before["main"])
        act.pushed(depot, "wim", before)

    await port.do(move)
    await asyncio.to_thread(port.server.postman.drain)
    await port.hear()
    assert moved(port) == []
    assert SkipReason.NOT_OURS in {skip.reason for skip in port.skips()}
