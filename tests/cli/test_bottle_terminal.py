"""A bottle with a terminal, before real pseudo-terminals: picked, begun, shared, left, found again, killed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatwright.bottle import processes
from boatwright.bottle.store import Store
from boatwright.bottle.terminal import Size
from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.stages.solo_records import Records
from boatwright.values.clock import SystemClock
from boatwright.values.solo import Solo, SoloState

_spec = importlib.util.spec_from_file_location("person", Path(__file__).with_name("person.py"))
assert _spec is not None and _spec.loader is not None
person_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(person_module)
Person, PROGRAM = person_module.Person, person_module.PROGRAM
pytestmark = pytest.mark.timeout(900)

SHELL = """---
provider: command
command:
  run: [sh, -c, "cat; echo Done headless."]
  terminal: [sh, -c, "mkdir -p ~/.tiny; echo begun >> ~/.tiny/s; PS1='tiny> ' exec sh -i"]
  terminal_resume: [sh, -c, "cat ~/.tiny/s; echo again >> ~/.tiny/s; PS1='tiny> ' exec sh -i"]
  keeps: [.tiny]
---
You are a shell.
"""


class Desk:
    def __init__(self, root: Path) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")}
        self.root, self.state = root, root / "s"
        self.environment = clean | {
            "BOATWRIGHT_STATE": str(self.state), "BOATWRIGHT_MODEL": f"scripted:{root / 'm.yml'}", "TERM": "xterm",
        }  # fmt: skip
        self.people: list[Any] = []
        (root / "m.yml").write_text(yaml.safe_dump({"replies": [{"say": "Done."}]}))
        (self.state / "agents").mkdir(parents=True)
        (self.state / "agents" / "tiny.md").write_text(SHELL)
        self.state.chmod(0o711)

    def person(self, *arguments: str, size: Size | None = None, cwd: Path | None = None) -> Any:
        someone = Person(*arguments, environment=self.environment, cwd=cwd or self.root, size=size)
        self.people.append(someone)
        return someone

    def starts(self, *arguments: str) -> Any:
        """Somebody who started a bottle at a terminal and sees its prompt."""
        someone = self.person("bottle", "start", "tiny", "--label", "one", "--color", "red", *arguments)
        someone.see("start it? [y/N]")
        someone.type("y\n")
        someone.see("tiny> ")
        return someone

    def do(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command in this process: the same path, without the seconds of loading."""
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run(["bottle", *arguments])
        told = (each.buffer.getvalue().decode() for each in (out, err))  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(arguments, code, *told)

    def row(self, slug: str) -> Any:
        return next(row for row in json.loads(self.do("list", "--json").stdout) if row["slug"] == slug)

    @property
    def records(self) -> Records:
        return Records(StateDir(self.state), SystemClock())

    def supervisor(self, slug: str) -> int:
        """The pid of the process that holds the bottle."""
        held = (self.state / "solo" / f"{slug}.lock").stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if fields[5].endswith(f":{held}") and fields[4] != "-1" and "FLOCK" in fields:
                return int(fields[4])
        raise AssertionError("nobody holds it")

    def gone(self, slug: str) -> bool:
        return not processes.members(self.workspace(slug), "/workspace")

    def workspace(self, slug: str) -> Path:
        return Store(StateDir(self.state), None).path(slug) / "workspace"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    root = Path(tempfile.mkdtemp(prefix="bw-term-"))
    root.chmod(0o711)
    desk = Desk(root)
    for name in os.environ.keys() - desk.environment.keys():
        monkeypatch.delenv(name)
    for name, value in desk.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    yield desk
    for someone in desk.people:
        someone.go()
    for record in desk.records.all():
        desk.do("destroy", record.slug)
    shutil.rmtree(root, ignore_errors=True)


