"""Checks that others set on a delivered commit, by webhook and by polling: one row of the inbox, whoever tells how often."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.cli import page
from boatwright.intake import commands
from boatwright.rules import gitlab_numbers, their_checks
from boatwright.testing import fake_checks
from boatwright.testing.samples import requested
from boatwright.values.events import AnalysisStarted, FeatureCancelled, FeatureDelivered, VerificationStarted
from boatwright.values.execution import ExecutionView
from boatwright.values.skipping import SkipReason

from .ports import KINDS, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
WAYS = {"webhook": ("webhook",), "polling": ("polling",), "both": ("webhook", "polling")}
BRANCH = "boatwright/issue-1"


@pytest.fixture(params=["github-both"])
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    kind, way = request.param.split("-")
    async with opened(root, kind, WAYS[way]) as made:
        yield made


async def delivered(port: Port, *waits: str) -> ExecutionView:
    """An execution whose draft is open on the server, at the commit it delivered."""

    def propose(act: Any) -> tuple[int, str]:
        depot = act.depot(SAMPLE)
        head = act.bare(depot).head("main")
        act.bare(depot).run("update-ref", f"refs/heads/{BRANCH}", head)
        words = {"title": "Count it", "body": "", "branch": BRANCH, "base": "main", "draft": True}
        return act.open_pull(SAMPLE, by="boatwright-bot", **words).number, head

    number, head = await port.do(propose)
    if port.server.KIND == "gitlab":
        depot = port.server.state.depots[SAMPLE]
        number = gitlab_numbers.pull_number(port.server.words.iid(depot, depot.topics[number]))  # type: ignore[attr-defined]
    done = FeatureDelivered(
        pull_request=number, branch=BRANCH, commit=head, ready=not waits, word="PROVEN", usd=Decimal(0), tokens=0,
        waits_for=waits,
    )  # fmt: skip
    facts = (
        requested(repository=port.repository),
        AnalysisStarted(base_commit=head),
        VerificationStarted(round=1),
    )
    for at, fact in enumerate((*facts, done)):
        port.house.ledger.events.append("ex-01", fact, key=str(at))
    return port.house.ledger.executions.required("ex-01")


async def ends(port: Port, view: ExecutionView, name: str, conclusion: str) -> None:
    app = "github-actions" if port.server.KIND == "github" else ""
    said = {"failure": "failed"}.get(conclusion, conclusion) if port.server.KIND == "gitlab" else conclusion
    await port.do(
        lambda act: fake_checks.ran(act, SAMPLE, view.head or "", name, conclusion=said, app=app, log="no")
    )


def rows(port: Port) -> list[str]:
    return [row.sender_key for row in port.engine.inbox.waiting("ex-01")]


@pytest.mark.parametrize("port", [f"{kind}-{way}" for kind in KINDS for way in WAYS], indirect=True)
async def test_several_failures_heard_of_several_times_are_one_row(port: Port) -> None:
    view = await delivered(port)
    await ends(port, view, "lint", "success")
    await port.hear()
    assert rows(port) == []
    await ends(port, view, "build", "failure")
    await ends(port, view, "docs", "failure")
    await port.hear()
    await commands.reconcile(port.house, port.engine)
    await port.hear()
    assert rows(port) == [f"checks:failed:{view.head}"]


@pytest.mark.parametrize("port", ["github-webhook", "github-polling"], indirect=True)
async def test_what_is_waited_for_is_told_once_it_has_all_passed(port: Port) -> None:
    view = await delivered(port, "build", "lint")
    await ends(port, view, "build", "success")
    await port.hear()
    assert rows(port) == []
    await ends(port, view, "lint", "success")
    await port.hear()
    assert rows(port) == [f"checks:passed:{view.head}"]


@pytest.mark.parametrize("port", ["github-webhook", "github-polling"], indirect=True)
async def test_nothing_hangs_on_a_commit_that_is_not_ours_any_more(port: Port) -> None:
    view = await delivered(port)

    def moves(act: Any) -> None:
        depot = act.depot(SAMPLE)
        act.bare(depot).run("update-ref", "-d", f"refs/heads/{BRANCH}")
        topic = next(each for each in depot.topics.values() if each.pull)
        topic.state = "closed"

    await ends(port, view, "build", "failure")
    await port.do(moves)
    await port.hear()
    assert [key for key in rows(port) if key.startswith("checks:")] == []


async def test_a_delivery_is_not_believed(port: Port) -> None:
    """The check it tells of has passed by now, or was never there."""
    view = await delivered(port)
    await ends(port, view, "build", "failure")
    await ends(port, view, "build", "success")
    await port.hear()
    assert rows(port) == []
    skipped = {skip.reason for skip in port.skips() if skip.event == "check_run"}
    assert skipped == {SkipReason.NOTHING_TO_DO}


async def test_what_has_settled_is_not_asked_for_again(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    view = await delivered(port)
    await ends(port, view, "build", "success")
    await port.hear()

    def asked() -> int:
        return sum(path.endswith("/check-runs") for _, path, _ in port.server.asked)

    before = asked()
    await port.hear()
    assert asked() > before, "so soon after the delivery there may be more checks to come"
    monkeypatch.setattr(their_checks, "GATHERING", timedelta(0))
    await port.hear()
    before = asked()
    await port.hear()
    await asyncio.to_thread(port.server.postman.drain)
    assert asked() == before


def waiting_text(view: ExecutionView, *names: str) -> str:
    rows = "\n".join(f"- `{name}`" for name in names)
    when = "It becomes ready by itself when these required checks have passed on this commit:"
    return f"**Draft** at `{(view.head or '')[:12]}`\n\n{when}\n{rows}\n\nmore"


async def living(port: Port, view: ExecutionView) -> str:
    assert view.pull_request is not None
    said = await port.house.forge.comments(port.repository, view.pull_request)
    return next(each.body for each in said if each.marker == f"living:{view.id}")


@pytest.mark.parametrize("port", [f"{kind}-webhook" for kind in KINDS], indirect=True)
async def test_a_required_check_that_never_reports_is_named_once(
    port: Port, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    view = await delivered(port, "build", "lint")
    assert view.pull_request is not None
    await port.house.forge.post_comment(
        port.repository, view.pull_request, author="us", body=waiting_text(view, "build", "lint"),
        marker=f"living:{view.id}",
    )  # fmt: skip
    await ends(port, view, "build", "pending" if port.server.KIND != "gitlab" else "running")
    await commands.reconcile(port.house, port.engine)
    assert await living(port, view) == waiting_text(view, "build", "lint"), "it is early yet"

    monkeypatch.setattr(their_checks, "OVERDUE", timedelta(0))
    await commands.reconcile(port.house, port.engine)
    body = await living(port, view)
    assert "so far: `lint`." in body and "ready_waits_for_checks: false" in body
    assert body.startswith("**Draft** at ") and body.endswith("\n\nmore")
    events = port.house.ledger.events.stream(view.id)
    await commands.reconcile(port.house, port.engine)
    assert await living(port, view) == body
    assert port.house.ledger.events.stream(view.id) == events, "and it is said once"
    assert [event.key for event in events][-1] == f"checks.unreported:{view.head}"
    page.tell(port.house, view)
    assert f"told the pull request why {(view.head or '')[:12]} may never" in capsys.readouterr().out

    for name in ("build", "lint"):
        await ends(port, view, name, "success")
    await port.hear()
    assert rows(port) == [f"checks:passed:{view.head}"], "a late one counts all the same"


@pytest.mark.parametrize("why", ["by hand", "at work", "off", "otherwise"])
async def test_nobody_is_told_where_it_does_not_matter(
    port: Port, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    view = await delivered(port, "lint")
    assert view.pull_request is not None
    monkeypatch.setattr(their_checks, "OVERDUE", timedelta(0))
    body = waiting_text(view, "lint") if why != "otherwise" else "Somebody wrote it anew."
    await port.house.forge.post_comment(
        port.repository, view.pull_request, author="us", body=body, marker=f"living:{view.id}"
    )
    if why == "by hand":
        await port.house.forge.update_pull_request(port.repository, view.pull_request, draft=False)
    elif why == "off":
        port.house.ledger.switches.set(port.repository, off=True, reason="", by="me")
    elif why == "at work":
        port.engine.submit(view.id, kind="comment", sender_key="c", payload={"text": "x"})
    await commands.reconcile(port.house, port.engine)
    assert await living(port, view) == body
    assert not [
        e for e in port.house.ledger.events.stream(view.id) if e.key.startswith(their_checks.UNREPORTED)
    ]


@pytest.mark.parametrize("port", ["gitea-polling", "github-webhook"], indirect=True)
async def test_one_that_was_stopped_is_taken_up_again_by_a_word_on_its_pull_request(port: Port) -> None:
    view = await delivered(port)
    stopped = FeatureCancelled(reason="stopped by wim in a comment", by="wim")
    port.house.ledger.events.append(view.id, stopped, key="stopped")
    await port.hear()
    await port.do(lambda act: act.comment(SAMPLE, view.pull_request, by="wim", body="/boatwright retry"))
    await port.hear()
    await port.hear()
    assert [row.kind for row in port.engine.inbox.waiting(view.id)] == ["retry"]
