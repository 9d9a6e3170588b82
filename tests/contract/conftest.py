"""One contract, every adapter: a world is a forge, a repository in it, and the means to push to that
repository.

An adapter joins by adding its world to ``WORLDS``. Nothing in the tests knows which one they run on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import pytest

from boatwright.config.paths import StateDir
from boatwright.forge.local import LocalForge
from boatwright.forge.protocol import Forge
from boatwright.ledger.database import Database
from boatwright.values.clock import SystemClock, SystemIds

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


class World(Protocol):
    forge: Forge
    repository: str

    async def prepare(self) -> None: ...

    def push(self, branch: str, files: Mapping[str, str], *, on: str | None = None) -> str:
        """A commit of ``files`` on top of the commit ``on`` (default: the base), pushed as ``branch``; its
        id.
        """
        ...

    def advance_base(self, files: Mapping[str, str]) -> str:
        """Somebody else's commit on the base branch."""
        ...

    def base_files(self) -> dict[str, str]:
        """What the forge's base branch holds now."""
        ...


class Work:
    """A user's repository and plain git in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.base = self.commit({"a.txt": "one\n", "b.txt": "two\n"})

    def git(self, *arguments: str, at: Path | None = None) -> str:
        ran = subprocess.run(
            ["git", *arguments],
            cwd=at or self.path,
            env=ENVIRONMENT,
            capture_output=True,
            check=False,
            text=True,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def commit(self, files: Mapping[str, str]) -> str:
        for name, content in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")

    def commit_aside(self, files: Mapping[str, str], on: str) -> str:
        """A commit on ``on`` that leaves the work tree and every branch as they are."""
        aside = self.path.parent / "aside"
        self.git("worktree", "add", "-q", "--detach", str(aside), on)
        for name, content in files.items():
            (aside / name).parent.mkdir(parents=True, exist_ok=True)
            (aside / name).write_text(content)
        self.git("add", "-A", at=aside)
        self.git("commit", "-q", "-m", "work", at=aside)
        commit = self.git("rev-parse", "HEAD", at=aside)
        self.git("worktree", "remove", "--force", str(aside))
        return commit


class LocalWorld:
    repository = "sample-00000000"

    def __init__(self, directory: Path, database: Database) -> None:
        self.state = StateDir(directory / "state").create()
        self.work = Work(directory / "user" / "sample")
        self.local = LocalForge(database, self.state, clock=SystemClock(), ids=SystemIds())
        self.forge: Forge = self.local

    async def prepare(self) -> None:
        await self.forge.add_repository(self.repository, source=str(self.work.path), default_branch="main")

    def push(self, branch: str, files: Mapping[str, str], *, on: str | None = None) -> str:
        commit = self.work.commit_aside(files, on or self.work.base)
        url = self.forge.push_url(self.repository)
        self.work.git("push", "-q", "--force", url, f"{commit}:refs/heads/{branch}")
        return commit

    def advance_base(self, files: Mapping[str, str]) -> str:
        return self.work.commit(files)

    def base_files(self) -> dict[str, str]:
        bare = self.local.path(self.repository)
        names = self.work.git("ls-tree", "-r", "--name-only", "main", at=bare).splitlines()
        return {name: self.work.git("show", f"main:{name}", at=bare) + "\n" for name in names}


WORLDS = {"local": LocalWorld}


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> World:
    made: World = WORLDS[request.param](tmp_path, database)
    await made.prepare()
    return made
