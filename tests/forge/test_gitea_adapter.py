"""What is Gitea's own: rights that are tried on nothing, comments of other kinds, archives, repositories that moved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import BOT, GiteaWorld

from boatwright import errors
from boatwright.testing.fake_gitea import FakeGitea


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GiteaWorld]:
    made = GiteaWorld(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    yield made
    made.close()


def scoped(world: GiteaWorld, *scopes: str) -> None:
    assert isinstance(world.server, FakeGitea)
    (token,) = (token for token, login in world.server.state.tokens.items() if login == BOT)
    world.server.scopes(token, *scopes)


ALL = ("read:user", "write:issue", "write:repository", "read:organization")


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (ALL, []),
        (("write:issue", "write:repository"), ["read:user"]),
        (("read:user", "read:issue", "write:repository"), ["write:issue"]),
        (("read:user", "write:issue", "read:repository"), ["write:repository"]),
        (("read:user", "write:issue"), ["read:repository"]),
    ],
)
async def test_a_scope_that_is_missing_is_named_and_nothing_is_changed(
    world: GiteaWorld, scopes: tuple[str, ...], missing: list[str]
) -> None:
    scoped(world, *scopes)
    before = world.server.state.model_dump_json()
    found = await world.forge.rights(world.repository)
    assert [each.right for each in found] == missing
    assert all(each.why and each.remedy for each in found)
    assert world.server.state.model_dump_json() == before


@pytest.mark.parametrize(
    ("role", "missing"),
    [("admin", []), ("write", ["administrator of the repository"]), ("read", ["write access"])],
)
async def test_a_role_that_is_too_low_is_named(world: GiteaWorld, role: str, missing: list[str]) -> None:
    world.server.do(lambda act: act.depot(world.path).people.update({BOT: role}))
    assert [each.right for each in await world.forge.rights(world.repository)] == missing


async def test_a_repository_nobody_showed_us_is_not_found(world: GiteaWorld) -> None:
    world.server.do(lambda act: act.depot(world.path).people.pop(BOT))
    with pytest.raises(errors.NotFound):
        await world.forge.rights(world.repository)


async def test_who_may_not_ask_about_others_parks_and_is_told_of_doctor(world: GiteaWorld) -> None:
    world.server.do(lambda act: act.depot(world.path).people.update({BOT: "write"}))
    with pytest.raises(errors.Parked) as caught:
        await world.forge.permission(world.repository, "ann")
    assert caught.value.code == "forge_rights"
    assert "boatwright doctor --forge" in caught.value.next_moves


async def test_a_remark_on_a_line_is_no_comment_one_can_edit(world: GiteaWorld) -> None:
    world.push("work", {"a.txt": "fixed\n"})
    pull = await world.forge.open_pull_request(
        world.repository,
        title="Fix it",
        body="",
        branch="work",
        base_ref="main",
        draft=True,
        author="bot",
        issue=None,
    )
    remark = world.server.do(
        lambda act: act.remark(world.path, pull.number, by="ann", body="why?", file="a.txt", line=1)
    )
    with pytest.raises(errors.NotFound, match="no comment one can edit"):
        await world.forge.edit_comment(world.repository, remark.id, body="because")


async def test_a_pull_request_far_down_the_list_is_found(world: GiteaWorld) -> None:
    world.push("work", {"a.txt": "fixed\n"})
    opened = await world.forge.open_pull_request(
        world.repository,
        title="Fix it",
        body="",
        branch="work",
        base_ref="main",
        draft=True,
        author="bot",
        issue=None,
    )
    await world.forge.close_pull_request(world.repository, opened.number)

    def many(act: Any) -> None:
        bare = act.bare(act.depot(world.path))
        for count in range(120):
            bare.run("branch", f"other-{count}", "main")
            act.open_pull(
                world.path,
                by="ann",
                title=f"pull {count}",
                body="",
                branch=f"other-{count}",
                base="main",
                draft=False,
            )

    world.server.do(many)
    found = await world.forge.find_pull_request(world.repository, branch="work")
    assert found is not None
    assert (found.number, found.state) == (opened.number, "closed")
    before = len(world.server.asked)
    assert await world.forge.find_pull_request(world.repository, branch="never") is None
    assert (
        len(world.server.asked) - before == 5
    )  # three pages of open ones, the repository, and whether there ever was one


async def test_a_repository_that_moved_is_read_where_it_is_and_not_written(world: GiteaWorld) -> None:
    made = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    world.server.do(lambda act: act.rename(world.path, "ann/other"))
    assert (await world.forge.issue(world.repository, made.number)).title == "one"
    with pytest.raises(errors.NotFound, match="moved"):
        await world.forge.post_comment(world.repository, made.number, author="bot", body="hello")
    assert world.server.state.depots["ann/other"].remarks == []


async def test_a_label_of_the_same_name_is_made_once(world: GiteaWorld) -> None:
    one = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    for _ in range(2):
        await world.forge.relabel(world.repository, one.number, add=("agent", "agent"))
    made = [
        path for method, path, _ in world.server.asked if method == "POST" and path.endswith("/sample/labels")
    ]
    assert len(made) == 1