def test_one_is_started_left_shared_and_ended(desk: Desk) -> None:
    """The whole story: a terminal inside, its size, Ctrl-C, a second person, the end, and both screens given back."""
    first = desk.starts()
    assert "boatwright bottle attach one" in first.text and "Ctrl-] leaves it running" in first.text
    first.type("tty; stty size; echo o''k > /dev/tty\n")
    first.see("ok\n")
    assert "/dev/console" in first.text and "30 100" in first.text
    # Said by what is to be interrupted: between two commands of its own a shell may miss a Ctrl-C.
    first.type("sh -c 'echo as\"\"leep; exec sleep 1000'\n")
    before = len(first.see("asleep\n"))
    first.type("\x03")
    first.see("tiny> ", after=before)
    first.type("echo still $((40 + 2))\n")
    first.see("still 42")
    first.resize(Size(20, 70))
    first.until(lambda: "20 70" in _typed(first, "stty size\n"))
    first.type("\x1d")
    assert first.leaves() == 0 and first.restored
    assert "detached from one, which goes on" in first.text

    row = desk.row("one")
    assert (row["state"], row["terminal"]) == ("running", True)
    assert "running, terminal" in desk.do("list").stdout
    place = desk.state / "solo"
    for name in ("one.sock", "one.screen"):
        assert stat.S_IMODE((place / name).stat().st_mode) == 0o600

    second = desk.person("bottle", "attach", "one", size=Size(25, 90))
    second.see("still 42")
    third = desk.person("bottle", "attach", "one", size=Size(24, 80))
    third.see("still 42")
    second.type("echo by-second-$((1 + 1))\n")
    third.see("by-second-2")
    third.type(
        "echo by-third-$((1 + 2)); printf '\\033]52;c;aGk=\\007\\033]0;t\\007\\033[c'; echo asked-$((2 + 2))\n"
    )
    second.see("asked-4")
    second.see("?62;22c")  # the answer, typed for it once
    second.type("\x15echo kept > made; echo again >> ~/.tiny/s; exit\n")
    assert second.leaves() == 0 and third.leaves() == 0
    for someone in (second, third):
        assert someone.restored and "finished" in someone.text
        assert b"\x1b]" not in someone.saw and b"\x1b[c" not in someone.saw
    assert desk.do("exec", "one", "--", "cat", "made").stdout == "kept\n"
    assert desk.row("one")["session"] and not (place / "one.sock").exists()

    away = desk.do("attach", "one")
    assert away.returncode == 6 and "nobody works in the bottle 'one': it is stopped" in away.stderr


ASKING = (
    'python3 -c \'import http.client as h; c = h.HTTPConnection("127.0.0.1", 8080); '
    'c.request("POST", "/boatwright/forge/call", b"""{said}"""); r = c.getresponse(); print(r.status, r.read())\'\n'
)


def test_its_agent_talks_about_an_issue_and_a_person_ends_it(desk: Desk) -> None:
    repository = desk.root / "repository"
    repository.mkdir()
    for line in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(repository), *line], check=True)
    where = ("--repo", str(repository))
    assert app.run(["issue", "create", *where, "--title", "Louder"]) == 0
    callers = SHELL.replace("provider: command\n", "provider: command\nforge_calls: write\n")
    (desk.state / "agents" / "tiny.md").write_text(callers)
    someone = desk.starts("--issue", "1", *where)
    assert "1: Louder (repository-" in someone.text and "its agent may write" in someone.text
    someone.type(ASKING.format(said='{"call": "post_comment", "number": 1, "text": "How loud?"}'))
    someone.see("200 b")
    someone.type(ASKING.format(said='{"call": "signal_done", "status": "done", "summary": "x"}'))
    someone.see("400 b")
    someone.type("echo still $((40 + 2))\n")
    someone.see("still 42")
    someone.type("exit\n")
    assert someone.leaves() == 0 and desk.row("one")["issue"] == 1
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert app.run(["issue", "show", "1", *where]) == 0
    assert "How loud?" in out.getvalue()


def _typed(someone: Any, text: str) -> str:
    someone.type(text)
    someone._look(0.3)
    return str(someone.text)


def test_its_holder_killed_it_is_interrupted_and_goes_on_with_its_session(desk: Desk) -> None:
    someone = desk.starts()
    other = desk.person("bottle", "attach", "one")
    other.see("tiny> ")
    assert not desk.gone("one")
    os.kill(desk.supervisor("one"), signal.SIGKILL)
    assert someone.leaves() == 6 and other.leaves() == 6
    assert someone.restored and other.restored
    assert "the terminal of 'one' is gone" in someone.text
    someone.until(lambda: desk.gone("one"), "the bottle's processes are gone")
    assert desk.row("one")["state"] == "interrupted"

    again = desk.person("bottle", "resume", "one")
    again.see("start it? [y/N]")
    again.type("y\n")
    again.see("tiny> ")
    again.type("exit\n")
    assert again.leaves() == 0
    assert desk.row("one")["state"] == "stopped"


