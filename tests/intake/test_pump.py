"""From a delivery to what is done: real house, real engine, real rows; people, repositories and switches as the test says."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.router import Forges
from boatwright.intake import commands, rounds
from boatwright.intake import pump as pump_module
from boatwright.intake.pump import Pump, Seat, pumping
from boatwright.ledger.deliveries import Deliveries
from boatwright.testing.clock import ManualClock
from boatwright.values.delivery import Delivery, DeliveryState
from boatwright.values.events import (
    AnalysisStarted,
    FeatureCancelled,
    FeatureDelivered,
    FeatureRequested,
    HeadApproved,
    PullRequestOpened,
    VerificationStarted,
)
from boatwright.values.skipping import SkipReason

from .conftest import OTHER, PATH, Harbour, comment, issue

pytestmark = pytest.mark.timeout(120)


async def request_of(harbour: Harbour) -> FeatureRequested:
    (execution,) = harbour.executions()
    (first,) = [e.payload for e in harbour.house.ledger.events.stream(execution) if e.sequence == 1]
    assert isinstance(first, FeatureRequested)
    return first


def skipped(row: Delivery, why: SkipReason) -> bool:
    return (row.state, row.outcome, row.reason) == (DeliveryState.PROCESSED, "skipped", why.value)


def pull(harbour: Harbour, execution: str, number: int = 8) -> None:
    """The execution has opened a pull request."""
    opened = PullRequestOpened(
        number=number,
        title="t",
        branch="boatwright/issue-7-x",
        base_ref="main",
        head="c0ffee" * 6 + "abcd",
        draft=True,
    )
    harbour.house.ledger.events.append(execution, opened, key="opened")


def deliver(harbour: Harbour, execution: str, head: str) -> None:
    """The execution has proven that commit, and put it before people."""
    append = harbour.house.ledger.events.append
    for payload in (AnalysisStarted(base_commit=head), VerificationStarted(round=1), delivered(head)):
        append(execution, payload, key=f"{payload.type}:{head}")


def delivered(head: str) -> FeatureDelivered:
    return FeatureDelivered(
        pull_request=8,
        branch="boatwright/issue-7-x",
        commit=head,
        ready=True,
        word="proven",
        usd=Decimal(0),
        tokens=0,
    )


# --- a request ---


async def test_a_labelled_issue_becomes_an_execution_of_what_it_said_then(harbour: Harbour) -> None:
    row = await harbour.hear("issues", issue(labels=("agent", "bug"), title="A\n title", body="As it was."))
    assert (row.state, row.outcome) == (DeliveryState.PROCESSED, "started")
    request = await request_of(harbour)
    assert [row.about] == harbour.executions()
    assert (request.issue, request.title, request.body) == (7, "A title", "As it was.")
    assert (request.requested_by, request.repository) == ("ada", harbour.world.served.id)
    assert harbour.inbox(row.about) == [] or harbour.inbox(row.about) == [("request", "request")]
    assert harbour.world.asked == ["ada"]


async def seen_by(harbour: Harbour, monkeypatch: pytest.MonkeyPatch, fails: bool = False) -> list[Any]:
    """What is shown at the forge, and how many executions there are then."""
    shown: list[Any] = []

    async def react(_: Any, repository: str, number: int, *, comment: int | None = None) -> None:
        shown.append((repository == harbour.world.served.id, number, comment, len(harbour.executions())))
        if fails:
            raise errors.ForgeUnavailable("the forge does not answer")

    monkeypatch.setattr(Forges, "react", react)
    return shown


async def test_what_is_begun_is_acknowledged_once_its_execution_exists(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await seen_by(harbour, monkeypatch)
    await harbour.hear("issues", issue())
    await harbour.hear("issues", issue(at="2026-01-03T00:00:00Z"))
    await harbour.hear("issues", issue("edited", labels=()))
    assert shown == [(True, 7, None, 1)]


async def test_what_a_comment_begins_is_acknowledged_on_that_comment(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await seen_by(harbour, monkeypatch)
    for _ in range(2):  # the second is the same comment, processed again: twice is once at a forge
        await harbour.hear("issue_comment", comment("/boatwright plan"))
    assert shown == [(True, 7, 31, 1)] * 2


async def test_a_forge_that_takes_no_reaction_holds_nothing_up(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = await seen_by(harbour, monkeypatch, fails=True)
    row = await harbour.hear("issues", issue())
    assert (row.state, row.outcome, len(shown)) == (DeliveryState.PROCESSED, "started", 1)
    log = (harbour.house.state.logs / pump_module.LOG).read_text()
    assert '"what": "unacknowledged"' in log and "the forge does not answer" in log


async def test_opened_and_labelled_and_all_of_it_again_is_one_execution(harbour: Harbour) -> None:
    for event in (issue("opened"), issue(), issue("opened"), issue(at="2026-01-02T03:04:06Z")):
        await harbour.send("issues", event)
    assert await harbour.pump.once() == 4
    assert len(harbour.executions()) == 1
    reasons = sorted(skip.reason for skip in harbour.skips())
    assert reasons == [SkipReason.ALREADY_ASKED] * 3


async def test_a_delivery_processed_again_changes_nothing(harbour: Harbour) -> None:
    await harbour.hear("issues", issue(), delivery="one")
    assert (await harbour.send("issues", issue(), delivery="one")).status_code == 200
    assert await harbour.pump.once() == 0 and len(harbour.executions()) == 1


async def test_labelled_while_its_execution_lives_is_no_second_one(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    row = await harbour.hear("issues", issue(at="2026-01-03T00:00:00Z"))
    assert skipped(row, SkipReason.ALREADY_RUNNING) and len(harbour.executions()) == 1


async def test_three_forges_say_the_same_in_their_own_words(harbour: Harbour) -> None:
    harbour.world.served.kind = "gitea"
    gitea = issue("label_updated", labels=("bug", "agent"))
    assert (await harbour.hear("issues", gitea, forge="gitea")).outcome == "started"
    assert skipped(
        await harbour.hear("issues", {**gitea, "action": "label_updated"}, forge="gitea"),
        SkipReason.ALREADY_ASKED,
    )
    harbour.world.served.kind = "gitlab"
    gitlab = {
        "object_kind": "issue",
        "user": {"username": "ada", "id": 5},
        "project": {"path_with_namespace": PATH},
        "object_attributes": {
            "iid": 9, "title": "T", "description": "D", "action": "update", "state": "opened",
            "updated_at": "2026-01-02 03:04:05 UTC", "author_id": 5,
        },
        "labels": [{"title": "agent"}],
        "changes": {"labels": {"previous": [], "current": [{"title": "agent"}]}},
    }  # fmt: skip
    assert (await harbour.hear("Issue Hook", gitlab, forge="gitlab")).outcome == "started"


async def test_a_member_who_is_assigned_is_asked_for_the_agent_that_is_named(harbour: Harbour) -> None:
    assigned = issue("assigned", labels=("boatwright:builtin",), assignees=("bob",), sender="cy")
    assert skipped(await harbour.hear("issues", assigned), SkipReason.NOT_ALLOWED)
    harbour.world.members, harbour.world.sorters = {"bob"}, {"cy"}
    again = issue(
        "assigned",
        labels=("boatwright:builtin",),
        assignees=("bob", "dan"),
        sender="cy",
        at="2026-01-03T00:00:00Z",
    )
    assert (await harbour.hear("issues", again)).outcome == "started"
    assert (await request_of(harbour)).agent == "builtin"


# --- who is not obeyed ---


@pytest.mark.parametrize(
    ("event", "payload", "why"),
    [
        ("issues", issue(sender="eve"), SkipReason.NOT_ALLOWED),
        ("issues", issue("opened", sender="eve"), SkipReason.NOT_ALLOWED),
        ("issues", issue(sender=""), SkipReason.NOT_ALLOWED),
        ("issues", issue(sender="x[bot]"), SkipReason.FROM_BOT),
        ("issues", issue(sender="Renovate"), SkipReason.FROM_BOT),
        ("issues", issue(sender="odd", type="Bot"), SkipReason.FROM_BOT),
        ("issues", issue(sender="our-app"), SkipReason.FROM_OURSELVES),
        ("issues", issue("edited"), SkipReason.NO_TRIGGER),
        ("issues", issue("closed", state="closed"), SkipReason.NO_TRIGGER),
        ("issues", issue("pinned"), SkipReason.UNUSED_ACTION),
        ("issues", issue(path="acme/elsewhere"), SkipReason.UNKNOWN_REPOSITORY),
        ("issue_comment", comment("/boatwright stop"), SkipReason.NOT_OURS),
        ("issue_comment", comment("hello"), SkipReason.NOT_ADDRESSED),
        ("issue_comment", comment("/boatwright dance"), SkipReason.UNKNOWN_COMMAND),
        ("issue_comment", comment("/boatwright plan", sender="eve"), SkipReason.NOT_ALLOWED),
        ("fork", {"repository": {"full_name": PATH}}, SkipReason.UNKNOWN_EVENT),
        ("push", b"\xff", SkipReason.NOT_JSON),
    ],
)
async def test_it_is_ignored_with_a_reason_an_event_and_a_line(
    harbour: Harbour, event: str, payload: Any, why: SkipReason
) -> None:
    row = await harbour.hear(event, payload)
    assert skipped(row, why), row
    assert [skip.reason for skip in harbour.skips()] == [why] and harbour.executions() == []
    log = [
        json.loads(line) for line in (harbour.house.state.logs / "deliveries.log").read_text().splitlines()
    ]
    (told,) = [line for line in log if line["what"] != "unanswered"]
    assert (told["what"], told["decision"], told["reason"], told["delivery"]) == (
        "skipped",
        "skip",
        why,
        row.id,
    )
    assert harbour.house.ledger.verify().problems == ()
    assert harbour.house.ledger.executions.rebuild() == 0, "what is apart folds to nothing"


async def test_one_that_was_refused_may_ask_again_with_leave(harbour: Harbour) -> None:
    """A template that strangers use puts the label on: nobody asked. A person who puts it on anew does."""
    await harbour.hear("issues", issue("opened", sender="eve"))
    await harbour.hear("issues", issue(sender="eve", at="2026-01-02T03:04:06Z"))
    row = await harbour.hear("issues", issue(sender="ada", at="2026-01-02T03:05:00Z"))
    assert row.outcome == "started"


async def test_the_secret_of_one_repository_speaks_for_no_other(harbour: Harbour) -> None:
    row = await harbour.hear("issues", issue(), secret=OTHER)
    assert skipped(row, SkipReason.WRONG_REPOSITORY) and harbour.executions() == []


async def test_switched_off_nothing_begins_and_what_ends_is_heard(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    harbour.world.off = "the operator sleeps"
    assert skipped(await harbour.hear("issues", issue(number=8)), SkipReason.SWITCHED_OFF)
    assert harbour.skips()[-1].detail == "the operator sleeps"
    stopped = await harbour.hear("issue_comment", comment("/boatwright stop"))
    assert (stopped.outcome, stopped.about) == ("told", execution)
    harbour.world.off = None
    assert (await harbour.hear("issues", issue(number=8, at="2026-01-02T03:04:09Z"))).outcome == "started"


async def test_a_forge_that_cannot_be_asked_lets_nobody_in_and_is_asked_again(harbour: Harbour) -> None:
    harbour.world.away = True
    row = await harbour.hear("issues", issue())
    assert (row.state, row.error) == (DeliveryState.FAILED, "the forge does not answer")
    assert harbour.executions() == [] and row.next_try is not None
    harbour.world.away = False
    assert await harbour.pump.once() == 0, "not before its time"
    harbour.house.ledger.deliveries.retry(row.id)
    assert await harbour.pump.once() == 1 and len(harbour.executions()) == 1


async def test_a_defect_is_told_and_stops_no_other(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(repository: str, login: str) -> None:
        raise ZeroDivisionError

    await harbour.send("issues", issue())
    await harbour.send("ping", {"zen": "…"})
    told: list[str] = []
    monkeypatch.setattr(harbour.world, "permission", broken)
    monkeypatch.setattr(pump_module, "report", lambda message, _: told.append(message))
    assert await harbour.pump.once() == 2
    assert told == [f"delivery {harbour.house.ledger.deliveries.list()[1].id} broke its processing"]
    ping, failed = harbour.house.ledger.deliveries.list()
    assert (ping.outcome, failed.state) == ("noted", DeliveryState.FAILED)
    assert failed.error == "a defect of this program: ZeroDivisionError"


async def test_without_the_store_nothing_is_lost(harbour: Harbour, monkeypatch: pytest.MonkeyPatch) -> None:
    await harbour.send("ping", {})

    def away(*_: object, **__: object) -> None:
        raise errors.StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(harbour.house.ledger.deliveries, "finish", away)
        with pytest.raises(errors.StoreUnavailable):
            await harbour.pump.once()
    row = harbour.newest()
    assert row.state is DeliveryState.FAILED
    harbour.house.ledger.deliveries.retry(row.id)
    await harbour.pump.once()
    assert harbour.newest().outcome == "noted"


# --- what is said to an execution ---


async def test_every_command_reaches_the_inbox_once(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    said = ("/boatwright retry", "/boatwright retry plan", "/boatwright budget 3", "/boatwright budget 4usd")
    for at, text in enumerate(said):
        for _ in range(2):  # the same comment by another delivery
            row = await harbour.hear("issue_comment", comment(text, number_of=100 + at))
            assert (row.outcome, row.about) == ("told", execution), row
    rows = [row for row in harbour.inbox(execution) if row[0] != "request"]
    repository = harbour.world.served.id
    assert rows == [
        ("retry", f"retry:{repository}:issue:100"),
        ("retry", f"retry:{repository}:issue:101"),
        ("raise", f"budget:{repository}:issue:102"),
        ("raise", f"budget:{repository}:issue:103"),
    ]
    cap = harbour.house.wire.budgets().cap("execution", execution)
    assert cap is not None and str(cap) == "4 USD", (
        "an old word said again does not lower what a newer one raised"
    )


async def test_a_command_to_an_execution_of_before_is_not_for_the_next_one(
    harbour: Harbour, clock: ManualClock
) -> None:
    await harbour.hear("issues", issue())
    (first,) = harbour.executions()
    stop = comment("/boatwright stop", number_of=100)
    assert (await harbour.hear("issue_comment", stop)).about == first
    harbour.house.ledger.events.append(first, FeatureCancelled(reason="stopped", by="ada"), key="cancelled")
    clock.advance(60)
    plan = comment("/boatwright plan", number_of=101)
    plan["comment"]["created_at"] = "2026-01-05T00:00:00Z"
    second = (await harbour.hear("issue_comment", plan)).about
    assert second not in {"", first} and len(harbour.executions()) == 2
    again = await harbour.hear("issue_comment", stop)  # by a look at the list, minutes later
    assert skipped(again, SkipReason.ALREADY_ASKED), again
    assert [kind for kind, _ in harbour.inbox(second)] == ["request"]
    own = await harbour.hear("issue_comment", comment("/boatwright stop", number_of=102))
    assert (own.outcome, own.about) == ("told", second)


async def test_a_command_without_sense_is_ignored(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    for at, (text, why) in enumerate(
        [
            ("/boatwright retry everything", SkipReason.UNKNOWN_COMMAND),
            ("/boatwright budget lots", SkipReason.UNKNOWN_COMMAND),
            ("/boatwright budget 100000usd", SkipReason.NOT_ALLOWED),
            ("/boatwright approve", SkipReason.NOTHING_TO_DO),
            ("/boatwright plan", SkipReason.STALE),
        ]
    ):
        early = comment(text, number_of=200 + at)
        early["comment"]["created_at"] = "2026-01-01T00:00:00Z"
        row = await harbour.hear("issue_comment", early)
        assert skipped(row, why), (text, row)


async def thread(harbour: Harbour) -> None:
    """Issue 1 stands where it can be answered."""
    forge, served = harbour.house.forge, harbour.world.served
    await forge.add_repository(served.id, source=served.source, default_branch="main")
    await forge.create_issue(served.id, title="t", body="b", author="eve")


async def answers(harbour: Harbour, number: int = 1) -> dict[str, str]:
    """What stands on the issue with a mark of ours, by mark."""
    said = await harbour.house.forge.comments(harbour.world.served.id, number)
    assert len({each.marker for each in said}) == len(said), "nothing is said twice"
    return {each.marker: each.body for each in said}


@pytest.mark.parametrize(
    ("text", "begun", "why", "words"),
    [
        ("/boatwright dance", True, SkipReason.UNKNOWN_COMMAND, ("'dance' is no command", "`/boatwright stop`")),
        ("/boatwright", True, SkipReason.UNKNOWN_COMMAND, ("no command is named", "`/boatwright budget 10usd`")),
        ("/boatwright budget", True, SkipReason.UNKNOWN_COMMAND, ("how much", "`/boatwright budget 10usd`")),
        ("/boatwright budget lots", True, SkipReason.UNKNOWN_COMMAND, ("'lots' is not a budget", "budget 10usd`")),
        ("/boatwright budget 0", True, SkipReason.UNKNOWN_COMMAND, ("admits no call", "budget 10usd`")),
        (
            "/boatwright budget 100000",
            True,
            SkipReason.NOT_ALLOWED,
            ("asks for 100000 USD; this host allows", "ask for", "settings.yml"),
        ),
        (
            "/boatwright retry everything",
            True,
            SkipReason.UNKNOWN_COMMAND,
            ("retry begins at one of analyze", "`/boatwright retry analyze|plan|build|verify`"),
        ),
        ("/boatwright approve", True, SkipReason.NOTHING_TO_DO, ("nothing waits", "`/boatwright explain`")),
        ("/boatwright plan", True, SkipReason.ALREADY_RUNNING, ("live execution", "`/boatwright explain`")),
        ("/boatwright stop", False, SkipReason.NOT_OURS, ("no execution", "`agent`", "`/boatwright plan`")),
    ],
)  # fmt: skip
async def test_a_command_that_is_refused_is_answered_once(
    harbour: Harbour, text: str, begun: bool, why: SkipReason, words: tuple[str, ...]
) -> None:
    await thread(harbour)
    if begun:
        await harbour.hear("issues", issue(number=1))
    said = comment(text, number=1)
    said["comment"]["created_at"] = "2026-01-05T00:00:00Z"
    assert skipped(await harbour.hear("issue_comment", said), why)
    again = await harbour.hear("issue_comment", said)  # by whatever tells of the same comment later
    assert skipped(again, why) or skipped(again, SkipReason.ALREADY_ASKED)
    found = await answers(harbour)
    assert list(found) == ["refused:31"]
    assert all(word in found["refused:31"] for word in words), found
    assert f"`{text}`" in found["refused:31"]
    ours = comment(f"{found['refused:31']}\n\n<!-- boatwright:refused:31 -->", number=1, number_of=32)
    assert skipped(await harbour.hear("issue_comment", ours), SkipReason.FROM_OURSELVES)
    assert len(await answers(harbour)) == 1


@pytest.mark.parametrize("text", ["/boatwright dance", "/boatwright budget 100000", "/boatwright explain"])
async def test_the_comments_behind_a_command_are_read_once(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    await thread(harbour)
    await harbour.hear("issues", issue(number=1))
    real, read = Forges.comments, []

    async def comments(forges: Forges, repository: str, number: int, **more: Any) -> Any:
        read.append(number)
        return await real(forges, repository, number, **more)

    monkeypatch.setattr(Forges, "comments", comments)
    for times in (1, 2):  # told of again, the answer is found by one look, too
        await harbour.hear("issue_comment", comment(text, number=1))
        assert read == [1] * times
    assert len(await answers(harbour)) == 1


@pytest.mark.parametrize("text", ["/boatwright dance", "/boatwright budget 100000", "/boatwright stop"])
async def test_who_may_not_command_is_not_answered(harbour: Harbour, text: str) -> None:
    await thread(harbour)
    row = await harbour.hear("issue_comment", comment(text, number=1, sender="eve"))
    assert skipped(row, SkipReason.NOT_ALLOWED) and await answers(harbour) == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [("/boatwright dance", SkipReason.SWITCHED_OFF), ("/boatwright stop", SkipReason.NOT_OURS)],
)
async def test_what_is_switched_off_answers_nobody(harbour: Harbour, text: str, why: SkipReason) -> None:
    await thread(harbour)
    harbour.world.off = "the operator sleeps"
    row = await harbour.hear("issue_comment", comment(text, number=1))
    assert skipped(row, why) and await answers(harbour) == {}


@pytest.mark.parametrize("away", [True, False])
async def test_an_answer_the_forge_does_not_take_now_is_given_later_or_not_at_all(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    await thread(harbour)

    async def shut(*_: object, **__: object) -> None:
        if away:
            raise errors.ForgeUnavailable("the forge does not answer")
        raise errors.Parked("the forge does not let us", code="forge_rights")

    with monkeypatch.context() as patch:
        patch.setattr(Forges, "post_comment", shut)
        row = await harbour.hear("issue_comment", comment("/boatwright dance", number=1))
    log = (harbour.house.state.logs / pump_module.LOG).read_text()
    if not away:
        assert skipped(row, SkipReason.UNKNOWN_COMMAND)
        assert '"what": "unanswered"' in log and "the forge does not let us" in log
        return
    assert (row.state, row.error) == (DeliveryState.FAILED, "the forge does not answer")
    harbour.house.ledger.deliveries.retry(row.id)
    await harbour.pump.once()
    assert skipped(harbour.newest(), SkipReason.UNKNOWN_COMMAND) and list(await answers(harbour)) == [
        "refused:31"
    ]


async def test_an_approval_that_is_told_of_again_later_is_no_other_one(harbour: Harbour) -> None:
    await thread(harbour)
    await harbour.hear("issues", issue(number=1))
    (execution,) = harbour.executions()
    deliver(harbour, execution, "c0ffee" * 6 + "abcd")
    said = comment("/boatwright approve c0ffeec0", number=1)
    assert (await harbour.hear("issue_comment", said)).outcome == "told"
    deliver(harbour, execution, "decade" * 6 + "abcd")
    again = await harbour.hear("issue_comment", said)
    assert (again.outcome, again.about) == ("told", execution) and await answers(harbour) == {}
    assert [kind for kind, _ in harbour.inbox(execution)].count("approve") == 1
    other = comment("/boatwright approve c0ffeec0", number=1, number_of=33)
    assert skipped(await harbour.hear("issue_comment", other), SkipReason.NOTHING_TO_DO)
    assert "Instead: /boatwright approve decadedecade" in (await answers(harbour))["refused:33"]


@pytest.mark.parametrize("taken", [False, True])
@pytest.mark.parametrize("text", ["/boatwright approve", "/boatwright approve c0ffeec0"])
async def test_a_comment_that_says_what_was_approved_already_is_never_answered(
    harbour: Harbour, text: str, taken: bool
) -> None:
    """Approved at the console, then in a comment, which is told of again when there is another head."""
    await thread(harbour)
    await harbour.hear("issues", issue(number=1))
    (execution,) = harbour.executions()
    head = "c0ffee" * 6 + "abcd"
    deliver(harbour, execution, head)
    harbour.engine.submit(
        execution, kind="approve", sender_key=f"approve:{head}", author="me", payload={"commit": head}
    )
    if taken:
        approved = HeadApproved(number=8, commit=head, by="me")
        harbour.house.ledger.events.append(execution, approved, key="approved")
        harbour.engine.inbox.take(execution, 1)
    said = comment(text, number=1)
    said["comment"]["created_at"] = harbour.house.clock.now().isoformat()
    assert (await harbour.hear("issue_comment", said)).outcome == "told"
    assert not taken or harbour.engine.inbox.waking(execution) == [], "nothing is done again"
    deliver(harbour, execution, "decade" * 6 + "abcd")
    again = await harbour.hear("issue_comment", said)
    assert (again.outcome, again.about) == ("told", execution) and await answers(harbour) == {}


async def test_a_head_that_two_approve_is_approved_once(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    head = "c0ffee" * 6 + "abcd"
    deliver(harbour, execution, head)
    for number in (40, 41):
        said = comment("/boatwright approve c0ffeec0", number_of=number)
        assert (await harbour.hear("issue_comment", said)).outcome == "told"
    assert [kind for kind, _ in harbour.inbox(execution)].count("approve") == 1
    approved = HeadApproved(number=8, commit=head, by="ada")
    harbour.house.ledger.events.append(execution, approved, key="approved")
    harbour.engine.inbox.take(execution, 1)
    late = comment("/boatwright approve c0ffeec0", number_of=42)
    assert (await harbour.hear("issue_comment", late)).outcome == "told"
    assert harbour.engine.inbox.waking(execution) == []


async def test_a_command_that_was_answered_is_not_followed_later(harbour: Harbour) -> None:
    """It was refused when there was nothing to stop, and is told of again when there is."""
    await thread(harbour)
    stop = comment("/boatwright stop", number=1)
    assert skipped(await harbour.hear("issue_comment", stop), SkipReason.NOT_OURS)
    await harbour.hear("issues", issue(number=1))
    (execution,) = harbour.executions()
    assert skipped(await harbour.hear("issue_comment", stop), SkipReason.ALREADY_ASKED)
    assert [kind for kind, _ in harbour.inbox(execution)] == ["request"] and len(await answers(harbour)) == 1


async def test_a_plan_is_asked_for_in_a_comment(harbour: Harbour) -> None:
    row = await harbour.hear("issue_comment", comment("/boatwright plan"))
    assert row.outcome == "started" and (await request_of(harbour)).only_plan
    again = await harbour.hear("issue_comment", comment("/boatwright plan"))
    assert (again.outcome, again.about) == ("started", row.about) and len(harbour.executions()) == 1
    other = comment("/boatwright plan", number_of=32)
    other["comment"]["created_at"] = "2026-01-05T00:00:00Z"
    assert skipped(await harbour.hear("issue_comment", other), SkipReason.ALREADY_RUNNING)


async def test_explain_is_answered_once(harbour: Harbour) -> None:
    forge, repository = harbour.house.forge, harbour.world.served.id
    await harbour.hear("issues", issue(number=1))
    (execution,) = harbour.executions()
    await forge.create_issue(repository, title="t", body="b", author="eve")
    for _ in range(2):
        row = await harbour.hear("issue_comment", comment("/boatwright explain", number=1))
        assert (row.outcome, row.about) == ("answered", execution)
    (answer,) = await forge.comments(repository, 1)
    assert answer.marker == "explain:31" and f"boatwright show {execution}" in answer.body


async def test_words_on_our_pull_request_come_with_their_place(harbour: Harbour) -> None:
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    pull(harbour, execution)
    await harbour.hear("issue_comment", comment("Rename it", number=8, on_pull=True, number_of=40))
    line = {
        "action": "created",
        "comment": {"id": 41, "body": "Why?", "path": "a.py", "line": 3, "user": {"login": "ada"}},
        "pull_request": {"number": 8},
        "repository": {"full_name": PATH},
        "sender": {"login": "ada", "type": "User"},
    }
    await harbour.hear("pull_request_review_comment", line)
    await harbour.hear("issue_comment", comment("Do not", number=8, on_pull=True, number_of=42, sender="eve"))
    rows = [row for row in harbour.engine.inbox.waiting(execution) if row.kind == "comment"]
    repository = harbour.world.served.id
    assert [(row.sender_key, row.payload["text"]) for row in rows] == [
        (f"comment:{repository}:40", "Rename it"),
        (f"comment:{repository}:r41", "About a.py:3:\nWhy?"),
    ]


@pytest.mark.parametrize("merged", [True, False])
async def test_a_decision_about_our_pull_request_is_told_once(harbour: Harbour, merged: bool) -> None:
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    pull(harbour, execution)
    closed = {
        "action": "closed",
        "pull_request": {
            "number": 8, "merged": merged, "merge_commit_sha": "beef", "base": {"ref": "main"},
            "head": {"ref": "boatwright/issue-7-x", "sha": "c0ffee", "repo": {"full_name": PATH}},
        },
        "repository": {"full_name": PATH},
        "sender": {"login": "eve", "type": "User"},
    }  # fmt: skip
    for _ in range(2):
        assert (await harbour.hear("pull_request", closed)).outcome == "told"
    kind = "merge" if merged else "close"
    rows = [row for row in harbour.engine.inbox.waiting(execution) if row.kind == kind]
    assert [row.payload["commit"] for row in rows] == ["beef" if merged else "c0ffee"]
    fork = {**closed, "pull_request": {**closed["pull_request"], "head": {"repo": {"full_name": "eve/x"}}}}  # type: ignore[dict-item]
    assert skipped(await harbour.hear("pull_request", fork), SkipReason.FROM_FORK)


async def test_a_renamed_repository_is_found_under_both_names(harbour: Harbour) -> None:
    renamed = {
        "action": "renamed",
        "changes": {"repository": {"name": {"from": "paginate"}}},
        "repository": {"full_name": "acme/pages"},
        "sender": {"login": "ada"},
    }
    harbour.world.moved[PATH] = "acme/pages"
    for _ in range(2):
        assert (await harbour.hear("repository", renamed)).outcome == "noted"
    assert (harbour.world.served.path, harbour.world.served.previous) == ("acme/pages", (PATH,))
    assert (await harbour.hear("issues", issue(path="acme/pages"))).outcome == "started"
    assert skipped(await harbour.hear("issues", issue()), SkipReason.ALREADY_ASKED)


# --- the pump itself ---


async def test_one_pumps_at_a_time(harbour: Harbour) -> None:
    await harbour.send("ping", {})
    other = Seat(harbour.house.state.run / "pump.lock")
    assert other.taken()
    assert await harbour.pump.once() == 0
    other.leave()
    assert await harbour.pump.once() == 1


async def test_it_is_woken_by_the_door_and_not_by_the_clock(harbour: Harbour) -> None:
    async with pumping(harbour.pump, look=3_600):
        await asyncio.sleep(0)
        await harbour.send("ping", {})
        while harbour.newest().state is not DeliveryState.PROCESSED:
            await asyncio.sleep(0.01)
    assert harbour.newest().outcome == "noted"


async def test_a_round_that_breaks_is_told_and_the_next_one_pumps(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    due = Deliveries.due

    def once_broken(rows: Deliveries) -> list[int]:
        if not told:
            raise RuntimeError("can't start new thread")
        return due(rows)

    monkeypatch.setattr(Deliveries, "due", once_broken)
    monkeypatch.setattr(rounds, "report", lambda message, error=None: told.append(f"{message} {error!r}"))
    await harbour.send("ping", {})
    async with pumping(harbour.pump, look=0.01) as task:
        while harbour.newest().state is not DeliveryState.PROCESSED:
            await asyncio.sleep(0.01)
        assert not task.done()
    assert told == ['the pump of deliveries broke RuntimeError("can\'t start new thread")']


async def test_what_the_pump_dies_of_is_raised_and_its_seat_is_left(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harbour.pump._told, "clear", lambda: 1 / 0)
    assert harbour.pump._seat.taken()
    with pytest.raises(ZeroDivisionError):
        async with pumping(harbour.pump) as task:
            await asyncio.wait({task})
    assert Seat(harbour.pump._seat._place).taken()


async def test_what_fails_for_good_is_dead_with_its_bytes(harbour: Harbour, clock: ManualClock) -> None:
    rows = Deliveries(harbour.house.ledger.database, clock)
    harbour.world.away = True
    pump = Pump(harbour.pump._hearing, rows, harbour.house.state.run / "other.lock", harbour.pump._log)
    await harbour.send("issues", issue())
    clock._now = harbour.house.clock.now() + timedelta(seconds=5)
    for _ in range(7):
        assert await pump.once() == 1
        clock.advance(1_800)
    row = harbour.newest()
    assert (row.state, row.attempts) == (DeliveryState.DEAD, 7) and await pump.once() == 0
    body = rows.body(row.id)
    assert body is not None and json.loads(body)["issue"]["number"] == 7
    pump.close()


async def test_the_sweep_and_the_door_tell_of_a_merge_by_one_key(harbour: Harbour) -> None:
    """``commands.reconcile`` may notice first; the row is then there, and the delivery adds none."""
    await harbour.hear("issues", issue())
    (execution,) = harbour.executions()
    pull(harbour, execution)
    await commands._put(harbour.engine, execution, "merge", "merge:8", "forge", {"commit": "beef"})
    merged = {
        "action": "closed",
        "pull_request": {
            "number": 8,
            "merged": True,
            "merge_commit_sha": "beef",
            "head": {"repo": {"full_name": PATH}},
        },
        "repository": {"full_name": PATH},
        "sender": {"login": "ada"},
    }
    await harbour.hear("pull_request", merged)
    assert [kind for kind, _ in harbour.inbox(execution)].count("merge") == 1
