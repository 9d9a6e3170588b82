"""A bottle by itself whose calls are cut, by a person or by its budget: what becomes of it, whoever is killed meanwhile."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.cli import app

pytestmark = pytest.mark.timeout(600)
PROGRAM = Path(sys.executable).with_name("boatwright")
SECONDS = 240.0
LONG = "echo one > made; sleep 600"


@dataclass
class Desk:
    root: Path
    environment: dict[str, str]
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def script(self, *rounds: list[str]) -> None:
        told = [
            [*({"say": "Working.", "tools": [{"bash": line}]} for line in lines), {"say": f"Done {number}."}]
            for number, lines in enumerate(rounds, start=1)
        ]
        (self.root / "m.yml").write_text(yaml.safe_dump({"replies": told[0], "later": told[1:]}))

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[str]:
        """An agent at work in a process of its own, in the middle of a command."""
        words = [
            "bottle",
            "start",
            "builtin",
            "--headless",
            "--prompt",
            "Make it",
            "--label",
            "task",
            *arguments,
        ]
        process = subprocess.Popen(
            [str(PROGRAM), *words], env={**self.environment, **more}, cwd=self.root,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.started.append(process)
        log = self.root / "s" / "solo" / "task.log"
        self.until(lambda: (log.exists() and "bash: " in log.read_text()) or process.poll() is not None)
        return process

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end
            time.sleep(0.05)

    def do(self, *arguments: str) -> tuple[int, str]:
        """A command in this process; its exit code and all it said."""
        out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
        with redirect_stdout(out), redirect_stderr(out):
            code = app.run(list(arguments))
        return code, out.buffer.getvalue().decode()  # type: ignore[attr-defined]

    def ok(self, *arguments: str) -> str:
        code, out = self.do(*arguments)
        assert code == 0, f"{arguments}\n{out}"
        return out

    def row(self) -> dict[str, Any]:
        (row,) = json.loads(self.ok("bottle", "list", "--json"))
        return dict(row)


@pytest.fixture
def desk(room: Any) -> Iterator[Desk]:
    desk = Desk(room.root, room.environment)
    desk.script([LONG])
    yield desk
    for process in desk.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


AGAIN = ("bottle", "resume", "task", "--headless", "--prompt", "Go on")


@pytest.mark.parametrize(
    ("policy", "state", "said", "made"),
    [
        ("freeze", "frozen", "its bottle is kept as an archive", "one\n"),
        ("kill", "killed", "its bottle is gone", "two\n"),
    ],
)
def test_a_person_cuts_it_in_the_middle_of_a_command(
    desk: Desk, policy: str, state: str, said: str, made: str
) -> None:
    process = desk.start()
    assert said in desk.ok("cut", "task", "--policy", policy)
    assert process.wait(SECONDS) == 4, process.communicate()
    row = desk.row()
    assert (row["state"], row["end"]["stop"]) == (state, "budget")
    assert "task has been cut" in row["ended"] or row["account"] in row["ended"]
    code, out = desk.do(*AGAIN)
    assert code == 4 and "has been cut" in out and "boatwright budget raise task 5usd" in out
    assert desk.row()["state"] == state
    assert "task may spend 5 USD" in desk.ok("budget", "raise", "task", "5usd")
    desk.script(["echo two >> made"])  # what was saved is not asked for again; what was lost is
    assert "finished: Done 1." in desk.ok(*AGAIN)
    assert desk.ok("bottle", "exec", "task", "--", "cat", "made") == made


def test_cut_off_it_ends_by_itself_and_its_bottle_lives(desk: Desk) -> None:
    desk.script(["sleep 2", "echo one > made"])
    process = desk.start()
    assert "its bottle lives" in desk.ok("cut", "task")
    assert process.wait(SECONDS) == 4, process.communicate()
    assert (desk.row()["state"], desk.row()["end"]["stop"]) == ("stopped", "budget")
    assert desk.do("bottle", "exec", "task", "--", "true")[0] == 0


@pytest.mark.parametrize(
    ("policy", "state"), [("cutoff", "stopped"), ("freeze", "frozen"), ("kill", "killed")]
)
def test_an_empty_budget_does_what_the_host_says_and_asks_no_agent(
    desk: Desk, policy: str, state: str
) -> None:
    (desk.root / "s").mkdir()
    (desk.root / "s" / "settings.yml").write_text(f"shutdown: {policy}\n")
    desk.script([f"true {number}" for number in range(9)], ["true"])
    start = ("bottle", "start", "builtin", "--headless", "--prompt", "Make it", "--label", "task")
    code, out = desk.do(*start, "--budget", "11ktok")
    assert code == 4 and "budget: the execution task." in out and "needed" in out
    assert "boatwright budget raise task" in out
    assert desk.row()["state"] == state
    assert f"cut ({policy}, exhausted)" in desk.ok("budget", "show", "task")
    desk.ok("budget", "raise", "task", "5usd,2Mtok")
    assert "finished: " in desk.ok(*AGAIN)


@pytest.mark.parametrize(
    ("point", "policy", "state"),
    [
        ("cut.seen", "freeze", "frozen"),
        ("cut.seen", "kill", "killed"),
        ("cut.stopped", "freeze", "frozen"),
        ("cut.carried", "freeze", "frozen"),
        ("cut.carried", "kill", "killed"),
    ],
)
def test_killed_between_any_two_steps_the_next_owner_finishes_it(
    desk: Desk, point: str, policy: str, state: str
) -> None:
    """Here the command itself is the next owner; a worker's patrol does the same."""
    died = desk.root / "died"
    process = desk.start(BOATWRIGHT_CRASH=point, BOATWRIGHT_CRASH_ONCE=str(died))
    desk.ok("cut", "task", "--policy", policy)
    assert process.wait(SECONDS) == -signal.SIGKILL and died.exists()
    assert desk.row()["state"] == state
    assert f"cut ({policy}, command)" in desk.ok("budget", "show", "task")
    desk.ok("budget", "raise", "task", "5usd")
    desk.script(["echo two >> made"])
    assert "finished: Done 1." in desk.ok(*AGAIN)
