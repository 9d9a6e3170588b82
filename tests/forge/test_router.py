"""Each repository is on one forge: the one its register names, else the local one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import settings
from boatwright.config.paths import StateDir
from boatwright.forge import router
from boatwright.forge.adapters import Surroundings
from boatwright.forge.github import GitHub
from boatwright.forge.local import LocalForge
from boatwright.forge.router import Forges
from boatwright.ledger.database import Database
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.place import ForgePlace

PUBLIC = ForgePlace("github", "https://github.com", "ann/sample")


def forges(tmp_path: Path, database: Database, said: str, **places: ForgePlace) -> Forges:
    clock, ids = SystemClock(), SystemIds()
    local = LocalForge(database, StateDir(tmp_path / "state").create(), clock=clock, ids=ids)
    around = partial(Surroundings, environment={"TOKEN": "ghp_x"}, clock=clock, ids=ids)
    return router.forges(local, settings.parse(said), places.get, around)


TOKEN = "forges: {github: {token: 'env:TOKEN'}}"


async def test_what_is_registered_nowhere_is_here(tmp_path: Path, database: Database) -> None:
    made = forges(tmp_path, database, TOKEN, remote=PUBLIC)
    assert made.of("sample") is made.local
    assert isinstance(made.of("remote"), GitHub)
    assert made.of("remote") is made.of("remote")
    await made.add_repository("sample", source="/nowhere", default_branch="main")
    issue = await made.create_issue("sample", title="one", body="", author="ann")
    assert (await made.issue("sample", issue.number)).title == "one"
    assert await made.me("sample") == "boatwright"


async def test_git_hears_who_we_are_at_the_forge_and_nowhere_else(tmp_path: Path, database: Database) -> None:
    made = forges(tmp_path, database, TOKEN, remote=PUBLIC)
    assert made.push_url("remote") == "https://github.com/ann/sample.git"
    assert made.git_login("remote", "https://github.com/ann/sample.git") == (
        b"username=x-access-token\npassword=ghp_x\n"
    )
    for elsewhere in (
        "https://github.com.example.org/ann/sample",
        "https://example.org/github.com/",
        "http://github.com/a",
    ):
        assert made.git_login("remote", elsewhere) == b""
    assert made.git_login("sample", "https://github.com/ann/sample.git") == b""


@pytest.mark.parametrize(
    ("said", "place", "kind", "code"),
    [
        ("{}", PUBLIC, errors.Parked, "credential"),
        ("forges: {github: {label: agent}}", PUBLIC, errors.Parked, "credential"),
        (TOKEN, ForgePlace("github", "https://ghe.example.org", "ann/sample"), errors.Refused, ""),
        (TOKEN, ForgePlace("gitlab", "https://gitlab.com", "ann/sample"), errors.Parked, "credential"),
        (TOKEN, ForgePlace("else", "https://github.com", "ann/sample"), errors.Parked, "credential"),
    ],
)
async def test_no_login_for_that_address_is_said(
    tmp_path: Path,
    database: Database,
    said: str,
    place: ForgePlace,
    kind: type[errors.BoatwrightError],
    code: str,
) -> None:
    made = forges(tmp_path, database, said, remote=place)
    with pytest.raises(kind) as caught:
        await made.issue("remote", 1)
    assert getattr(caught.value, "code", "") == code
    assert caught.value.next_moves


async def test_an_enterprise_address_is_matched_as_it_is_written(tmp_path: Path, database: Database) -> None:
    said = "forges: {github: {token: 'env:TOKEN', base_url: 'https://GHE.example.org/'}}"
    place = ForgePlace("github", "https://ghe.example.org", "ann/sample")
    assert forges(tmp_path, database, said, remote=place).push_url("remote").endswith("/ann/sample.git")


async def test_a_login_that_is_not_there_parks(tmp_path: Path, database: Database) -> None:
    made = forges(tmp_path, database, "forges: {github: {token: 'env:ABSENT'}}", remote=PUBLIC)
    with pytest.raises(errors.Parked) as caught:
        await made.issue("remote", 1)
    assert caught.value.code == "credential"
