"""A desk to make mistakes at: a state directory, repositories, scripts, and the real command line.

``desk`` is shared by the tests of one module: what one test leaves behind (a parked execution, a proxy that runs) is there
for the next, as on a machine that is used.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Self

import pytest
import yaml

SECONDS = 120.0
"""How long a command may take on a busy machine before the test gives up on it."""
GIT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
WHO = ("-c", "user.name=Someone", "-c", "user.email=someone@localhost", "-c", "protocol.file.allow=always")

TEST = """python3 - <<'PY'
import pathlib
p = pathlib.Path("tests/test_paginate.py")
p.write_text(p.read_text().replace('''            pages([1, 2, 3], 0)

''', '''            pages([1, 2, 3], 0)

    def test_the_last_page(self):
        self.assertEqual(pages(list(range(21)), 5), 5)

''', 1))
PY"""
FIX = """python3 - <<'PY'
import pathlib
p = pathlib.Path("paginate.py")
p.write_text(p.read_text().replace("return len(items) // size", "return -(-len(items) // size)"))
PY"""
STEPS = (
    ("P1", "tests/test_paginate.py", "21 items make 5 pages of 5"),
    ("P2", "paginate.py", "pages() counts it"),
)
PLAN = {
    "goal": "Count the last, partly filled page",
    "proof": "behaviour",
    "steps": [{"id": i, "action": "edit", "path": path, "acceptance": text} for i, path, text in STEPS],
}
KEYS = ("ANTHROPIC", "OPENAI", "BOATWRIGHT", "GIT_")
TEXT = ("--text", "Pagination drops the last page")


def execution_in(text: str) -> str:
    """The first execution named in it."""
    found = [word for word in text.split() if word.startswith("ex-")]
    assert found, text
    return found[0]


@dataclass(frozen=True)
class Said:
    """What a command said and how it left."""

    command: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"

    @property
    def moves(self) -> list[str]:
        return [
            line.strip().removeprefix("→ ")
            for line in self.text.splitlines()
            if line.strip().startswith("→ ")
        ]

    @property
    def execution(self) -> str:
        """The execution this command made."""
        return execution_in(self.text)

    def __str__(self) -> str:
        return f"$ boatwright {' '.join(self.command)}\nexit {self.code}\n{self.out}\n--- stderr\n{self.err}"

    def sentence(self, *words: str) -> str:
        """The line with all the words; it is a sentence for people."""
        found = [line for line in self.text.splitlines() if all(word in line for word in words)]
        assert found, f"no line with {words}\n{self}"
        return found[0]

    def refuses(self, code: int, *words: str, move: str = "") -> Self:
        """One sentence with these words, a next move, this exit code, no traceback."""
        assert "Traceback" not in self.text and "Error:" not in self.err.replace("error:", ""), str(self)
        assert self.code == code, str(self)
        self.sentence(*words)
        assert self.moves, f"no next move\n{self}"
        assert any(move in one for one in self.moves), f"no move with {move!r}\n{self}"
        return self


class Running:
    """A command under way."""

    def __init__(self, connection: socket.socket, command: tuple[str, ...], files: tuple[Any, Any]) -> None:
        self._connection, self._command, self._files = connection, command, files
        self._told = connection.makefile("r")
        self._wait(SECONDS)
        self.pid = int(self._told.readline())

    def ended(self, seconds: float = SECONDS) -> Said:
        self._wait(seconds)
        code = int(self._told.readline() or -1)
        out, err = (self.read(n) for n in (0, 1))
        self._told.close()
        self._connection.close()
        for file in self._files:
            file.close()
        return Said(self._command, code, out, err)

    def read(self, which: int = 0) -> str:
        """What it has said so far."""
        file = self._files[which]
        return os.pread(file.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def said(self, words: str, seconds: float = SECONDS) -> None:
        """Wait until it has said ``words``."""
        until = time.monotonic() + seconds
        while words not in self.read(0):
            assert time.monotonic() < until and not self._readable(), (
                f"never said {words!r}:\n{self.read(0)}{self.read(1)}"
            )
            time.sleep(0.02)

    @property
    def execution(self) -> str:
        """The execution it has named so far."""
        return execution_in(self.read(0))

    def interrupt(self) -> None:
        os.kill(self.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it, if it has not ended yet."""
        if self._connection.fileno() >= 0 and not self._readable():
            os.killpg(self.pid, signal.SIGKILL)

    def _readable(self) -> bool:
        return bool(select.select([self._connection], [], [], 0)[0])

    def _wait(self, seconds: float) -> None:
        if not select.select([self._connection], [], [], seconds)[0]:
            if hasattr(self, "pid"):
                os.killpg(self.pid, signal.SIGKILL)
            raise AssertionError(f"boatwright {self._command} took too long:\n{self.read(0)}{self.read(1)}")


