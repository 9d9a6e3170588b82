"""Lanes: what is slow, or away, holds up its own repository and no other; nothing of one repository overtakes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from boatwright import errors
from boatwright.intake import pump, readers
from boatwright.intake.lanes import REST, Lane, Lanes
from boatwright.intake.pump import ALONE, pumping
from boatwright.values.delivery import Delivery, DeliveryState
from boatwright.values.people import Permission
from boatwright.values.skipping import Skip

from .conftest import PATH, Harbour, Repository, World, issue

pytestmark = pytest.mark.timeout(120)
NOW = datetime(2026, 1, 2, tzinfo=UTC)


# --- who is next ---


def taken(lanes: Lanes, now: datetime = NOW) -> dict[int, Lane]:
    return {number: lane for lane, number in lanes.take(now)}


def test_of_one_repository_one_at_a_time_in_the_order_they_came() -> None:
    lanes = Lanes()
    for number, key in ((5, "a"), (2, "a"), (3, "b")):
        lanes.add(number, "github", key)
    first = taken(lanes)
    assert [*first] == [2, 3] and taken(lanes) == {}
    lanes.left(first[3])
    assert taken(lanes) == {} and not lanes.knows(3) and lanes.knows(2)
    lanes.left(first[2])
    assert [*taken(lanes)] == [5]


def test_so_many_of_one_forge_and_another_forge_has_its_own() -> None:
    lanes = Lanes(most=2)
    for number, forge in enumerate(["gitea"] * 3 + ["github"] * 3):
        lanes.add(number, forge, f"repository-{number}")
    first = taken(lanes)
    assert [*first] == [0, 1, 3, 4]
    lanes.left(first[1])
    assert [*taken(lanes)] == [2]


def test_a_lane_rests_while_its_forge_is_away_and_others_do_not() -> None:
    lanes = Lanes()
    for number, key in ((1, "a"), (2, "a"), (3, "b")):
        lanes.add(number, "gitea", key)
    lane = taken(lanes)[1]
    assert lanes.rest(lane, NOW + timedelta(minutes=1), NOW) == NOW + timedelta(minutes=1)
    lanes.left(lane)
    lanes.add(4, "gitea", "a")
    assert taken(lanes) == {} and [*taken(lanes, NOW + timedelta(minutes=1))] == [2]


def test_a_lane_rests_no_longer_than_five_minutes_whatever_its_first_one_waits() -> None:
    lanes = Lanes()
    lanes.add(1, "gitea", "a")
    lane = taken(lanes)[1]
    lanes.add(2, "gitea", "a")
    assert lanes.rest(lane, NOW + timedelta(minutes=30), NOW) == NOW + REST
    lanes.left(lane)
    lanes.wake(NOW + REST)
    assert [*taken(lanes, NOW + REST)] == [2]


def test_a_lane_goes_on_when_that_which_fell_is_to_be_tried() -> None:
    lanes = Lanes()
    lanes.add(1, "gitea", "a")
    lane = taken(lanes)[1]
    lanes.rest(lane, NOW + REST, NOW)
    lanes.left(lane)
    lanes.add(2, "gitea", "a")
    assert taken(lanes) == {}
    lanes.add(1, "gitea", "a")
    assert [*taken(lanes)] == [1]


def test_what_comes_under_a_new_name_stands_behind_what_tells_of_it() -> None:
    lanes = Lanes()
    lanes.add(1, "github", "a", also="?new")
    lanes.add(2, "github", "?new")
    lanes.add(3, "gitea", "?new")
    first = taken(lanes)
    assert [*first] == [1, 3]
    lanes.left(first[1])
    assert [*taken(lanes)] == [2]


def test_a_lane_without_deliveries_is_none() -> None:
    lanes = Lanes()
    lanes.add(1, "github", "a")
    lanes.add(2, "github", "b")
    for number, lane in taken(lanes).items():
        if number == 2:
            lanes.rest(lane, NOW + REST, NOW)
        lanes.left(lane)
    lanes.wake(NOW + REST)
    assert lanes._lanes == {} and lanes._known == set()


# --- with a pump ---


class Sluice(World):
    """A world whose forge answers about a repository when the test lets it. ``gone``: repositories whose forge is away."""

    def __init__(self, served: Repository) -> None:
        super().__init__(served)
        self.opened: dict[str, asyncio.Event] = {}
        self.gone: set[str] = set()
        self.calls: list[str] = []

    async def permission(self, repository: str, login: str) -> Permission:
        self.calls.append(repository)
        if repository in self.gone:
            raise errors.ForgeUnavailable("the forge is away")
        if repository in self.opened:
            await self.opened[repository].wait()
        return await super().permission(repository, login)


@pytest.fixture
def sluice(harbour: Harbour) -> Sluice:
    """The harbour's world, with gates, and eight other repositories beside its own, on a Gitea."""
    served = harbour.world.served
    made = Sluice(served)
    made.others = [Repository(f"{served.id}-{n}", served.source, f"acme/r{n}", "gitea") for n in range(9)]
    hearing = harbour.pump._hearing
    hearing._outside = made.outside
    harbour.world = made
    return made


def rows(harbour: Harbour, forge: str) -> list[Delivery]:
    found = harbour.house.ledger.deliveries.list()
    return [row for row in reversed(found) if row.forge == forge]


