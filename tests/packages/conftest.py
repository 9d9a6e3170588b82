"""The example packages laid as repositories, and the real command line run on them.

One state directory per package and worker: what was set up for one script is there for the next, as on a machine that
is used. Needs a package registry; nothing is skipped where there is none.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.egress import registries
from boatwright.rules import destinations

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAM = Path(sys.executable).with_name("boatwright")
SECONDS = 280.0
"""How long a run may take on a busy machine before the test gives up on it."""
KEYS = ("ANTHROPIC", "OPENAI", "BOATWRIGHT", "GIT_")


def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("boatwright_examples_lay", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lay = _module(EXAMPLES / "lay.py")


@dataclass(frozen=True)
class Ended:
    """How a run ended: what the terminal showed, and what ``show --json`` says of it."""

    code: int
    text: str
    execution: dict[str, Any]
    events: list[dict[str, Any]]

    def last(self, *types: str) -> dict[str, Any]:
        """The payload of the newest event of one of these types."""
        found = [event["payload"] for event in self.events if event["type"] in types]
        assert found, f"no {types}\n{self}"
        return dict(found[-1])

    @property
    def verification(self) -> dict[str, Any]:
        return self.last("verification.passed", "verification.failed")

    @property
    def proof(self) -> dict[str, Any]:
        found = self.verification["proof"]
        assert found is not None, str(self)
        return dict(found)

    def __str__(self) -> str:
        return f"exit {self.code}\n{self.text}"


@dataclass(frozen=True)
class Laid:
    """A package as a repository, with a state directory of its own."""

    package: Any
    repository: Path
    state: Path

    def run(self, script: str) -> Ended:
        """``boatwright run`` with one of the package's scripts, then ``boatwright show --json``."""
        model = f"scripted:{EXAMPLES / self.package.name / f'{script}.yml'}"
        ran = self.do("run", "--repo", str(self.repository), *self.package.flags(script), "--model", model)
        text = f"{ran.stdout}\n{ran.stderr}"
        assert ran.stdout.startswith("ex-") and "Traceback" not in text, text
        shown = json.loads(self.do("show", ran.stdout.split()[0], "--json").stdout)
        return Ended(ran.returncode, text, shown["execution"], shown["events"])

    def do(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(KEYS)}
        return subprocess.run(
            [str(PROGRAM), *arguments],
            env={**clean, "BOATWRIGHT_STATE": str(self.state), "COLUMNS": "400"},
            cwd=self.repository,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def tunnelled(self, execution: str) -> set[str]:
        """The hosts this execution's set-up reached through the wire."""
        lines = (self.state / "logs" / "proxy.log").read_text().splitlines()
        notes = [json.loads(line) for line in lines if '"tunnelled"' in line]
        return {note["host"] for note in notes if note["wire"].startswith(f"{execution}-setup-")}


@pytest.fixture(scope="session")
def laid(pytestconfig: pytest.Config) -> Iterator[Callable[[str], Laid]]:
    """In a short directory: it holds sockets, whose paths are limited. Archives stay in pytest's cache."""
    root = Path(tempfile.mkdtemp(prefix="bw-pkg-"))
    root.chmod(0o711)
    cache = getattr(pytestconfig, "cache", None)
    archives = cache.mkdir("sdists") if cache is not None else root / "archives"
    known: dict[str, Laid] = {}

    def of(name: str) -> Laid:
        if name not in known:
            known[name] = _lay(name, root / name, archives)
        return known[name]

    try:
        yield of
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _lay(name: str, root: Path, archives: Path) -> Laid:
    package = lay.packages()[name]
    lay.lay(package, root / name, archives)
    state = root / "s"
    state.mkdir(mode=0o711)
    (state / "settings.yml").write_text(yaml.safe_dump({"network": {"allow": _inner_registries()}}))
    return Laid(package, root / name, state)


def _inner_registries() -> list[str]:
    """Registries of this host that lead to an address of its own network: an operator has to name those."""
    return [host for host in registries.discover().hosts if not host.startswith("*.") and _is_inner(host)]


def _is_inner(host: str) -> bool:
    name, port = destinations.split(host)
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return not all(destinations.public(str(entry[4][0])) for entry in found)
