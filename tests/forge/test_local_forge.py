"""The local forge beyond the contract: numbering under load, the bare repository, names that are options,
redo.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.forge.local import LocalForge
from boatwright.forge.protocol import Check
from boatwright.ledger.database import Database
from boatwright.values.clock import SystemClock, SystemIds

Harbour = Any
WRITERS, EACH = 8, 6


async def test_numbers_have_no_gap_and_no_double_under_threads(database: Database, tmp_path: Path) -> None:
    """On both databases: every thread its own event loop, half of them on a second repository."""
    state = StateDir(tmp_path / "state").create()
    forge = LocalForge(database, state, clock=SystemClock(), ids=SystemIds())
    for name in ("one-00000000", "two-00000000"):
        await forge.add_repository(name, source="/nowhere", default_branch="main")
    start = threading.Barrier(WRITERS)

    def write(writer: int) -> None:
        start.wait()
        for each in range(EACH):
            repository = ("one-00000000", "two-00000000")[writer % 2]
            asyncio.run(forge.create_issue(repository, title=f"{writer}.{each}", body="", author="ann"))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))
    for name in ("one-00000000", "two-00000000"):
        listed = await forge.issues(name)
        assert [issue.number for issue in listed] == list(range(1, WRITERS * EACH // 2 + 1))
        assert len({issue.title for issue in listed}) == len(listed)


async def test_many_threads_add_a_repository_once(database: Database, tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").create()
    forge = LocalForge(database, state, clock=SystemClock(), ids=SystemIds())

    def add(_: int) -> None:
        asyncio.run(forge.add_repository("one-00000000", source="/nowhere", default_branch="main"))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(add, range(12)))
    assert sorted(path.name for path in state.forge.iterdir()) == ["one-00000000.git"]
    assert (await forge.create_issue("one-00000000", title="t", body="", author="ann")).number == 1


async def test_what_source_a_repository_has_is_kept_without_credentials(harbour: Harbour) -> None:
    await harbour.forge.add_repository(
        "remote-00000000", source="https://ann:hunter2@example.org/x.git", default_branch="main"
    )
    assert (await harbour.forge.repository("remote-00000000")).source == "https://example.org/x.git"


@pytest.mark.parametrize("name", ["../x", "x/../../y", "-x", "", "UPPER", "a b", "x\n"])
async def test_a_repository_name_that_is_a_path_or_an_option_is_refused(harbour: Harbour, name: str) -> None:
    with pytest.raises(errors.BadInput):
        await harbour.forge.add_repository(name, source="/nowhere", default_branch="main")
    with pytest.raises(errors.NotFound):
        harbour.forge.push_url(name)


async def test_an_unknown_repository_is_not_found(harbour: Harbour) -> None:
    for call in (
        harbour.forge.issues("other-00000000"),
        harbour.forge.pull_requests("other-00000000"),
        harbour.forge.create_issue("other-00000000", title="t", body="", author="ann"),
        harbour.forge.set_check(Check("other-00000000", "0" * 40, "proof", "success", "", "x")),
    ):
        with pytest.raises(errors.NotFound):
            await call


async def test_an_issue_asked_for_as_a_pull_request_says_so(harbour: Harbour) -> None:
    issue = await harbour.forge.create_issue(harbour.repository, title="t", body="", author="ann")
    with pytest.raises(errors.NotFound, match="is an issue, not a pull request"):
        await harbour.forge.pull_request(harbour.repository, issue.number)


@pytest.mark.parametrize("title", ["", "  \n ", "\t"])
async def test_an_empty_title_is_refused(harbour: Harbour, title: str) -> None:
    with pytest.raises(errors.BadInput, match="title is empty"):
        await harbour.forge.create_issue(harbour.repository, title=title, body="", author="ann")


async def test_a_title_is_one_line(harbour: Harbour) -> None:
    made = await harbour.forge.create_issue(harbour.repository, title="1\r\n 2\x00", body="", author="ann")
    assert made.title == "1 2\ufffd"


async def test_a_check_with_a_word_of_its_own_is_refused(harbour: Harbour) -> None:
    with pytest.raises(errors.BadInput, match="conclusion"):
        await harbour.forge.set_check(Check(harbour.repository, "0" * 40, "proof", "green", "", "x"))


# --- the bare repository -----------------------------------------------------------------------------------


BRANCHES = ["-x", "--upload-pack=touch x", "a..b", "HEAD", "refs/../x", "a\nb", "x.lock", ""]


@pytest.mark.parametrize("branch", BRANCHES)
async def test_a_branch_name_git_or_a_shell_would_misread_is_refused(harbour: Harbour, branch: str) -> None:
    with pytest.raises(errors.BadInput):
        await harbour.forge.open_pull_request(
            harbour.repository,
            title="t",
            body="",
            branch=branch,
            base_ref="main",
            draft=True,
            author="bot",
            issue=None,
        )


async def test_a_planted_hook_does_not_run_on_push(harbour: Harbour, tmp_path: Path) -> None:
    """Hooks are off in the repository's own configuration, so they are off for whoever pushes."""
    hooks = harbour.bare / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("pre-receive", "update", "post-receive", "post-update", "reference-transaction"):
        hook = hooks / name
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        hook.chmod(0o755)
    harbour.push("work", {"a.txt": "x\n"})
    assert not (tmp_path / "ran").exists()


