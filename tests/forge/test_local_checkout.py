"""Writing to the user's directory: only what was asked for, and never at the price of what is not
committed.
"""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from boatwright import errors
from boatwright.forge.local_checkout import Checkout

Harbour = Any
BRANCH = "boatwright/issue-1-fix"


def state(harbour: Harbour) -> tuple[object, ...]:
    """Everything a person could lose: HEAD, branches, status, files. Refs of ours are not theirs."""
    return (
        harbour.git("rev-parse", "HEAD"), harbour.git("for-each-ref", "refs/heads"),
        harbour.git("status", "--porcelain", "--ignored"),
        {path.name: path.read_text() for path in harbour.user.iterdir() if path.is_file()},
    )  # fmt: skip


# --- checkout ----------------------------------------------------------------------------------------------


async def test_checkout_makes_the_branch_and_switches_to_it(harbour: Harbour) -> None:
    pull = await harbour.pull()
    brought = harbour.checkout.take(pull)
    assert brought.done
    assert harbour.git("symbolic-ref", "--short", "HEAD") == BRANCH
    assert harbour.git("rev-parse", "HEAD") == pull.head
    assert (harbour.user / "a.txt").read_text() == "fixed\n"


async def test_checkout_again_follows_a_branch_that_was_made_anew(harbour: Harbour) -> None:
    harbour.checkout.take(await harbour.pull())
    harbour.push(BRANCH, {"a.txt": "better\n"})  # beside the first commit, not on top of it
    pull = await harbour.forge.pull_request(harbour.repository, 1)
    harbour.checkout.take(pull)
    assert harbour.git("rev-parse", "HEAD") == pull.head
    assert harbour.git("status", "--porcelain") == ""


async def test_checkout_from_a_detached_head(harbour: Harbour) -> None:
    harbour.git("switch", "-q", "--detach", "main")
    pull = await harbour.pull()
    harbour.checkout.take(pull)
    assert harbour.git("rev-parse", "HEAD") == pull.head


async def test_checkout_keeps_uncommitted_changes_to_other_files(harbour: Harbour) -> None:
    (harbour.user / "b.txt").write_text("mine\n")
    harbour.checkout.take(await harbour.pull())
    assert (harbour.user / "b.txt").read_text() == "mine\n"
    assert (harbour.user / "a.txt").read_text() == "fixed\n"


@pytest.mark.parametrize("kind", ["changed", "staged", "untracked", "ignored"])
async def test_checkout_stops_before_a_file_that_would_be_lost(harbour: Harbour, kind: str) -> None:
    harbour.commit({".gitignore": "*.log\n"})
    name = {"untracked": "new.txt", "ignored": "new.log"}.get(kind, "a.txt")
    pull = await harbour.pull(files={"a.txt": "fixed\n", "new.txt": "theirs\n"})
    if kind == "ignored":
        elsewhere = harbour.user.parent / "elsewhere"
        (elsewhere / "new.log").write_text("theirs\n")
        subprocess.run(["git", "add", "-f", "new.log"], cwd=elsewhere, check=True)
        harbour.push(BRANCH, {"a.txt": "fixed again\n"}, on=pull.head)
        pull = await harbour.forge.pull_request(harbour.repository, pull.number)
    (harbour.user / name).write_text("mine\n")
    if kind == "staged":
        harbour.git("add", name)
    before = state(harbour)
    with pytest.raises(errors.Conflict, match="would not switch") as stopped:
        harbour.checkout.take(pull)
    assert stopped.value.next_moves
    assert state(harbour) == before


async def test_checkout_leaves_a_branch_with_commits_of_its_own_alone(harbour: Harbour) -> None:
    harbour.checkout.take(await harbour.pull())
    harbour.commit({"a.txt": "my own\n"})
    harbour.push(BRANCH, {"a.txt": "better\n"})
    before = state(harbour)
    pull = await harbour.forge.pull_request(harbour.repository, 1)
    with pytest.raises(errors.Conflict, match="commits of its own"):
        harbour.checkout.take(pull)
    assert state(harbour) == before


async def test_checkout_leaves_a_branch_alone_that_another_work_tree_has(harbour: Harbour) -> None:
    pull = await harbour.pull()
    harbour.checkout.take(pull)
    harbour.git("switch", "-q", "main")
    other = harbour.user.parent / "other"
    harbour.git("worktree", "add", "-q", str(other), BRANCH)
    with pytest.raises(errors.Conflict, match="is checked out in"):
        harbour.checkout.take(pull)


async def test_checkout_into_a_bare_repository_is_refused(harbour: Harbour) -> None:
    pull = await harbour.pull()
    bare = harbour.user.parent / "bare.git"
    harbour.git("clone", "-q", "--bare", str(harbour.user), str(bare))
    with pytest.raises(errors.BadInput, match="no work tree"):
        Checkout(bare, harbour.bare).take(pull)


