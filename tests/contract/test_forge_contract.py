"""What every forge must do, whatever it is made of."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.protocol import Check, PullRequest

World = Any
BRANCH = "boatwright/issue-1-fix"


async def opened(
    world: World, branch: str = "boatwright/issue-1-fix", *, issue: int | None = None
) -> PullRequest:
    return await world.forge.open_pull_request(
        world.repository,
        title="Fix it",
        body="Summary",
        branch=branch,
        base_ref="main",
        draft=True,
        author="bot",
        issue=issue,
    )


# --- issues ------------------------------------------------------------------------------------------------


async def test_an_issue_comes_back_as_it_was_written(world: World) -> None:
    made = await world.forge.create_issue(
        world.repository,
        title="It drops the last page",
        body="Steps:\n1. …",
        author="ann",
        labels=("agent", "bug"),
    )
    found = await world.forge.issue(world.repository, made.number)
    assert (found.title, found.body, found.author) == (
        "It drops the last page",
        "Steps:\n1. …",
        world.says("ann"),
    )
    assert found.labels == ("agent", "bug")
    assert found.state == "open"
    assert found.created.utcoffset() is not None


async def test_issues_are_listed_by_state(world: World) -> None:
    one = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    two = await world.forge.create_issue(world.repository, title="two", body="", author="ann")
    closed = await world.forge.close_issue(world.repository, one.number)
    assert closed.state == "closed"
    assert [i.number for i in await world.forge.issues(world.repository)] == [two.number]
    assert [i.number for i in await world.forge.issues(world.repository, state="closed")] == [one.number]
    assert len(await world.forge.issues(world.repository, state=None)) == 2


async def test_closing_an_issue_twice_is_fine(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    await world.forge.close_issue(world.repository, issue.number)
    assert (await world.forge.close_issue(world.repository, issue.number)).state == "closed"


async def test_an_issue_is_described_anew(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="As it was", author="ann")
    body = "As it was\n\n<!-- boatwright-agent -->\nmore: Größe\n<!-- /boatwright-agent -->"
    for _ in range(2):
        found = await world.forge.describe_issue(world.repository, issue.number, body=body)
        assert (found.title, found.body, found.state) == ("one", body, "open")
    assert (await world.forge.issue(world.repository, issue.number)).body == body


async def test_unknown_numbers_are_not_found(world: World) -> None:
    for call in (
        world.forge.issue(world.repository, 99),
        world.forge.pull_request(world.repository, 99),
        world.forge.close_issue(world.repository, 99),
        world.forge.describe_issue(world.repository, 99, body="b"),
        world.forge.comments(world.repository, 99),
        world.forge.post_comment(world.repository, 99, author="ann", body="hello"),
    ):
        with pytest.raises(errors.NotFound):
            await call


async def test_adding_a_repository_again_changes_nothing(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    await world.prepare()
    assert (await world.forge.issue(world.repository, issue.number)).title == "one"


# --- pull requests -----------------------------------------------------------------------------------------


async def test_a_number_names_an_issue_or_a_pull_request_and_never_both(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world, issue=issue.number)
    assert pull.number != issue.number
    if world.shares_numbers:
        assert pull.number == issue.number + 1
    with pytest.raises(errors.NotFound):
        await world.forge.issue(world.repository, pull.number)
    with pytest.raises(errors.NotFound):
        await world.forge.pull_request(world.repository, issue.number)


async def test_what_was_said_since_is_asked_for_alone(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    for words in ("first", "second"):
        said = await world.forge.post_comment(world.repository, issue.number, author="ann", body=words)
    since = await world.forge.comments(world.repository, issue.number, since=said.created)
    assert since[-1].body == "second"
    later = said.created + timedelta(hours=1)
    assert await world.forge.comments(world.repository, issue.number, since=later) == []


async def test_what_is_said_of_an_issue_is_not_said_of_its_pull_request(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world, issue=issue.number)
    for number, words in ((issue.number, "of the issue"), (pull.number, "of the pull request")):
        said = await world.forge.post_comment(world.repository, number, author="ann", body=words)
        assert said.number == number
        assert (await world.forge.edit_comment(world.repository, said.id, body=f"{words}!")).number == number
        there = await world.forge.comments(world.repository, number)
        assert [comment.body for comment in there] == [f"{words}!"]


async def test_a_pull_request_is_found_by_its_branch(world: World) -> None:
    assert await world.forge.find_pull_request(world.repository, branch="boatwright/issue-1-fix") is None
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    found = await world.forge.find_pull_request(world.repository, branch="boatwright/issue-1-fix")
    assert found is not None
    assert (found.number, found.head, found.draft, found.state) == (pull.number, head, True, "open")


async def test_opening_twice_gives_one_pull_request(world: World) -> None:
    world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pulls = await asyncio.gather(*(opened(world) for _ in range(4)))
    assert len({pull.number for pull in pulls}) == 1
    assert len(await world.forge.pull_requests(world.repository, state=None)) == 1


async def test_a_branch_that_was_never_pushed_is_refused(world: World) -> None:
    with pytest.raises(errors.BadInput):
        await opened(world, "boatwright/nowhere")


async def test_an_update_changes_what_is_named_and_nothing_else(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    changed = await world.forge.update_pull_request(
        world.repository, pull.number, body="Proof", draft=False, head=head
    )
    assert (changed.title, changed.body, changed.draft, changed.head) == ("Fix it", "Proof", False, head)


async def test_a_head_that_moved_is_seen_and_not_called_ready(world: World) -> None:
    judged = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    moved = world.push("boatwright/issue-1-fix", {"a.txt": "other\n"}, on=judged)
    assert (await world.forge.pull_request(world.repository, pull.number)).head == moved
    with pytest.raises(errors.Conflict):
        await world.forge.update_pull_request(world.repository, pull.number, draft=False, head=judged)
    assert (await world.forge.pull_request(world.repository, pull.number)).draft


async def test_the_newest_pull_request_of_a_branch_is_found_whatever_its_state(world: World) -> None:
    world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    first = await opened(world)
    await world.forge.close_pull_request(world.repository, first.number)
    found = await world.forge.find_pull_request(world.repository, branch="boatwright/issue-1-fix")
    assert found is not None
    assert (found.number, found.state) == (first.number, "closed")
    second = await opened(world)
    assert second.number > first.number
    found = await world.forge.find_pull_request(world.repository, branch="boatwright/issue-1-fix")
    assert found is not None
    assert found.number == second.number


async def test_closing_a_pull_request_twice_is_fine(world: World) -> None:
    world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    await world.forge.close_pull_request(world.repository, pull.number)
    assert (await world.forge.close_pull_request(world.repository, pull.number)).state == "closed"
    assert await world.forge.pull_requests(world.repository) == []
    assert len(await world.forge.pull_requests(world.repository, state="closed")) == 1


# --- merging -----------------------------------------------------------------------------------------------


async def test_merging_brings_exactly_the_head_into_the_base(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    merged = await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert merged.state == "merged"
    assert merged.head == head
    assert merged.merged_commit
    assert world.base_files() == {"a.txt": "fixed\n", "b.txt": "two\n"}
    assert await world.forge.pull_requests(world.repository) == []


async def test_merging_twice_gives_the_same_merge(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    one = await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert await world.forge.merge_pull_request(world.repository, pull.number, head=head) == one


async def test_merging_takes_what_the_base_gained_meanwhile(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    world.advance_base({"c.txt": "three\n"})
    await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert world.base_files() == {"a.txt": "fixed\n", "b.txt": "two\n", "c.txt": "three\n"}


async def test_a_merge_that_conflicts_is_refused_and_changes_nothing(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    world.advance_base({"a.txt": "otherwise\n"})
    names = "does not merge" if world.has_server else r"a\.txt"  # a server does not say where
    with pytest.raises(errors.Conflict, match=names):
        await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert (await world.forge.pull_request(world.repository, pull.number)).state == "open"


async def test_merging_a_head_that_moved_is_refused(world: World) -> None:
    seen = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    world.push("boatwright/issue-1-fix", {"a.txt": "sneaked in\n"}, on=seen)
    with pytest.raises(errors.Conflict):
        await world.forge.merge_pull_request(world.repository, pull.number, head=seen)
    assert (await world.forge.pull_request(world.repository, pull.number)).state == "open"


async def test_what_is_closed_does_not_merge_and_what_is_merged_does_not_close(world: World) -> None:
    head = world.push("one", {"a.txt": "fixed\n"})
    closed = await opened(world, "one")
    await world.forge.close_pull_request(world.repository, closed.number)
    with pytest.raises(errors.Conflict):
        await world.forge.merge_pull_request(world.repository, closed.number, head=head)
    other = world.push("two", {"b.txt": "fixed\n"})
    merged = await opened(world, "two")
    await world.forge.merge_pull_request(world.repository, merged.number, head=other)
    with pytest.raises(errors.Conflict):
        await world.forge.close_pull_request(world.repository, merged.number)


async def test_closing_and_merging_at_once_gives_one_of_the_two(world: World) -> None:
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world)
    answers = await asyncio.gather(
        world.forge.merge_pull_request(world.repository, pull.number, head=head),
        world.forge.close_pull_request(world.repository, pull.number),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, errors.Conflict)]
    final = await world.forge.pull_request(world.repository, pull.number)
    assert len(refused) == 1
    assert final.state == ("merged" if isinstance(answers[0], PullRequest) else "closed")
    assert (world.base_files().get("a.txt") == "fixed\n") if final.state == "merged" else True


async def test_merging_closes_the_issue_it_is_for(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    head = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pull = await opened(world, issue=issue.number)
    await world.forge.merge_pull_request(world.repository, pull.number, head=head)
    assert (await world.forge.issue(world.repository, issue.number)).state == "closed"


# --- comments and checks -----------------------------------------------------------------------------------


async def test_comments_keep_their_order_marker_and_words(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    first = await world.forge.post_comment(world.repository, issue.number, author="ann", body="please")
    living = await world.forge.post_comment(
        world.repository, issue.number, author="bot", body="working", marker="living:ex-1"
    )
    edited = await world.forge.edit_comment(world.repository, living.id, body="done")
    assert (edited.body, edited.marker) == ("done", "living:ex-1")
    there = await world.forge.comments(world.repository, issue.number)
    assert [(c.id, c.body, c.marker) for c in there] == [
        (first.id, "please", ""), (living.id, "done", "living:ex-1"),
    ]  # fmt: skip


async def test_deleting_a_comment_twice_is_fine_and_editing_it_then_is_not(world: World) -> None:
    issue = await world.forge.create_issue(world.repository, title="one", body="", author="ann")
    comment = await world.forge.post_comment(world.repository, issue.number, author="bot", body="extra")
    await world.forge.delete_comment(world.repository, comment.id)
    await world.forge.delete_comment(world.repository, comment.id)
    assert await world.forge.comments(world.repository, issue.number) == []
    with pytest.raises(errors.NotFound):
        await world.forge.edit_comment(world.repository, comment.id, body="again")


async def test_a_check_is_replaced_by_its_external_id(world: World) -> None:
    commit = world.push("boatwright/issue-1-fix", {"a.txt": "fixed\n"})
    pending = Check(world.repository, commit, "proof", "pending", "running", "ex-1:proof")
    await world.forge.set_check(pending)
    done = Check(world.repository, commit, "proof", "success", "proven", "ex-1:proof")
    assert await world.forge.set_check(done) == done
    other = Check(world.repository, commit, "review", "neutral", "no model", "ex-1:review")
    await world.forge.set_check(other)
    assert await world.forge.checks(world.repository, commit) == [done, other]
    assert await world.forge.checks(world.repository, "0" * 40) == []


WORDS = ["\x1b[31mred\x1b[0m", "nul\x00byte", "\ud800 alone", "🚢 \u202e", "'; --"]


@pytest.mark.parametrize("words", WORDS)
async def test_any_words_are_kept_or_shown_as_replaced(world: World, words: str) -> None:
    issue = await world.forge.create_issue(world.repository, title=f"t {words}", body=words, author="ann")
    found = await world.forge.issue(world.repository, issue.number)
    assert found.body in {words, words.replace("\x00", "\ufffd"), words.replace("\ud800", "?")}
