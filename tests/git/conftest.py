"""Real repositories for the tests of git: a user's own, and hostile ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.protocol import Bottle, BottleSpec
from boatwright.bottle.store import erase
from boatwright.config.paths import StateDir
from boatwright.git.mirror import Mirror
from boatwright.values.clock import SystemClock, SystemIds

WHEN = "2026-01-02T03:04:05+0000"


class Repo:
    """A repository of a user's, with a work tree, driven by plain git."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *arguments: str, check: bool = True, stdin: bytes = b"", **environment: str) -> str:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann",
            "GIT_AUTHOR_EMAIL": "ann@example.org",
            "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "ann@example.org",
            "GIT_AUTHOR_DATE": WHEN,
            "GIT_COMMITTER_DATE": WHEN,
            **environment,
        }
        ran = subprocess.run(
            ["git", *arguments], cwd=self.path, env=env, check=False, capture_output=True, input=stdin
        )
        if check and ran.returncode:
            raise AssertionError(ran.stderr.decode())
        return ran.stdout.decode("utf-8", "surrogateescape").strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        for name, content in files.items():
            file = self.path / name
            if content is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes | None] | None = None, message: str = "change") -> str:
        self.write(files or {})
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "state").create()


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    def make(name: str = "theirs", *options: str) -> Repo:
        return Repo(tmp_path / name, *options)

    return make


@pytest.fixture
def repo(make_repo: Callable[..., Repo]) -> Repo:
    made = make_repo()
    made.commit({"README": "hello\n", "src/a.py": "a = 1\n", "tests/test_a.py": "assert True\n"}, "first")
    return made


@pytest.fixture
def mirror(state: StateDir, repo: Repo) -> Mirror:
    return Mirror.open(state, "theirs-00000000", repo.path)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """What a planted command would make; a test asserts that it is never there."""
    return tmp_path / "planted-command-ran"


@pytest.fixture
def trap(tmp_path: Path, marker: Path) -> Path:
    """A command that makes the marker, whatever it is asked to be."""
    script = tmp_path / "trap"
    script.write_text(f'#!/bin/sh\n{shutil.which("touch")} "{marker}"\ncat\n')
    script.chmod(0o755)
    return script


@pytest.fixture
def open_state() -> Iterator[StateDir]:
    """A state directory that a bottle's dropped uid can reach, which pytest's own are not."""
    root = Path(tempfile.mkdtemp(prefix="bw-"))
    root.chmod(0o711)
    yield StateDir(root / "state").create()
    erase(root)


@pytest.fixture
def backend(open_state: StateDir) -> Bubblewrap:
    return Bubblewrap(open_state, clock=SystemClock(), ids=SystemIds())


@pytest.fixture
async def bottle(backend: Bubblewrap) -> AsyncIterator[Bottle]:
    yield await backend.create(BottleSpec(slug="agent", purpose="test"))
    for slug in await backend.list():
        await backend.destroy(slug)
