"""People, and what is said: the same on every forge that has them."""

from __future__ import annotations

from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.protocol import Annotation, Check
from boatwright.values.people import Permission

World = Any


async def issue_of(world: World, title: str = "one") -> int:
    made = await world.forge.create_issue(world.repository, title=title, body="", author="ann")
    return int(made.number)


async def opened(world: World, branch: str = "work") -> int:
    world.push(branch, {"a.txt": "fixed\n"})
    pull = await world.forge.open_pull_request(
        world.repository, title="Fix it", body="Summary", branch=branch, base_ref="main", draft=True, author="bot",
        issue=None,
    )  # fmt: skip
    return int(pull.number)


# --- people ------------------------------------------------------------------------------------------------


async def test_we_know_who_we_are(world: World) -> None:
    me = await world.forge.me()
    assert me == (world.says("") if world.has_server else "boatwright")
    made = await world.forge.create_issue(world.repository, title="one", body="", author=me)
    assert made.author == me


@pytest.mark.parametrize(
    ("login", "permission"),
    [
        ("ann", Permission.ADMIN),
        ("wim", Permission.WRITE),
        ("rea", Permission.READ),
        ("out", Permission.NONE),
        ("nobody-at-all", Permission.NONE),
    ],
)
async def test_permission_is_what_the_forge_says(served: World, login: str, permission: Permission) -> None:
    assert await served.forge.permission(served.repository, login) == permission


async def test_whoever_writes_the_state_may_do_everything_here(world: World) -> None:
    if not world.has_server:
        assert (await world.forge.permission(world.repository, "ann")).may_write
    assert await world.forge.permission(world.repository, "") == Permission.NONE or world.has_server


async def test_members_are_told_from_strangers(served: World) -> None:
    assert await served.forge.is_member("house", "ann")
    assert not await served.forge.is_member("house", "out")
    assert not await served.forge.is_member("no-such-house", "ann")


async def test_a_stranger_who_asks_hears_of_public_members_alone(served: World) -> None:
    served.server.organisation("other", {"ann": True, "wim": False})
    assert await served.forge.is_member("other", "ann")
    hidden = await served.forge.is_member("other", "wim")
    told = served.says("").endswith("[bot]") or served.server.KIND == "gitlab"
    assert hidden is told  # an App is told where it is installed; GitLab hides groups, not members


async def test_nothing_is_missing_where_everything_was_granted(world: World) -> None:
    assert list(await world.forge.rights(world.repository)) == []


# --- talk --------------------------------------------------------------------------------------------------


async def test_a_reaction_may_be_given_twice(world: World) -> None:
    number = await issue_of(world)
    said = await world.forge.post_comment(world.repository, number, author="ann", body="please")
    for _ in range(2):
        await world.forge.react(world.repository, number)
        await world.forge.react(world.repository, number, comment=said.id, reaction="rocket")
    with pytest.raises(errors.NotFound):
        await world.forge.react(world.repository, 99)


async def test_labels_come_and_go_and_twice_is_once(world: World) -> None:
    number = await issue_of(world)
    for _ in range(2):
        changed = await world.forge.relabel(world.repository, number, add=("agent", "needs: a/b"))
        assert changed.labels == ("agent", "needs: a/b")
    for _ in range(2):
        changed = await world.forge.relabel(world.repository, number, remove=("agent",))
        assert changed.labels == ("needs: a/b",)


async def test_remarks_on_lines_come_with_file_and_line(served: World) -> None:
    number = await opened(served)
    head = (await served.forge.pull_request(served.repository, number)).head
    for line in (1, None):
        served.server.do(
            lambda act, line=line: act.remark(
                served.path, served.there(number), by="ann", body=f"at {line}", file="a.txt", line=line
            )
        )
    found = await served.forge.review_comments(served.repository, number)
    assert [(r.author, r.body, r.path, r.line) for r in found] == [
        ("ann", "at 1", "a.txt", 1), ("ann", "at None", "a.txt", None),
    ]  # fmt: skip
    assert found[0].commit == head
    assert await served.forge.comments(served.repository, number) == []


