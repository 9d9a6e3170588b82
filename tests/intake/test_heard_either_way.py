"""The same story of an issue, by webhook and by polling, on every forge that is a server: one set of cases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from boatwright.values.delivery import DeliveryState
from boatwright.values.skipping import SkipReason

from .ports import BOT, KINDS, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
WAYS = {"webhook": ("webhook",), "polling": ("polling",), "both": ("webhook", "polling")}


@pytest.fixture(params=[f"{kind}-{way}" for kind in ("github", "gitlab") for way in ("webhook", "polling")])
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    kind, way = request.param.split("-")
    async with opened(root, kind, WAYS[way]) as made:
        yield made


@pytest.mark.parametrize("port", [f"{kind}-{way}" for kind in KINDS for way in WAYS], indirect=True)
async def test_a_labelled_issue_is_one_execution_however_often_it_is_heard_of(port: Port) -> None:
    number = await port.issue("agent")
    await port.hear()
    (view,) = port.executions()
    assert (view.repository, view.issue, view.title) == (port.repository, number, "It drops the last page")
    await port.do(lambda act: act.label(SAMPLE, number, "urgent", by="wim"))
    await port.do(lambda act: act.comment(SAMPLE, number, by="wim", body="Please hurry."))
    await port.hear()
    await port.hear()
    assert [each.id for each in port.executions()] == [view.id]
    assert port.told(view.id) == ["request"]
    assert {row.state for row in port.deliveries()} == {DeliveryState.PROCESSED}


@pytest.mark.parametrize("port", ["gitea-polling", "github-polling", "gitlab-polling"], indirect=True)
async def test_the_label_may_come_later_and_comes_from_whoever_put_it_there(port: Port) -> None:
    number = await port.issue(by="rea")
    await port.hear()
    assert port.executions() == []
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by="wim"))
    await port.hear()
    assert [view.issue for view in port.executions()] == [number]


@pytest.mark.parametrize("port", ["gitea-polling", "github-polling", "gitlab-polling"], indirect=True)
async def test_a_label_of_somebody_who_may_not_write_asks_for_nothing(port: Port) -> None:
    number = await port.issue(by="ann")
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by="rea"))
    await port.hear()
    await port.hear()
    assert port.executions() == []
    denied = [skip for skip in port.skips() if skip.reason is SkipReason.NOT_ALLOWED]
    assert denied and all(skip.detail.startswith("rea ") for skip in denied)


@pytest.mark.parametrize("port", ["gitea-polling", "github-polling"], indirect=True)
async def test_an_issue_without_a_trigger_or_that_is_closed_asks_for_nothing(port: Port) -> None:
    await port.issue("bug")
    closed = await port.issue()
    await port.do(lambda act: act.close(SAMPLE, closed, by="ann"))
    await port.do(lambda act: act.label(SAMPLE, closed, "agent", by="ann"))
    await port.hear()
    assert port.executions() == []


async def test_a_command_in_a_comment_is_obeyed_once_and_from_the_right_person(port: Port) -> None:
    number = await port.issue("agent")
    await port.hear()
    (view,) = port.executions()
    await port.do(lambda act: act.comment(SAMPLE, number, by="rea", body="/boatwright stop"))
    await port.hear()
    assert port.told(view.id) == ["request"]
    await port.do(lambda act: act.comment(SAMPLE, number, by="wim", body="/boatwright stop"))
    await port.hear()
    await port.hear()
    assert port.told(view.id) == ["request", "cancel"]


@pytest.mark.parametrize("port", [f"{kind}-both" for kind in KINDS], indirect=True)
async def test_a_command_that_is_refused_is_answered_once_to_who_may_command(port: Port) -> None:
    number = await port.issue()
    await port.do(lambda act: act.comment(SAMPLE, number, by="rea", body="/boatwright stop"))
    await port.do(lambda act: act.comment(SAMPLE, number, by="wim", body="/boatwright dance"))
    for _ in range(3):  # what we answer is told of, too, and begins nothing
        await port.hear()
    said = await port.house.forge.comments(port.repository, number)
    (answer,) = [each for each in said if each.marker]
    assert answer.marker.startswith("refused:") and "'dance' is no command" in answer.body
    assert {row.state for row in port.deliveries()} == {DeliveryState.PROCESSED}


@pytest.mark.parametrize("port", ["gitea-polling", "github-polling", "gitlab-webhook"], indirect=True)
async def test_the_label_put_on_again_is_a_request_again(port: Port) -> None:
    number = await port.issue("agent")
    await port.hear()
    await port.do(lambda act: act.unlabel(SAMPLE, number, "agent", by="ann"))
    await port.hear()
    heard = port.house.ledger.watched.get(port.repository, number)
    assert heard is not None and heard.labels == ()
    await port.next_second()
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by="ann"))
    await port.hear()
    assert len(port.executions()) == 1
    assert SkipReason.ALREADY_RUNNING in {skip.reason for skip in port.skips()}


@pytest.mark.parametrize("port", [f"{kind}-{way}" for kind in KINDS for way in WAYS], indirect=True)
async def test_what_our_own_account_does_without_a_mark_asks_for_nothing(port: Port) -> None:
    """Somebody cut the mark off what we said, or gave the account's login to another program."""
    number = await port.issue(by="ann")
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by=BOT))
    await port.hear()
    assert port.executions() == []
    await port.do(lambda act: act.label(SAMPLE, number, "urgent", by="ann"))
    begun = await port.issue("agent")
    await port.hear()
    (view,) = port.executions()
    assert view.issue == begun
    await port.do(lambda act: act.comment(SAMPLE, begun, by=BOT, body="/boatwright stop"))
    await port.hear()
    assert port.told(view.id) == ["request"]
    refused = [skip.detail for skip in port.skips() if skip.reason is SkipReason.FROM_OURSELVES]
    assert set(refused) == {f"{BOT} is our own account: ask from another"}


@pytest.mark.parametrize("port", ["gitea-webhook", "github-polling", "gitlab-both"], indirect=True)
async def test_a_login_that_is_a_persons_own_is_heard_where_our_mark_is_not(port: Port) -> None:
    forges, kind = port.house.settings.forges, port.server.KIND
    forges[kind] = forges[kind].model_copy(update={"shared_login": True})
    number = await port.issue(by="ann")
    await port.do(lambda act: act.label(SAMPLE, number, "agent", by=BOT))
    await port.hear()
    (view,) = port.executions()
    ours = "/boatwright stop\n\n<!-- boatwright:refused:9 -->"
    await port.do(lambda act: act.comment(SAMPLE, number, by=BOT, body=ours))
    await port.hear()
    assert port.told(view.id) == ["request"]
    await port.do(lambda act: act.comment(SAMPLE, number, by=BOT, body="/boatwright stop"))
    await port.hear()
    assert port.told(view.id) == ["request", "cancel"]