async def gitea(harbour: Harbour, path: str, number: int = 7) -> None:
    """An issue that a stranger labelled: the forge is asked, and it is ignored."""
    answer = await harbour.send(
        "issues", issue("label_updated", path=path, number=number, sender="eve"), forge="gitea"
    )
    assert answer.status_code == 202


async def test_a_slow_forge_holds_up_no_other_and_nothing_overtakes_in_a_repository(
    harbour: Harbour, sluice: Sluice
) -> None:
    for other in sluice.others:
        sluice.opened[other.id] = asyncio.Event()
        await gitea(harbour, other.path)
    await gitea(harbour, sluice.others[0].path, number=8)
    await harbour.send("issues", issue())
    async with pumping(harbour.pump, look=0.01):
        while not harbour.executions():
            await asyncio.sleep(0.01)
        asked = [call for call in sluice.calls if call != sluice.served.id]
        assert sorted(asked) == [other.id for other in sluice.others[:8]], "eight at once, one of each"
        for gate in sluice.opened.values():
            gate.set()
        while {row.state for row in rows(harbour, "gitea")} != {DeliveryState.PROCESSED}:
            await asyncio.sleep(0.01)
    assert [row.attempts for row in rows(harbour, "gitea")] == [1] * 10


async def test_while_its_forge_is_away_one_of_a_repository_finds_out_and_the_others_lose_no_attempt(
    harbour: Harbour, sluice: Sluice
) -> None:
    away, there = sluice.others[:2]
    sluice.gone = {away.id}
    for number in (7, 8, 9):
        await gitea(harbour, away.path, number)
    await gitea(harbour, there.path)
    await harbour.pump.once()
    await gitea(harbour, away.path, 10)
    assert await harbour.pump.once() == 0
    states = [(row.state.value, row.attempts) for row in rows(harbour, "gitea")]
    assert states == [("failed", 1), ("received", 0), ("received", 0), ("processed", 1), ("received", 0)]
    sluice.gone.clear()
    harbour.house.ledger.deliveries.retry(rows(harbour, "gitea")[0].id)
    assert await harbour.pump.once() == 4
    assert [row.attempts for row in rows(harbour, "gitea")] == [1] * 5
    assert {row.state for row in rows(harbour, "gitea")} == {DeliveryState.PROCESSED}
    assert (harbour.house.state.logs / "deliveries.log").read_text().count('"what": "resting"') == 1


async def test_an_issue_under_a_new_name_waits_for_the_move(harbour: Harbour, sluice: Sluice) -> None:
    sluice.moved[PATH] = "acme/pages"
    moved = {
        "action": "renamed",
        "changes": {"repository": {"name": {"from": "paginate"}}},
        "repository": {"full_name": "acme/pages"},
        "sender": {"login": "ada"},
    }
    await harbour.send("repository", moved)
    await harbour.send("issues", issue(path="acme/pages"))
    await harbour.pump.once()
    assert [row.outcome for row in rows(harbour, "github")] == ["noted", "started"]


async def test_what_cannot_be_put_in_line_fails_by_itself(
    harbour: Harbour, sluice: Sluice, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(forge: str, event: str, content_type: str, body: bytes) -> Skip:
        raise ZeroDivisionError

    await gitea(harbour, sluice.others[0].path)
    with monkeypatch.context() as patch:
        patch.setattr(readers, "read", broken)
        patch.setattr(pump, "report", lambda *_: None)
        assert await harbour.pump.once() == 1
    (row,) = rows(harbour, "gitea")
    assert (row.state, row.error) == (DeliveryState.FAILED, "a defect of this program: ZeroDivisionError")


@pytest.mark.parametrize("ended", [DeliveryState.FAILED, DeliveryState.PROCESSED])
async def test_one_that_ended_after_it_was_seen_as_due_is_not_put_in_line_again(
    harbour: Harbour, sluice: Sluice, monkeypatch: pytest.MonkeyPatch, ended: DeliveryState
) -> None:
    await gitea(harbour, sluice.others[0].path)
    deliveries, (row,) = harbour.house.ledger.deliveries, rows(harbour, "gitea")
    seen = deliveries.due()
    deliveries.begin(row.id)
    if ended is DeliveryState.FAILED:
        deliveries.fail(row.id, "the forge is away")
    else:
        deliveries.finish(row.id, "noted")
    monkeypatch.setattr(deliveries, "due", lambda: seen)
    assert seen == [row.id] and await harbour.pump.once() == 0
    (after,) = rows(harbour, "gitea")
    assert (after.state, after.attempts, sluice.calls) == (ended, 1, [])


async def test_what_ended_with_its_worker_again_and_again_is_tried_alone(
    harbour: Harbour, sluice: Sluice
) -> None:
    """Of several that were under way when a process died, only the one that kills is to die of it."""
    first, second = sluice.others[:2]
    await gitea(harbour, first.path)
    await gitea(harbour, second.path)
    number = rows(harbour, "gitea")[1].id
    for _ in range(ALONE):
        harbour.house.ledger.deliveries.begin(number)
    sluice.opened[second.id] = asyncio.Event()
    async with pumping(harbour.pump, look=0.01):
        while second.id not in sluice.calls:
            await asyncio.sleep(0.01)
        await gitea(harbour, first.path, 8)
        assert rows(harbour, "gitea")[0].state is DeliveryState.PROCESSED
        assert sluice.calls == [first.id, second.id]
        sluice.opened[second.id].set()
        while {row.state for row in rows(harbour, "gitea")} != {DeliveryState.PROCESSED}:
            await asyncio.sleep(0.01)