@dataclass
class Desk:
    root: Path
    server: Path
    environment: dict[str, str] = field(default_factory=dict)
    made: int = 0
    started: list[Running] = field(default_factory=list)

    # --- the command line -------------------------------------------------------------------------------------

    @property
    def state(self) -> Path:
        return self.root / "s"

    def start(
        self,
        *arguments: str,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
        state: Path | None = None,
        limits: Mapping[str, int] | None = None,
    ) -> Running:
        """A command, started. A variable that is None is taken away."""
        given = {**self.environment, "BOATWRIGHT_STATE": str(state or self.state), **(env or {})}
        order = {
            "arguments": arguments,
            "environment": {name: value for name, value in given.items() if value is not None},
            "cwd": str(cwd or self.root),
            "limits": dict(limits or {}),
        }
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(str(self.server))
        files = (tempfile.TemporaryFile(), tempfile.TemporaryFile())  # noqa: SIM115 - Running closes them
        with open(os.devnull, "rb") as nothing:
            fds = [nothing.fileno(), *(file.fileno() for file in files)]
            socket.send_fds(connection, [json.dumps(order).encode() + b"\n"], fds)
        running = Running(connection, arguments, files)
        self.started.append(running)
        return running

    def do(self, *arguments: str, **how: Any) -> Said:
        """A command, run to its end."""
        return self.start(*arguments, **how).ended()

    def run(self, repository: Path, model: str, *more: str, **how: Any) -> Said:
        words = () if "--issue" in more or "--text" in more else TEXT
        return self.do("run", "--repo", str(repository), *words, "--model", model, *more, **how)

    def resumes(self, execution: str, **how: Any) -> Said:
        """``resume`` brings it to a proven pull request."""
        said = self.do("resume", execution, **how)
        assert said.code == 0 and "proof: proven" in said.out, str(said)
        return said

    def wire_opened(self, words: str) -> None:
        """Wait until the proxy says that it opened a wire with these words in its name."""
        until, log = time.monotonic() + SECONDS, self.state / "logs" / "proxy.log"
        while not log.exists() or words not in log.read_text():
            assert time.monotonic() < until, "no such wire was opened"
            time.sleep(0.02)

    def lost_nothing(
        self, execution: str | None = None, *, now: str = "PARKED", **how: Any
    ) -> dict[str, Any]:
        """The chain is whole, and the execution stands where it was left. Returns what ``show --json`` says."""
        said = self.do("events", "verify", **how)
        assert said.code == 0 and "every chain is whole" in said.out, str(said)
        if execution is None:
            return {}
        said = self.do("show", execution, "--json", **how)
        assert said.code == 0, str(said)
        shown = json.loads(said.out)
        assert shown["execution"]["state"] == now, shown["execution"]
        return dict(shown)

    def parked(self, said: Said, code: str, *words: str, move: str = "", **how: Any) -> str:
        """The command parked its execution with this code; returns the execution."""
        said.refuses(4, f"parked ({code}): ", *words, move=move)
        self.lost_nothing(said.execution, **how)
        return said.execution

    # --- what it works on -------------------------------------------------------------------------------------

    def repository(self, name: str = "paginate", files: Mapping[str, str | bytes] | None = None) -> Path:
        """The sample repository, with other files laid over it; None of them: as it is."""
        self.made += 1
        target = self.root / f"r{self.made}" / name
        with resources.as_file(resources.files("boatwright.cli") / "sample" / "repository") as sample:
            shutil.copytree(sample, target, ignore=shutil.ignore_patterns("__pycache__"))
        self.write(target, files or {})
        self.git(target, "init", "--quiet", "--initial-branch=main")
        self.commit(target)
        return target

    def write(self, repository: Path, files: Mapping[str, str | bytes]) -> None:
        for path, text in files.items():
            place = repository / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())

    def commit(self, repository: Path, files: Mapping[str, str | bytes] | None = None) -> str:
        self.write(repository, files or {})
        self.git(repository, "add", "--all")
        self.git(repository, "commit", "--quiet", "--message=Change")
        return self.git(repository, "rev-parse", "HEAD")

    def git(self, repository: Path, *arguments: str) -> str:
        argv = ["git", "-C", str(repository), *WHO, *arguments]
        return subprocess.run(argv, check=True, env=GIT, capture_output=True, text=True).stdout.strip()

    def script(self, *bash: str, **parts: Any) -> str:
        """A model that runs these lines, one a step, and then says that it is done."""
        self.made += 1
        path = self.root / f"m{self.made}.yml"
        replies = [*({"say": "Working.", "tools": [{"bash": line}]} for line in bash), {"say": "Done."}]
        told = {"plan": PLAN, "review": {"verdict": "approve"}, "replies": replies, **parts}
        path.write_text(yaml.safe_dump(told))
        return f"scripted:{path}"

    def good(self, *faults: Mapping[str, Any]) -> str:
        """A model that mends the fault and shows it, failing on its way as told."""
        return self.script(TEST, FIX, faults=list(faults))

    def end_proxy(self, state: Path) -> None:
        end_proxy(state)

    def settings(self, text: str | bytes, *, state: Path | None = None) -> None:
        (state or self.state).mkdir(mode=0o711, exist_ok=True)
        self.write(state or self.state, {"settings.yml": text})


def end_proxy(state: Path) -> None:
    """The proxy that our commands started there would leave by itself in a while; nobody waits for it here."""
    with contextlib.suppress(OSError, ValueError, IndexError):  # there was none, or it has left
        pid = int((state / "run" / "proxy.lock").read_text().split()[0])
        if str(state).encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGTERM)


@pytest.fixture(scope="session")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The process that forks for each command."""
    place = Path(tempfile.mkdtemp(prefix="bw-cli-")) / "s"
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("forking_cli.py")), str(place)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == b"ready\n"
    try:
        yield place
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        shutil.rmtree(place.parent)


@pytest.fixture(scope="module")
def desk(forking: Path) -> Iterator[Desk]:
    """In a short directory: it holds sockets, whose paths are limited."""
    root = Path(tempfile.mkdtemp(prefix="bw-bad-"))
    root.chmod(0o711)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(KEYS)}
    clean |= {"COLUMNS": "400", "HOME": str(root)}
    desk = Desk(root, forking, clean)
    try:
        yield desk
    finally:
        for running in desk.started:
            running.kill()
        for state in root.glob("*/run"):
            end_proxy(state.parent)
        shutil.rmtree(root, ignore_errors=True)
