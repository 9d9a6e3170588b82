"""Checks that others set on a commit: how they stand, and what those that failed say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import BOT, GitHubAppWorld, GitHubWorld, World
from tests.contract.test_forge_talk import opened

from boatwright.forge.protocol import Check
from boatwright.testing import fake_checks
from boatwright.testing.fake_github import FakeGitHub
from boatwright.values.checks import Standing

LOG = "2026-01-02T03:04:05.1234567Z \x1b[31mFAILED\x1b[0m tests/test_a.py::test_b\nexit 1\n"


def words(world: Any, good: str) -> str:
    """A conclusion as that forge says it."""
    if world.server.KIND == "gitlab":
        return {"failure": "failed", "cancelled": "canceled"}.get(good, good)
    return {"cancelled": "warning"}.get(good, good) if world.server.KIND in {"gitea", "forgejo"} else good


def set_there(world: Any, commit: str, name: str, conclusion: str, **more: Any) -> int:
    app = "github-actions" if world.server.KIND == "github" else ""
    more = {"app": app, **more}
    said = words(world, conclusion)
    return int(
        world.server.do(lambda act: fake_checks.ran(act, world.path, commit, name, conclusion=said, **more))
    )


async def test_theirs_are_told_from_ours_and_the_newest_counts(served: World) -> None:
    world: Any = served
    commit = world.push("work", {"a.txt": "fixed\n"})
    assert list(await world.forge.their_checks(world.repository, commit)) == []
    await world.forge.set_check(
        Check(world.repository, commit, "boatwright/verify", "failure", "no", "ex-1:v")
    )
    set_there(world, commit, "ci / build (push)", "failure", log=LOG)
    set_there(world, commit, "ci / build (push)", "pending")
    set_there(world, commit, "lint", "success")
    set_there(world, commit, "old", "cancelled")
    found = await world.forge.their_checks(world.repository, commit)
    assert [(each.name, each.standing) for each in found] == [
        ("ci / build (push)", Standing.WAITING),
        ("lint", Standing.PASSED),
        ("old", Standing.VOID),
    ]
    assert list(await world.forge.failed_checks(world.repository, commit)) == []


async def test_a_failed_one_comes_with_the_end_of_its_log(served: World) -> None:
    world: Any = served
    commit = world.push("work", {"a.txt": "fixed\n"})
    tokens = {token for token, login in world.server.state.tokens.items() if login == BOT}
    set_there(world, commit, "ci / build (push)", "failure", log=LOG, summary="it broke")
    set_there(world, commit, "style", "failure", app="", summary="two lines are too long")
    build, style = await world.forge.failed_checks(world.repository, commit)
    assert (build.name, style.name) == ("ci / build (push)", "style")
    assert style.log == "two lines are too long"
    told = world.server.KIND != "forgejo"  # it has no logs to give
    assert ("tests/test_a.py::test_b" in build.log) is told
    assert told or build.log == "it broke"
    elsewhere = [each for each in world.server.heard if each.path.startswith("/api/blobs/")]
    assert bool(elsewhere) == (world.server.KIND == "github")
    for each in elsewhere:
        assert not any(token in str(each.headers) for token in tokens)
        assert each.headers["host"].startswith("localhost")


async def test_a_log_that_may_not_be_read_leaves_the_words(served: World) -> None:
    world: Any = served
    commit = world.push("work", {"a.txt": "fixed\n"})
    number = set_there(world, commit, "ci / build (push)", "failure", log=LOG, summary="it broke")
    world.server.state.depots[world.path].logs.pop(number)
    (build,) = await world.forge.failed_checks(world.repository, commit)
    assert build.log == "it broke"


async def test_the_local_forge_knows_what_somebody_put_there(world: World) -> None:
    commit = world.push("work", {"a.txt": "fixed\n"})
    assert list(await world.forge.failed_checks(world.repository, commit)) == []
    check = Check(world.repository, commit, "build", "failure", "no", "other:build")
    await world.forge.set_check(check)
    found = await world.forge.their_checks(world.repository, commit)
    ours = world.has_server  # there it is ours, whatever its name: our login set it
    assert [each.standing for each in found] == ([] if ours else [Standing.FAILED])


async def test_no_forge_but_github_guards_paths(world: World) -> None:
    number = await opened(world)
    assert number
    paths = ("a.txt", ".github/workflows/ci.yml")
    missing = await world.forge.missing_for(world.repository, paths)
    wanted = {"github": "workflow", "github-app": "workflows: write"}
    kind = "github-app" if isinstance(world, GitHubAppWorld) else world.forge.name
    assert [each.right for each in missing] == ([wanted[kind]] if kind in wanted else [])
    assert list(await world.forge.missing_for(world.repository, ("a.txt", ".github/CODEOWNERS"))) == []


@pytest.mark.parametrize(
    ("scopes", "missing"), [("repo", True), ("repo, workflow", False), ("", False), ("public_repo", True)]
)
async def test_the_scopes_of_a_token_are_read(tmp_path: Path, scopes: str, missing: bool) -> None:
    world = GitHubWorld(tmp_path, None)  # type: ignore[arg-type]  # a server keeps nothing in our database
    try:
        assert isinstance(world.server, FakeGitHub)
        world.server.scopes = scopes
        found = await world.forge.missing_for(world.repository, (".github/workflows/ci.yml",))
    finally:
        world.close()
    assert bool(found) is missing


async def test_what_an_app_was_granted_is_read(tmp_path: Path) -> None:
    world = GitHubAppWorld(tmp_path, None)  # type: ignore[arg-type]
    try:
        assert world.server.state.app is not None
        world.server.state.app.permissions["workflows"] = "write"
        assert not await world.forge.missing_for(world.repository, (".github/workflows/ci.yml",))
    finally:
        world.close()
