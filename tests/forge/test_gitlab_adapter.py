"""What is GitLab's own: orders in texts, ids of notes, statuses that stay, merge requests that learn late, archives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.conftest import BOT, GitLabWorld

from boatwright import errors
from boatwright.forge.gitlab_talk import LONGEST
from boatwright.forge.protocol import Check, PullRequest
from boatwright.rules import gitlab_numbers
from boatwright.testing.fake_gitlab import FakeGitLab


@pytest.fixture
def world(tmp_path: Path) -> Iterator[GitLabWorld]:
    made = GitLabWorld(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    yield made
    made.close()


async def opened(world: GitLabWorld, body: str = "") -> tuple[PullRequest, str]:
    head = world.push("work", {"a.txt": "fixed\n"})
    pull = await world.forge.open_pull_request(
        world.repository,
        title="Fix it",
        body=body,
        branch="work",
        base_ref="main",
        draft=True,
        author="bot",
        issue=None,
    )
    return pull, head


ORDERS = "It prints:\n/close\n\n```\n/close\n```\r\n/close"


async def test_no_text_of_ours_is_an_order(world: GitLabWorld) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body=ORDERS, author="ann")
    assert issue.body.count("\n/close") == 3
    said = await world.forge.post_comment(world.repository, issue.number, author="bot", body=ORDERS)
    await world.forge.edit_comment(world.repository, said.id, body=ORDERS)
    pull, _ = await opened(world, ORDERS)
    await world.forge.update_pull_request(world.repository, pull.number, body=ORDERS)
    assert (await world.forge.issue(world.repository, issue.number)).state == "open"
    now = await world.forge.pull_request(world.repository, pull.number)
    assert (now.state, now.body) == ("open", ORDERS.replace("\r\n", "\n"))


async def test_a_reaction_finds_a_note_by_its_own_id_and_by_ours(world: GitLabWorld) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    said = await world.forge.post_comment(world.repository, issue.number, author="bot", body="hello")
    note, number = gitlab_numbers.note_of(said.id)
    assert number == issue.number
    await world.forge.react(world.repository, issue.number, comment=said.id, reaction="+1")
    await world.forge.react(world.repository, issue.number, comment=note, reaction="rocket")
    (remark,) = world.server.state.depots[world.path].remarks
    assert remark.reactions == [(BOT, "thumbsup"), (BOT, "rocket")]


async def test_a_push_is_seen_before_the_merge_request_learns_of_it(world: GitLabWorld) -> None:
    pull, judged = await opened(world)
    moved = world.push("work", {"a.txt": "better\n"}, on=judged)
    with pytest.raises(errors.Conflict):
        await world.forge.update_pull_request(world.repository, pull.number, draft=False, head=judged)
    again = world.push("work", {"a.txt": "best\n"}, on=moved)
    changed = await world.forge.update_pull_request(world.repository, pull.number, draft=False, head=again)
    assert (changed.head, changed.draft) == (again, False)


async def test_the_same_check_twice_asks_once(world: GitLabWorld) -> None:
    _, head = await opened(world)
    check = Check(world.repository, head, "boatwright/verify", "pending", "running", "ex-1:verify")
    for _ in range(3):
        assert await world.forge.set_check(check) == check
    posts = [path for method, path, _ in world.server.asked if method == "POST" and "/statuses/" in path]
    assert len(posts) == 1


async def test_a_check_whose_state_stays_and_whose_words_change_stands(world: GitLabWorld) -> None:
    _, head = await opened(world)
    for summary in ("first", "second"):
        check = Check(world.repository, head, "boatwright/verify", "pending", summary, "ex-1:verify")
        assert (await world.forge.set_check(check)).conclusion == "pending"
    (found,) = await world.forge.checks(world.repository, head)
    assert (found.conclusion, found.external_id) == ("pending", "ex-1:verify")


async def test_a_check_longer_than_gitlab_takes_is_cut_and_found_again(world: GitLabWorld) -> None:
    _, head = await opened(world)
    name = f"ex-1:{'x' * 120}"
    check = Check(world.repository, head, "boatwright/verify", "failure", "y" * 400, name)
    await world.forge.set_check(check)
    (found,) = await world.forge.checks(world.repository, head)
    assert (found.external_id, found.conclusion, len(found.summary)) == (name, "failure", LONGEST)


async def test_who_may_not_merge_is_told_so(world: GitLabWorld) -> None:
    pull, head = await opened(world)
    await world.forge.update_pull_request(world.repository, pull.number, draft=False)
    world.server.do(lambda act: act.depot(world.path).people.update({BOT: "triage"}))
    with pytest.raises(errors.Parked) as caught:
        await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert caught.value.code == "forge_rights"
    assert "!1" in str(caught.value)


@pytest.mark.parametrize(
    ("scopes", "role", "missing"),
    [
        (("api",), "write", []),
        (("read_api", "read_user"), "write", ["api"]),
        (("api",), "triage", ["Developer"]),
        (("read_api",), "read", ["api", "Developer"]),
    ],
)
async def test_what_is_missing_is_named(
    world: GitLabWorld, scopes: tuple[str, ...], role: str, missing: list[str]
) -> None:
    assert isinstance(world.server, FakeGitLab)
    world.server.scopes(BOT, *scopes)
    world.server.do(lambda act: act.depot(world.path).people.update({BOT: role}))
    found = await world.forge.rights(world.repository)
    assert [each.right for each in found] == missing


async def test_a_role_too_low_and_an_archive_are_told_apart(world: GitLabWorld) -> None:
    number = world.server.do(lambda act: act.open_issue(world.path, by="ann", title="one")).number
    world.server.do(lambda act: act.depot(world.path).people.update({BOT: "read"}))
    with pytest.raises(errors.Parked, match="right"):
        await world.forge.close_issue(world.repository, number)
    world.server.do(lambda act: setattr(act.depot(world.path), "archived", True))
    with pytest.raises(errors.Refused, match="archived"):
        await world.forge.close_issue(world.repository, number)


async def test_a_project_that_moved_is_read_where_it_is_and_not_written(world: GitLabWorld) -> None:
    made = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    world.server.do(lambda act: act.rename(world.path, "ann/other"))
    assert (await world.forge.issue(world.repository, made.number)).title == "one"
    with pytest.raises(errors.NotFound, match="moved"):
        await world.forge.post_comment(world.repository, made.number, author="bot", body="hello")
    assert world.server.state.depots["ann/other"].remarks == []
