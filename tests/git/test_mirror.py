"""The mirror against real repositories: fetching, refs, pushing, and the sentences for what cannot be."""

from __future__ import annotations

import os
import subprocess
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.git import names
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.run import GitFailed

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = Author("Ann", "ann@example.org")


def test_fetches_head_branch_tag_and_id_and_pins_the_history(mirror, repo):
    first = repo.git("rev-parse", "HEAD")
    repo.git("tag", "-a", "v1", "-m", "one")
    repo.git("branch", "side")
    second = repo.commit({"src/a.py": "a = 2\n"})
    assert mirror.fetch() == second
    assert mirror.fetch("main") == second
    assert mirror.fetch("side") == first
    assert mirror.fetch("v1") == first
    assert mirror.fetch("refs/heads/side") == first
    assert mirror.fetch(first) == first
    assert mirror.fetch(second[:12]) == second
    assert mirror.ref(names.base(second)) == second
    assert mirror.parents(second) == (first,)
    assert not [name for name in mirror.refs() if "tags" in name and "source" not in name]


def test_fetch_base_names_the_branch(mirror, repo):
    head = repo.git("rev-parse", "HEAD")
    assert mirror.fetch_base() == ("main", head)
    repo.git("checkout", "-q", "-b", "feature/x")
    second = repo.commit({"x": "1"})
    assert mirror.fetch_base() == ("feature/x", second)
    assert mirror.fetch_base("main") == ("main", head)
    assert mirror.fetch_base(head)[1] == head
    repo.git("checkout", "-q", "--detach", head)
    assert mirror.fetch_base()[1] == head


def test_a_subdirectory_and_a_linked_worktree_are_the_repository(state, repo, tmp_path):
    head = repo.git("rev-parse", "HEAD")
    assert Mirror.open(state, "sub", repo.path / "src").fetch() == head
    repo.git("worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"))
    assert Mirror.open(state, "linked", tmp_path / "linked").find().branch == "other"
    assert Mirror.open(state, "linked", tmp_path / "linked").fetch() == head


def test_a_bare_repository_and_a_file_url(state, repo, tmp_path):
    head = repo.git("rev-parse", "HEAD")
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    assert Mirror.open(state, "bare", tmp_path / "bare.git").fetch() == head
    assert Mirror.open(state, "url", f"file://{tmp_path}/bare.git").fetch() == head


def test_a_shallow_clone_is_a_source_too(state, repo, tmp_path):
    repo.commit({"x": "1"})
    head = repo.commit({"x": "2"})
    repo.git("clone", "-q", "--depth", "1", f"file://{repo.path}", str(tmp_path / "shallow"))
    mirror = Mirror.open(state, "shallow", tmp_path / "shallow")
    assert mirror.fetch() == head
    assert mirror.shallow() == (head,)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to somebody else")
def test_a_repository_owned_by_another_uid(mirror, repo):
    for directory, _, files in os.walk(repo.path):
        os.chown(directory, 65534, 65534)
        for file in files:
            os.chown(os.path.join(directory, file), 65534, 65534)
    assert (
        mirror.fetch()
        == subprocess.run(
            ["git", "-c", "safe.directory=*", "rev-parse", "HEAD"],
            cwd=repo.path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
    )


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("nothing", "There is nothing at"),
        ("plain", "is not a git repository"),
        ("empty", "has no commit yet"),
    ],
)
def test_bad_sources_get_one_sentence(state, make_repo, tmp_path, what, says):
    (tmp_path / "plain").mkdir()
    make_repo("empty")
    with pytest.raises(errors.BadInput, match=says) as caught:
        Mirror.open(state, "bad", tmp_path / what).fetch()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "ref", ["nosuch", "-x", "--upload-pack=touch x", "a b", "main:main", "+main", "deadbeef", "0" * 40, ""]
)
def test_unknown_and_hostile_refs_get_one_sentence(mirror, ref):
    with pytest.raises(errors.BadInput) as caught:
        mirror.fetch(ref)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "source",
    ["ext::sh -c touch% /tmp/x", "--upload-pack=/bin/false", "-oProxyCommand=x:y", "fd::17", "ftp://host/x", "https://",
     "ssh://-oProxyCommand=x/y", "a\nb", "", "https://[::1/x", "javascript://x"],
)  # fmt: skip
def test_hostile_addresses_are_refused(state, source):
    with pytest.raises(errors.BadInput):
        Mirror.open(state, "bad", source).find()


