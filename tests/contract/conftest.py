"""One contract, every adapter: a world is a forge, a repository in it, and the means to push to that
repository.

An adapter joins by adding its world to ``WORLDS``. Nothing in the tests knows which one they run on.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from boatwright.config.paths import StateDir
from boatwright.config.secrets import Secret
from boatwright.forge import token_login
from boatwright.forge.gitea import Gitea
from boatwright.forge.github import GitHub
from boatwright.forge.github_app import AppLogins, Logins, TokenLogins
from boatwright.forge.gitlab import GitLab
from boatwright.forge.local import LocalForge
from boatwright.forge.protocol import Forge
from boatwright.ledger.database import Database
from boatwright.rules import gitlab_numbers
from boatwright.testing.clock import FakeClock
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_gitlab import FakeGitLab
from boatwright.values.clock import SystemClock, SystemIds

BOT = "boatwright-bot"
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
    has_people: bool
    """Whether the forge knows people of different rights, and remarks on lines."""
    has_server: bool
    """Whether answers can be lost on their way: the world has ``server``, a ``testing.fake_forge.FakeForge``."""

    shares_numbers: bool
    """Whether issues and pull requests are counted together."""

    def says(self, author: str) -> str:
        """Whom the forge names as the author of what we write for ``author``: a server names our login."""
        ...

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

    def close(self) -> None: ...


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
    has_people = has_server = False
    shares_numbers = True

    def says(self, author: str) -> str:
        return author

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

    def close(self) -> None:
        """Nothing is open."""

    def base_files(self) -> dict[str, str]:
        bare = self.local.path(self.repository)
        names = self.work.git("ls-tree", "-r", "--name-only", "main", at=bare).splitlines()
        return {name: self.work.git("show", f"main:{name}", at=bare) + "\n" for name in names}


class ServerWorld:
    """A fake server on loopback, spoken to over HTTP. ``clock`` is ours alone: waiting costs no time."""

    repository = "sample-00000001"
    path = "ann/sample"
    has_people = has_server = shares_numbers = True
    merge_pauses: tuple[float, ...] = ()

    def __init__(self, directory: Path, server: FakeForge) -> None:
        self.work = Work(directory / "user" / "sample")
        self.clock = FakeClock(datetime.now(UTC))
        self.server = server.start()
        people = {"ann": "admin", "wim": "write", "tia": "triage", "rea": "read", BOT: "maintain"}
        self.server.make(self.path, source=self.work.path, people=people, private=True)
        self.server.organisation("house", {"ann": True, "wim": False, BOT: False})
        self.server.do(lambda act: act.account("out"))
        self._ann = self.server.token("ann")
        self.forge: Forge = self.connect()

    def connect(self) -> Forge:
        """The adapter, as the router makes it."""
        raise NotImplementedError

    def says(self, author: str) -> str:
        return BOT

    def there(self, number: int) -> int:
        """The number that the server's own state has it under."""
        return number

    async def prepare(self) -> None:
        await self.forge.add_repository(self.repository, source=str(self.work.path), default_branch="main")

    def push(self, branch: str, files: Mapping[str, str], *, on: str | None = None) -> str:
        commit = self.work.commit_aside(files, on or self.work.base)
        self._push(f"{commit}:refs/heads/{branch}")
        return commit

    def _push(self, what: str) -> None:
        url = self.server.url.replace("://", f"://ann:{self._ann}@")
        self.work.git("push", "-q", "--force", f"{url}/{self.path}.git", what)

    def advance_base(self, files: Mapping[str, str]) -> str:
        commit = self.work.commit(files)
        self._push("main:refs/heads/main")
        return commit

    def base_files(self) -> dict[str, str]:
        return self.server.files(self.path, "main")

    def close(self) -> None:
        self.server.stop()