async def test_a_pull_request_nobody_remarked_on_has_no_remarks(world: World) -> None:
    assert list(await world.forge.review_comments(world.repository, await opened(world))) == []


async def test_a_marker_somebody_else_wrote_is_words(served: World) -> None:
    number = await issue_of(served)
    words = "hello\n\n<!-- boatwright:living:ex-1 -->"
    served.server.do(lambda act: act.comment(served.path, number, by="out", body=words))
    (found,) = await served.forge.comments(served.repository, number)
    assert (found.author, found.marker, found.body) == ("out", "", words)


async def test_a_text_longer_than_a_forge_takes_is_cut_and_keeps_its_marker(world: World) -> None:
    number = await issue_of(world)
    made = await world.forge.post_comment(
        world.repository, number, author="bot", body="x" * 100_000, marker="living:ex-1"
    )
    edited = await world.forge.edit_comment(world.repository, made.id, body="y" * 100_000)
    assert edited.marker == "living:ex-1"
    assert edited.body.startswith("yyyy")


async def test_the_issue_of_a_pull_request_survives_an_edit(world: World) -> None:
    number = await issue_of(world)
    world.push("work", {"a.txt": "fixed\n"})
    pull = await world.forge.open_pull_request(
        world.repository, title="Fix it", body="Summary", branch="work", base_ref="main", draft=True, author="bot",
        issue=number,
    )  # fmt: skip
    changed = await world.forge.update_pull_request(world.repository, pull.number, body="Proof")
    assert (changed.issue, changed.body) == (number, "Proof")
    found = await world.forge.find_pull_request(world.repository, branch="work")
    assert found is not None
    assert found.issue == number


async def test_what_people_reopen_is_open_again(served: World) -> None:
    number = await issue_of(served)
    await served.forge.close_issue(served.repository, number)
    served.server.do(lambda act: act.reopen(served.path, number, by="ann"))
    assert (await served.forge.issue(served.repository, number)).state == "open"
    assert (await served.forge.close_issue(served.repository, number)).state == "closed"


async def test_ready_and_back_to_draft(world: World) -> None:
    number = await opened(world)
    for draft in (False, False, True, True, False):
        changed = await world.forge.update_pull_request(world.repository, number, draft=draft)
        assert changed.draft is draft
        assert changed.title == "Fix it"
    assert not (await world.forge.pull_request(world.repository, number)).draft


async def test_a_check_with_more_remarks_than_one_call_takes(world: World) -> None:
    commit = world.push("work", {"a.txt": "fixed\n"})
    many = tuple(Annotation("a.txt", line, f"remark {line}") for line in range(1, 121))
    check = Check(world.repository, commit, "boatwright/verify", "failure", "no", "ex-1:verify", many)
    await world.forge.set_check(check)
    (found,) = await world.forge.checks(world.repository, commit)
    assert (found.conclusion, found.external_id) == ("failure", "ex-1:verify")


@pytest.mark.parametrize("conclusion", ["success", "failure", "neutral", "action_required", "pending"])
async def test_every_conclusion_comes_back(world: World, conclusion: str) -> None:
    commit = world.push("work", {"a.txt": "fixed\n"})
    check = Check(world.repository, commit, "boatwright/verify", conclusion, "said so", "ex-1:verify")
    await world.forge.set_check(check)
    assert await world.forge.checks(world.repository, commit) == [check]


async def test_a_branch_says_which_checks_it_demands(world: World) -> None:
    if world.has_server:
        world.server.do(
            lambda act: act.depot(world.path).required.update(main=["boatwright/verify", "build"])
        )
    named = world.has_server and world.server.KIND != "gitlab"  # there it is the pipeline as a whole
    wanted = ["boatwright/verify", "build"] if named else []
    assert list(await world.forge.required_checks(world.repository, "main")) == wanted
    assert list(await world.forge.required_checks(world.repository, "elsewhere")) == []