async def test_checkout_where_there_is_no_directory_is_refused(harbour: Harbour) -> None:
    pull = await harbour.pull()
    with pytest.raises(errors.BadInput, match="no directory"):
        Checkout(harbour.user.parent / "gone", harbour.bare).take(pull)


async def test_the_environment_of_a_hook_does_not_redirect_us(
    harbour: Harbour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(harbour.bare))
    monkeypatch.setenv("GIT_INDEX_FILE", str(harbour.user.parent / "index"))
    pull = await harbour.pull()
    harbour.checkout.take(pull)
    assert harbour.git("rev-parse", "HEAD") == pull.head


async def test_checkout_where_there_is_no_repository_says_what_git_says(harbour: Harbour) -> None:
    pull = await harbour.pull()
    with pytest.raises(errors.BadInput, match="not a git repository"):
        Checkout(harbour.user.parent, harbour.bare).take(pull)


# --- merge -------------------------------------------------------------------------------------------------


async def test_a_merge_moves_the_checked_out_base_forward(harbour: Harbour) -> None:
    merged = await harbour.merged()
    assert harbour.checkout.take_merge(merged).done
    assert harbour.git("rev-parse", "HEAD") == merged.merged_commit
    assert (harbour.user / "a.txt").read_text() == "fixed\n"
    assert harbour.git("status", "--porcelain") == ""


@pytest.mark.parametrize("where", ["detached", "another branch"])
async def test_a_merge_moves_a_base_that_is_not_checked_out_and_no_file(harbour: Harbour, where: str) -> None:
    harbour.git("switch", "-q", *(["--detach"] if where == "detached" else ["-c", "mine"]))
    (harbour.user / "a.txt").write_text("mine\n")
    merged = await harbour.merged()
    brought = harbour.checkout.take_merge(merged)
    assert brought.done
    assert "not checked out" in brought.sentence
    assert harbour.git("rev-parse", "main") == merged.merged_commit
    assert (harbour.user / "a.txt").read_text() == "mine\n"


@pytest.mark.parametrize("staged", [False, True])
async def test_a_merge_leaves_uncommitted_changes_alone(harbour: Harbour, staged: bool) -> None:
    merged = await harbour.merged()
    (harbour.user / "b.txt").write_text("mine\n")
    if staged:
        harbour.git("add", "b.txt")
    before = state(harbour)
    brought = harbour.checkout.take_merge(merged)
    assert not brought.done
    assert "uncommitted changes" in brought.sentence
    assert state(harbour) == before
    harbour.git("stash", "-q")
    subprocess.run(brought.next_moves[0], shell=True, check=True, capture_output=True)  # what it says works
    assert harbour.git("rev-parse", "HEAD") == merged.merged_commit


async def test_a_merge_does_not_overwrite_an_untracked_file(harbour: Harbour) -> None:
    merged = await harbour.merged({"new.txt": "theirs\n"})
    (harbour.user / "new.txt").write_text("mine\n")
    before = state(harbour)
    assert not harbour.checkout.take_merge(merged).done
    assert state(harbour) == before


async def test_a_merge_does_not_overwrite_an_ignored_file(harbour: Harbour) -> None:
    merged = await harbour.merged({"new.log": "theirs\n"})
    (harbour.user / ".git" / "info" / "exclude").write_text("*.log\n")
    (harbour.user / "new.log").write_text("mine\n")
    assert not harbour.checkout.take_merge(merged).done
    assert (harbour.user / "new.log").read_text() == "mine\n"


async def test_a_merge_leaves_a_base_that_gained_a_commit_meanwhile_alone(harbour: Harbour) -> None:
    merged = await harbour.merged()
    harbour.commit({"c.txt": "mine\n"})
    before = state(harbour)
    brought = harbour.checkout.take_merge(merged)
    assert not brought.done
    assert state(harbour) == before


async def test_a_merge_into_a_bare_source(harbour: Harbour) -> None:
    merged = await harbour.merged()
    bare = harbour.user.parent / "bare.git"
    harbour.git("clone", "-q", "--bare", str(harbour.user), str(bare))
    assert Checkout(bare, harbour.bare).take_merge(merged).done
    assert harbour.git("-C", str(bare), "rev-parse", "main") == merged.merged_commit


async def test_a_shallow_clone_is_as_good_a_source(harbour: Harbour) -> None:
    harbour.commit({"a.txt": "two\n"})
    shallow = harbour.user.parent / "shallow"
    harbour.git("clone", "-q", "--depth", "1", f"file://{harbour.user}", str(shallow))
    harbour.user, harbour.repository = shallow, "shallow-00000000"
    await harbour.forge.add_repository(harbour.repository, source=str(shallow), default_branch="main")
    pull = await harbour.pull()
    assert "+fixed" in await harbour.forge.diff(harbour.repository, pull.number)
    merged = await harbour.forge.merge_pull_request(harbour.repository, pull.number, head=pull.head)
    assert harbour.checkout.take_merge(merged).done
    assert (shallow / "a.txt").read_text() == "fixed\n"