async def test_a_tree_that_holds_dot_git_is_refused_on_receipt(harbour: Harbour) -> None:
    def run(*arguments: str, stdin: bytes = b"") -> bytes:
        ran = subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x", *arguments],
            cwd=harbour.user,
            input=stdin,
            capture_output=True,
            check=True,
        )
        return ran.stdout.strip()

    blob = run("hash-object", "-w", "--stdin", stdin=b"evil")
    inner = run("mktree", stdin=b"100644 blob " + blob + b"\tconfig\n")
    record = b"40000 .git\x00" + bytes.fromhex(inner.decode())
    tree = run("hash-object", "-t", "tree", "-w", "--literally", "--stdin", stdin=record)
    commit = run("commit-tree", tree.decode(), "-m", "evil")
    with pytest.raises(subprocess.CalledProcessError):
        run("push", "-q", str(harbour.bare), f"{commit.decode()}:refs/heads/evil")
    assert harbour.forge._bare(harbour.repository).head("evil") is None


async def test_the_bare_repository_is_for_its_owner_only(harbour: Harbour) -> None:
    assert harbour.bare.parent.stat().st_mode & 0o777 == 0o700


# --- merging -----------------------------------------------------------------------------------------------


async def test_a_merge_that_was_killed_before_its_row_is_found_again(harbour: Harbour) -> None:
    pull = await harbour.pull()
    real = harbour.forge._record_merge

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    harbour.forge._record_merge = killed
    with pytest.raises(KeyboardInterrupt):
        harbour.forge._merge(harbour.repository, pull.number, pull.head)
    bare = harbour.forge._bare(harbour.repository)
    before = bare.head("main")
    harbour.forge._record_merge = real
    merged = await harbour.forge.merge_pull_request(harbour.repository, pull.number, head=pull.head)
    assert merged.merged_commit == before == bare.head("main")
    assert bare.parents(merged.merged_commit)[1] == pull.head


async def test_the_merge_commit_names_the_pull_request_and_both_parents(harbour: Harbour) -> None:
    merged = await harbour.merged()
    bare = harbour.forge._bare(harbour.repository)
    words = bare.run("log", "-1", "--format=%s%n%an", merged.merged_commit).out.decode()
    assert words.splitlines() == [f"Merge pull request {merged.number} from {merged.branch}", "Boatwright"]
    assert bare.parents(merged.merged_commit)[1] == merged.head


async def test_two_merges_follow_each_other_while_the_source_stays_behind(harbour: Harbour) -> None:
    one = await harbour.pull("one", {"a.txt": "1\n"})
    two = await harbour.pull("two", {"b.txt": "2\n"})
    for pull in (one, two):
        await harbour.forge.merge_pull_request(harbour.repository, pull.number, head=pull.head)
    bare = harbour.forge._bare(harbour.repository)
    head = bare.head("main")
    assert bare.read(head, "a.txt") == b"1\n"
    assert bare.read(head, "b.txt") == b"2\n"


async def test_bases_that_went_apart_are_refused_with_the_way_out(harbour: Harbour) -> None:
    await harbour.merged()
    harbour.commit({"c.txt": "mine\n"})  # on the source's main, without the merge
    other = await harbour.pull("two", {"b.txt": "2\n"})
    with pytest.raises(errors.Conflict, match="gone their own way") as refused:
        await harbour.forge.merge_pull_request(harbour.repository, other.number, head=other.head)
    assert refused.value.next_moves


async def test_a_base_that_is_no_branch_is_refused(harbour: Harbour) -> None:
    pull = await harbour.pull(base_ref="0" * 40)
    with pytest.raises(errors.BadInput, match="has no branch"):
        await harbour.forge.merge_pull_request(harbour.repository, pull.number, head=pull.head)


# --- diff --------------------------------------------------------------------------------------------------


async def test_the_diff_is_the_same_before_and_after_the_merge(harbour: Harbour) -> None:
    pull = await harbour.pull()
    before = await harbour.forge.diff(harbour.repository, pull.number)
    assert "-one\n+fixed\n" in before
    await harbour.forge.merge_pull_request(harbour.repository, pull.number, head=pull.head)
    assert await harbour.forge.diff(harbour.repository, pull.number) == before


async def test_the_diff_runs_no_program_the_tree_names(harbour: Harbour, tmp_path: Path) -> None:
    pull = await harbour.pull(files={".gitattributes": "*.txt diff=evil\n", "a.txt": "fixed\n"})
    with (harbour.bare / "config").open("a") as config:
        config.write('[diff "evil"]\n')
        config.write(f"\ttextconv = touch {tmp_path}/ran; cat\n\tcommand = touch {tmp_path}/ran\n")
    assert "+fixed" in await harbour.forge.diff(harbour.repository, pull.number)
    assert not (tmp_path / "ran").exists()


async def test_the_raw_patch_applies(harbour: Harbour, tmp_path: Path) -> None:
    pull = await harbour.pull(files={"a.txt": "esc \x1b[31m\n", "new/x.txt": "n\n"})
    patch = tmp_path / "x.patch"
    patch.write_bytes(await harbour.forge.patch(harbour.repository, pull.number))
    subprocess.run(["git", "apply", str(patch)], cwd=harbour.user, check=True)
    assert (harbour.user / "a.txt").read_text() == "esc \x1b[31m\n"