def test_a_person_killed_leaves_the_agent_at_work_and_the_terminal_as_it_was(desk: Desk) -> None:
    someone = desk.starts()
    assert not someone.restored
    someone.kill(signal.SIGKILL)
    assert someone.leaves() == -signal.SIGKILL
    someone.until(lambda: someone.restored, "the guard puts the terminal back")
    assert desk.row("one")["state"] == "running"
    hung_up = desk.person("bottle", "attach", "one")
    hung_up.see("tiny> ")
    hung_up.kill(signal.SIGHUP)
    assert hung_up.leaves() == 130 and hung_up.restored
    frozen = desk.do("freeze", "one")
    assert frozen.returncode == 0, frozen.stderr
    assert desk.row("one")["state"] == "frozen" and desk.row("one")["session"], (
        "saved when it was asked to stop"
    )
    back = desk.person("bottle", "resume", "one")
    back.see("start it? [y/N]")
    back.type("y\n")
    back.see("begun")
    assert desk.do("destroy", "one").returncode == 0
    assert back.leaves() in {6, 130} and back.restored


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04", "\x03"])
def test_what_is_not_agreed_to_leaves_no_trace(desk: Desk, answer: str) -> None:
    repository = desk.root / "repository"
    repository.mkdir()
    for line in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", "-C", str(repository), *line], check=True)
    desk.do("verify")  # what every command makes
    before = sorted(desk.state.rglob("*"))
    someone = desk.person("bottle", "start", "--cwd", cwd=repository)
    someone.see("agents:")
    someone.see("agent: ")
    someone.type("nobody\n")
    someone.see("'nobody' is not on the list")
    someone.type("tiny\n")
    someone.see("label (Enter")
    someone.type("Not A Label\n")
    someone.see("cannot name a bottle")
    someone.type("mine\n")
    someone.see("colour, one of")
    someone.type("green\n")
    shown = someone.see("start it? [y/N]")
    for words in (
        "mine (in use: mine-2 …)",
        "command",
        "5 USD",
        "registry_only",
        "bubblewrap",
        "tiny.md line 2",
    ):
        assert words in shown
    someone.type(answer)
    assert someone.leaves() == 130 and someone.restored
    assert sorted(desk.state.rglob("*")) == before


def test_two_with_one_label_get_two_names(desk: Desk) -> None:
    first, second = (desk.starts() for _ in range(2))
    assert "attached to one;" in first.text and "attached to one-2;" in second.text
    for someone in (first, second):
        someone.type("exit 3\n")
        assert someone.leaves() == 1
        assert "agent failed: command ended with exit code 3: what it said is on its screen" in someone.text


def test_without_a_terminal_it_says_so(desk: Desk) -> None:
    for arguments in (["start", "tiny"], ["start"]):
        done = desk.do(*arguments)
        assert done.returncode == 2 and done.stderr.startswith(
            "boatwright: this needs a terminal, and there is none"
        )
    none = desk.person("bottle", "start", "builtin", "--label", "x", "--color", "red")
    assert none.leaves() == 2
    assert "builtin has no screen of its own" in none.text
    half = desk.do("start", "tiny", "--prompt", "x")
    assert half.returncode == 2 and "--prompt needs --headless" in half.stderr
    assert desk.records.all() == []


def test_attached_to_a_headless_run_its_log_is_shown(desk: Desk) -> None:
    (desk.state / "agents" / "slow.md").write_text(
        SHELL.replace("cat; echo Done headless.", "echo working; while [ ! -e go ]; do sleep 0.1; done")
    )
    worker = subprocess.Popen(
        [str(PROGRAM), "bottle", "start", "slow", "--headless", "--prompt", "x"], env=desk.environment,
        cwd=desk.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    log = desk.state / "solo" / "slow.log"
    someone = desk.person("--help")
    someone.until(lambda: log.exists() and "working" in log.read_text(), "it works")
    watcher = desk.person("bottle", "attach", "slow")
    watcher.see("takes no input")
    watcher.see("working\n")
    (desk.workspace("slow") / "go").touch()
    assert watcher.leaves() == 0
    assert worker.wait(timeout=200) == 0


def test_a_record_of_the_release_before_is_read() -> None:
    old = {"slug": "a", "account": "a.1", "agent": "claude", "provider": "claude", "bottles": None,
           "model": "anthropic:x", "budget": {"usd": "5", "tokens": None}, "created": "2026-11-01T00:00:00Z",
           "state": "stopped"}  # fmt: skip
    assert Solo.model_validate_json(json.dumps(old)).terminal is False
    assert Solo.model_validate_json(json.dumps(old)).state is SoloState.STOPPED


def test_the_helper_inside_says_what_it_cannot() -> None:
    helper = [sys.executable, "-I", "-S", str(person_module.shelf.SOURCE / "terminal.py")]
    how: dict[str, Any] = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL}
    none = subprocess.run(helper, check=False, **how)
    assert (none.returncode, none.stderr) == (2, "terminal: no program to run\n")
    away = subprocess.run([*helper, "true"], check=False, **how)
    assert away.returncode == 126 and "cannot be controlled from here" in away.stderr