def test_credentials_of_a_url_are_in_no_error(state):
    mirror = Mirror.open(state, "secret", "http://ann:s3cr3t-word@127.0.0.1:1/x.git")
    with pytest.raises(GitFailed) as caught:
        mirror.find()
    assert (
        "s3cr3t-word"
        not in f"{caught.value} {caught.value.complaint} {caught.value.subject} {caught.value.__cause__}"
    )
    assert "127.0.0.1" in str(caught.value)


def test_refs_are_compared_and_swapped(mirror, repo):
    one = mirror.fetch()
    two = mirror.commit_tree(mirror.tree_of(one), [one], "two", ANN, WHEN)
    work = names.work("ex-1")
    mirror.update_ref(work, one, None)
    with pytest.raises(errors.Conflict):
        mirror.update_ref(work, two, None)
    mirror.update_ref(work, two, one)
    mirror.update_ref(work, two, one)  # a redo
    mirror.set_work("ex-1", one)
    assert mirror.work("ex-1") == one
    mirror.update_ref(work, None, one)
    mirror.update_ref(work, None, one)
    assert mirror.work("ex-1") is None


@pytest.mark.parametrize(
    "name",
    ["refs/heads/main", "refs/boatwright/../heads/x", "-d", "refs/boatwright/a b", "refs/boatwright/x.lock"],
)
def test_only_refs_of_ours_are_written(mirror, name):
    with pytest.raises(errors.BadInput):
        mirror.update_ref(name, mirror.fetch(), None)


@pytest.mark.parametrize("oid", ["HEAD", "--all", "abc", "refs/heads/main", "0" * 39, "Z" * 40])
def test_only_whole_ids_reach_git(mirror, oid):
    with pytest.raises(errors.BadInput):
        mirror.changed(oid, oid)


def test_the_same_commit_on_every_redo(mirror):
    base = mirror.fetch()
    made = {
        mirror.commit_tree(mirror.tree_of(base), [base], "Subject\n\nBody \x00 text ", ANN, WHEN)
        for _ in range(3)
    }
    assert len(made) == 1
    text = mirror.run("cat-file", "commit", made.pop()).out.decode()
    assert "author Ann <ann@example.org> 1767323045 +0000" in text


def test_push_holds_a_lease(mirror, repo, tmp_path):
    target = tmp_path / "forge.git"
    subprocess.run(["git", "init", "-q", "--bare", str(target)], check=True)
    base = mirror.fetch()
    one = mirror.commit_tree(mirror.tree_of(base), [base], "one", ANN, WHEN)
    two = mirror.commit_tree(mirror.tree_of(base), [base], "two", ANN, WHEN)
    branch = "boatwright/issue-7-x"
    assert mirror.remote_head(target, branch) is None
    mirror.push(target, one, branch, None)
    mirror.push(target, one, branch, None)  # a redo
    assert mirror.remote_head(target, branch) == one
    with pytest.raises(errors.Conflict, match="is at"):
        mirror.push(target, two, branch, None)
    with pytest.raises(errors.Conflict):
        mirror.push(target, two, branch, base)
    mirror.push(target, two, branch, one)
    assert mirror.remote_head(target, branch) == two


@pytest.mark.parametrize(
    "branch", ["-x", "a b", "x..y", "", "x.lock", "HEAD", "x~1", "a:b", "/x", "x/", "@{u}", "a\nb"]
)
def test_push_refuses_branch_names_git_would_misread(mirror, tmp_path, branch):
    with pytest.raises(errors.BadInput):
        mirror.push(tmp_path, "0" * 40, branch, None)


def test_concurrent_opens_and_fetches_agree(state, repo):
    head = repo.git("rev-parse", "HEAD")
    found: list[str] = []

    def one() -> None:
        found.append(Mirror.open(state, "many", repo.path).fetch())

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [head] * 6
    assert not list(state.mirrors.glob(".new-*"))


def test_a_long_state_directory(tmp_path, repo):
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    assert Mirror.open(StateDir(deep).create(), "deep", repo.path).fetch()


def test_an_id_that_is_no_name_of_a_directory(state):
    for name in ("../x", "", "a/b", "-x", ".git"):
        with pytest.raises(errors.BadInput):
            Mirror.open(state, name, Path("/"))
