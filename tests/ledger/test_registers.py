"""The operator's registers: tokens, switches, repositories; what is written outlives whoever wrote it."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from boatwright import errors
from boatwright.ledger import tables
from boatwright.ledger.database import Database
from boatwright.ledger.repositories import Repositories
from boatwright.ledger.switches import Switches
from boatwright.ledger.tokens import Tokens
from boatwright.testing.clock import ManualClock
from boatwright.values.clock import SystemIds
from boatwright.values.register import EVERYTHING, Repository

FORGE = "https://git.example.org"


@pytest.fixture
def tokens(database: Database, clock: ManualClock, ids: SystemIds) -> Tokens:
    return Tokens(database, clock=clock, ids=ids)


@pytest.fixture
def switches(database: Database, clock: ManualClock) -> Switches:
    return Switches(database, clock)


@pytest.fixture
def served(database: Database, clock: ManualClock) -> Repositories:
    return Repositories(database, clock)


def add(served: Repositories, repository: str = "tool-1", path: str = "me/tool") -> Repository:
    return served.add(
        repository, source=f"{FORGE}/{path}.git", forge="gitea", base_url=FORGE, path=path, by="me"
    )


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_opens_until_it_is_revoked(tokens: Tokens) -> None:
    mine, other = tokens.create("mine", by="me"), tokens.create("other", by="me")
    found = tokens.holder(mine)
    assert found is not None and (found.name, found.by, found.revoked) == ("mine", "me", None)
    assert tokens.revoke("mine").revoked is not None
    assert tokens.holder(mine) is None
    again = tokens.holder(other)
    assert again is not None and again.name == "other"


def test_the_token_is_long_random_and_nowhere(tokens: Tokens, database: Database) -> None:
    made = [tokens.create(f"t{number}", by="me") for number in range(20)]
    assert len(set(made)) == 20 and all(len(each) == len("bwt_") + 64 for each in made)
    with database.read() as reader:
        stored = str(reader.execute(select(tables.api_tokens)).all())
    assert not [each for each in made if each in stored or each.removeprefix("bwt_") in stored]


def test_a_name_is_given_once(tokens: Tokens) -> None:
    tokens.create("mine", by="me")
    tokens.revoke("mine")
    with pytest.raises(errors.Conflict, match="is or was"):
        tokens.create("mine", by="me")
    assert [each.name for each in tokens.all()] == ["mine"]


@pytest.mark.parametrize("name", ["", "Mine", "a b", "-x", "a" * 64, "é", "a\n", "../x", "\0"])
def test_a_bad_name_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(errors.BadInput, match="not a name"):
        tokens.create(name, by="me")
    assert tokens.all() == []


def test_what_is_not_there_cannot_be_revoked(tokens: Tokens) -> None:
    with pytest.raises(errors.NotFound):
        tokens.revoke("nobody")


def test_its_last_use_is_known_to_the_minute(tokens: Tokens, clock: ManualClock) -> None:
    token = tokens.create("mine", by="me")
    assert tokens.all()[0].used is None
    tokens.holder("bwt_wrong")
    assert tokens.all()[0].used is None
    tokens.holder(token)
    first = clock.now()
    clock.advance(59)
    tokens.holder(token)
    assert tokens.all()[0].used == first
    clock.advance(1)
    tokens.holder(token)
    assert tokens.all()[0].used == first + timedelta(seconds=60)


# --- switches ----------------------------------------------------------------------------------------------


def test_what_nobody_switched_is_on(switches: Switches) -> None:
    assert switches.is_off("tool-1") is None and switches.all() == []


def test_a_repository_is_switched_alone_and_everything_with_it(switches: Switches) -> None:
    switches.set("tool-1", off=True, reason="it burns", by="me")
    assert switches.is_off("tool-1") == "the repository tool-1 is switched off by me: it burns"
    assert switches.is_off("tool-2") is None
    switches.set(EVERYTHING, off=True, reason="", by="you")
    assert switches.is_off("tool-2") == "Boatwright is switched off by you" == switches.is_off("tool-1")
    switches.set(EVERYTHING, off=False, reason="", by="you")
    assert switches.is_off("tool-2") is None and switches.is_off("tool-1")
    switches.set("tool-1", off=False, reason="out", by="me")
    assert switches.is_off("tool-1") is None
    assert [(each.scope, each.off) for each in switches.all()] == [(EVERYTHING, False), ("tool-1", False)]


def test_off_survives_a_restart(database_url: str, clock: ManualClock) -> None:
    first = Database.open(database_url)
    first.migrate()
    Switches(first, clock).set(EVERYTHING, off=True, reason="night", by="me")
    first.dispose()
    second = Database.open(database_url)
    second.migrate()
    assert "night" in (Switches(second, clock).is_off("tool-1") or "")
    second.dispose()


# --- repositories ------------------------------------------------------------------------------------------


def test_a_repository_is_found_by_id_and_by_path(served: Repositories, clock: ManualClock) -> None:
    mine = add(served)
    assert mine == Repository("tool-1", f"{FORGE}/me/tool.git", "gitea", FORGE, "me/tool", "me", clock.now())
    assert served.find("tool-1") == mine == served.of("gitea", "Me/Tool") == served.get("tool-1")
    assert served.of("github", "me/tool") is None and served.of("gitea", "me/other") is None
    assert served.of("gitea", "") is None


def test_what_is_removed_is_not_served_and_may_come_back(served: Repositories) -> None:
    add(served)
    assert not served.remove("tool-1").active
    assert served.find("tool-1") is None and served.of("gitea", "me/tool") is None and served.all() == []
    assert [each.active for each in served.all(removed=True)] == [False]
    with pytest.raises(errors.NotFound, match="is served"):
        served.remove("tool-1")
    assert add(served).active and served.find("tool-1")


def test_a_rename_keeps_the_names_of_before(served: Repositories) -> None:
    add(served)
    served.rename("tool-1", "us/tool")
    assert served.rename("tool-1", "us/tool").previous == ("me/tool",)
    renamed = served.rename("tool-1", "us/gadget")
    assert (renamed.path, renamed.previous) == ("us/gadget", ("me/tool", "us/tool"))
    for path in ("me/tool", "us/tool", "us/gadget"):
        assert served.of("gitea", path) == renamed
    assert served.rename("tool-1", "me/tool").previous == ("us/tool", "us/gadget")
    with pytest.raises(errors.NotFound, match="ever added"):
        served.rename("tool-9", "a/b")


def test_a_path_given_to_another_since_is_the_others(served: Repositories) -> None:
    add(served)
    served.rename("tool-1", "us/tool")
    other = add(served, "tool-2", "me/tool")
    assert served.of("gitea", "me/tool") == other


def test_one_place_is_served_once(served: Repositories) -> None:
    add(served)
    with pytest.raises(errors.Conflict, match="served already, as tool-1"):
        add(served, "tool-2", "ME/tool")
    add(served, "tool-3", "me/other")
    with pytest.raises(errors.Conflict, match="served already"):
        served.rename("tool-3", "me/tool")
    assert [each.path for each in served.all(removed=True)] == ["me/tool", "me/other"]


def test_of_many_at_once_one_is_served(served: Repositories) -> None:
    said: list[str] = []
    start = threading.Barrier(8)

    def one(number: int) -> None:
        start.wait()
        try:
            said.append(add(served, f"tool-{number}").id)
        except errors.Conflict:
            said.append("")

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(said) == 8 and len([each for each in said if each]) == 1 and len(served.all()) == 1


def test_local_ones_have_no_place_to_share(served: Repositories) -> None:
    for name in ("a-1", "b-2"):
        served.add(name, source=f"/srv/{name}", forge="local", base_url="", path="", by="me")
    assert len(served.all()) == 2