class GitHubWorld(ServerWorld):
    """With a token, as a user: checks are commit statuses."""

    def __init__(self, directory: Path, _: Database) -> None:
        super().__init__(directory, FakeGitHub(directory / "server"))

    def connect(self) -> Forge:
        token = self.server.token(BOT)
        return self.adapter(TokenLogins(lambda: Secret(token)))

    def adapter(self, logins: Logins) -> Forge:
        return GitHub(
            self.server.url,
            logins,
            path=lambda _: self.path,
            clock=self.clock,
            ids=SystemIds(),
            sleep=self.clock.sleep,
        )


class GitHubAppWorld(GitHubWorld):
    """As an App: checks are check runs."""

    def connect(self) -> Forge:
        private, public = rsa_key()
        assert isinstance(self.server, FakeGitHub)
        app = self.server.install("boatwright", public)
        logins = AppLogins(
            f"{self.server.url}/api/v3",
            str(app.id),
            lambda: Secret(private),
            clock=self.clock,
            sleep=self.clock.sleep,
        )
        return self.adapter(logins)

    def says(self, author: str) -> str:
        return "boatwright[bot]"


class GiteaWorld(ServerWorld):
    """Our account administers the repository: nobody else is told what people may do."""

    def __init__(self, directory: Path, _: Database) -> None:
        super().__init__(directory, self.fake(directory / "server"))
        self.server.do(lambda act: act.depot(self.path).people.update({BOT: "admin"}))

    def fake(self, directory: Path) -> FakeGitea:
        return FakeGitea(directory)

    def connect(self) -> Forge:
        token = self.server.token(BOT)
        return Gitea(
            self.server.url,
            token_login.gitea(lambda: Secret(token)),
            path=lambda _: self.path,
            clock=self.clock,
            ids=SystemIds(),
            sleep=self.clock.sleep,
            kind=self.server.KIND,
        )


class ForgejoWorld(GiteaWorld):
    def fake(self, directory: Path) -> FakeGitea:
        return FakeForgejo(directory)


class GitLabWorld(ServerWorld):
    merge_pauses = (0.5,)
    """It works out whether two branches merge when it is asked for the first time."""
    shares_numbers = False

    def __init__(self, directory: Path, _: Database) -> None:
        super().__init__(directory, FakeGitLab(directory / "server"))

    def there(self, number: int) -> int:
        depot, iid = self.server.state.depots[self.path], gitlab_numbers.iid(number)
        assert isinstance(self.server, FakeGitLab)
        return self.server.words.find(depot, iid, pull=gitlab_numbers.is_pull(number)).number

    def connect(self) -> Forge:
        token = self.server.token(BOT)
        return GitLab(
            self.server.url,
            token_login.gitlab(lambda: Secret(token)),
            path=lambda _: self.path,
            clock=self.clock,
            ids=SystemIds(),
            sleep=self.clock.sleep,
        )


@lru_cache(maxsize=1)
def rsa_key() -> tuple[str, str]:
    """A private and a public key in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    ).decode()


WORLDS: dict[str, Callable[[Path, Database], World]] = {
    "local": LocalWorld,
    "github": GitHubWorld,
    "github-app": GitHubAppWorld,
    "gitea": GiteaWorld,
    "forgejo": ForgejoWorld,
    "gitlab": GitLabWorld,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A server keeps nothing in our database: it is tried on one."""
    items[:] = [item for item in items if not _needless(getattr(item, "callspec", None))]


def _needless(spec: Any) -> bool:
    params = spec.params if spec is not None else {}
    return (params.get("world", "local") != "local" or "served" in params) and params.get(
        "database"
    ) == "postgresql"


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> AsyncIterator[World]:
    made: World = WORLDS[request.param](tmp_path, database)
    await made.prepare()
    yield made
    made.close()


@pytest.fixture(params=sorted(WORLDS.keys() - {"local"}))
async def served(request: pytest.FixtureRequest, tmp_path: Path, database: Database) -> AsyncIterator[World]:
    """A world with a server in it."""
    made: World = WORLDS[request.param](tmp_path, database)
    await made.prepare()
    yield made
    made.close()
