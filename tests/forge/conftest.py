"""A user's repository and a local forge that knows it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from boatwright.config.paths import StateDir
from boatwright.forge.local import LocalForge
from boatwright.forge.local_checkout import Checkout
from boatwright.forge.protocol import PullRequest
from boatwright.ledger.database import Database
from boatwright.testing.clock import ManualClock
from boatwright.values.clock import SystemIds

REPOSITORY = "sample-00000000"
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


def git(at: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=at, env=ENVIRONMENT, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    return ran.stdout.decode("utf-8", "surrogateescape").strip()


def write(at: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(content)


@dataclass
class Harbour:
    """Everything a test of the local forge needs."""

    user: Path
    forge: LocalForge
    repository: str = REPOSITORY

    @property
    def bare(self) -> Path:
        return self.forge.path(self.repository)

    @property
    def checkout(self) -> Checkout:
        return Checkout(self.user, self.bare)

    def git(self, *arguments: str) -> str:
        """Plain git in the user's repository."""
        return git(self.user, *arguments)

    def commit(self, files: Mapping[str, str]) -> str:
        write(self.user, files)
        git(self.user, "add", "-A")
        git(self.user, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.user, "rev-parse", "HEAD")

    def push(self, branch: str, files: Mapping[str, str], *, on: str = "main") -> str:
        """A commit made elsewhere, pushed to the forge; the user's repository does not see it."""
        elsewhere = self.user.parent / "elsewhere"
        if not elsewhere.exists():
            git(self.user, "clone", "-q", str(self.user), str(elsewhere))
        git(elsewhere, "fetch", "-q", "origin")
        start = git(elsewhere, "rev-parse", f"origin/{on}") if on == "main" else on
        git(elsewhere, "switch", "-q", "--detach", start)
        write(elsewhere, files)
        git(elsewhere, "add", "-A")
        git(elsewhere, "commit", "-q", "-m", "work")
        git(elsewhere, "push", "-q", "--force", str(self.bare), f"HEAD:refs/heads/{branch}")
        return git(elsewhere, "rev-parse", "HEAD")

    async def pull(
        self,
        branch: str = "boatwright/issue-1-fix",
        files: Mapping[str, str] | None = None,
        base_ref: str = "main",
    ) -> PullRequest:
        self.push(branch, files or {"a.txt": "fixed\n"})
        return await self.forge.open_pull_request(
            self.repository,
            title="Fix it",
            body="",
            branch=branch,
            base_ref=base_ref,
            draft=False,
            author="bot",
            issue=None,
        )

    async def merged(self, files: Mapping[str, str] | None = None) -> PullRequest:
        pull = await self.pull(files=files)
        return await self.forge.merge_pull_request(self.repository, pull.number, head=pull.head)


@pytest.fixture
async def harbour(tmp_path: Path, request: pytest.FixtureRequest, clock: ManualClock) -> Harbour:
    database: Database = Database.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    database.migrate()
    request.addfinalizer(database.dispose)
    user = tmp_path / "user"
    user.mkdir()
    git(user, "init", "-q", "-b", "main")
    state = StateDir(tmp_path / "state").create()
    made = Harbour(user, LocalForge(database, state, clock=clock, ids=SystemIds()))
    made.commit({"a.txt": "one\n", "b.txt": "two\n"})
    await made.forge.add_repository(REPOSITORY, source=str(user), default_branch="main")
    return made
