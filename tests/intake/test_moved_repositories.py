"""A repository that has another name: only its forge says so, and the name it had before is anybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from boatwright.intake import connecting
from boatwright.values.delivery import DeliveryState
from boatwright.values.skipping import SkipReason

from .conftest import OTHER, PATH, Harbour, Repository, issue
from .ports import BOT, KINDS, SAMPLE, Port, opened

pytestmark = pytest.mark.timeout(120)
NEW = "ann/boat"


def renamed(now: str, old: str) -> dict[str, Any]:
    return {
        "action": "renamed",
        "changes": {"repository": {"name": {"from": old}}},
        "repository": {"full_name": now},
        "sender": {"login": "ada"},
    }


def closed(path: str) -> dict[str, Any]:
    head = {"ref": "b", "sha": "c0ffee", "repo": {"full_name": path}}
    pull = {"number": 12, "merged": False, "head": head, "base": {"ref": "main", "repo": {"full_name": path}}}
    return {
        "action": "closed",
        "pull_request": pull,
        "repository": {"full_name": path},
        "sender": {"login": "eve", "type": "User"},
    }


# --- what an event says of a move ---


async def test_a_move_the_forge_does_not_confirm_is_none(harbour: Harbour) -> None:
    row = await harbour.hear("repository", renamed("acme/unserved", "paginate"))
    assert (row.outcome, row.reason) == ("skipped", SkipReason.UNKNOWN_REPOSITORY)
    assert (harbour.world.served.path, harbour.world.served.previous) == (PATH, ())


async def test_a_move_gives_the_name_the_forge_says_whatever_the_event_says(harbour: Harbour) -> None:
    """Two moves that are heard of in the wrong order, too."""
    harbour.world.moved[PATH] = "acme/pages"
    row = await harbour.hear("repository", renamed("acme/meanwhile", "paginate"))
    assert (row.outcome, row.about) == ("noted", f"{PATH} is acme/pages now")
    assert harbour.world.served.path == "acme/pages"


async def test_a_move_is_heard_of_when_the_forge_can_be_asked(harbour: Harbour) -> None:
    harbour.world.moved[PATH], harbour.world.away = "acme/pages", True
    row = await harbour.hear("repository", renamed("acme/pages", "paginate"))
    assert (row.state, harbour.world.served.path) == (DeliveryState.FAILED, PATH)


@pytest.mark.parametrize("confirmed", [False, True])
async def test_the_secret_of_one_repository_moves_no_other(harbour: Harbour, confirmed: bool) -> None:
    harbour.world.others.append(Repository("other-1", "/nowhere", "acme/other"))
    if confirmed:
        harbour.world.moved[PATH] = "acme/other"
    row = await harbour.hear("repository", renamed("acme/other", "paginate"), secret=OTHER)
    assert (row.outcome, row.reason) == ("skipped", SkipReason.WRONG_REPOSITORY)
    assert harbour.world.served.path == PATH


async def test_its_own_secret_goes_on_signing_for_one_that_moved(harbour: Harbour) -> None:
    harbour.world.served.path, harbour.world.served.previous = "acme/boat", ("acme/other",)
    assert (await harbour.hear("issues", issue(path="acme/boat"), secret=OTHER)).outcome == "started"


# --- names of before ---


async def test_a_name_of_before_that_is_somebody_elses_asks_for_nothing(harbour: Harbour) -> None:
    harbour.world.served.path, harbour.world.served.previous = "acme/pages", (PATH,)
    for event, payload in (("issues", issue()), ("pull_request", closed(PATH))):
        row = await harbour.hear(event, payload)
        assert (row.outcome, row.reason) == ("skipped", SkipReason.UNKNOWN_REPOSITORY)
    assert harbour.executions() == []


async def test_a_name_of_before_that_still_leads_to_it_is_heard(harbour: Harbour) -> None:
    harbour.world.served.path, harbour.world.served.previous = "acme/pages", (PATH,)
    harbour.world.moved[PATH] = "acme/pages"
    assert (await harbour.hear("issues", issue())).outcome == "started"


# --- at each forge ---


@pytest.fixture(params=list(KINDS))
async def port(root: Path, request: pytest.FixtureRequest) -> AsyncIterator[Port]:
    async with opened(root, request.param, ("polling",)) as made:
        yield made


async def retake(port: Port) -> None:
    """Somebody makes another repository under the name that is free again."""

    def make() -> None:
        port.server.do(lambda act: act.state.moved.pop(SAMPLE))
        people = {"eve": "admin", BOT: "read"}
        port.server.make(SAMPLE, files={"a.txt": "of a stranger\n"}, people=people)

    await asyncio.to_thread(make)


async def test_each_forge_says_what_a_name_means_now(port: Port) -> None:
    called = port.house.forge.called
    assert await called(port.repository, SAMPLE) == SAMPLE
    await port.do(lambda act: act.rename(SAMPLE, NEW))
    assert await called(port.repository, SAMPLE) == NEW
    port.house.ledger.repositories.rename(port.repository, NEW)
    assert await called(port.repository, NEW) == NEW
    for name in ("ann/nothing", "ann/..", "ann/boat?x", ""):
        assert await called(port.repository, name) == ""
    await retake(port)
    assert await called(port.repository, SAMPLE) == SAMPLE


async def test_the_base_of_one_that_moved_is_its_own_and_no_strangers(port: Port) -> None:
    mine = await asyncio.to_thread(lambda: port.server.act.bare(port.server.act.depot(SAMPLE)).head("main"))
    await port.do(lambda act: act.rename(SAMPLE, NEW))
    port.house.ledger.repositories.rename(port.repository, NEW)
    await retake(port)
    number = await port.issue("agent", path=NEW)
    await port.hear()
    (view,) = port.executions()
    assert (view.issue, view.base_commit, view.repository) == (number, mine, port.repository)


async def test_the_secret_named_for_a_name_of_before_is_found(root: Path) -> None:
    async with opened(root, "github", ()) as port:
        setting = port.house.settings.forges["github"]
        setting.webhook_secrets[SAMPLE] = "env:PORT_TOKEN"
        moved = port.house.ledger.repositories.rename(port.repository, NEW)
        secret = connecting.secret_of(port.house, moved)
        assert secret.reveal() == port.house.environment["PORT_TOKEN"]
