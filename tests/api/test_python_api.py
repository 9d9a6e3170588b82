"""The Python API: one agent, one task, one bottle, and what a caller is told when it does not work."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import boatwright
from boatwright import BottleError
from boatwright.cli import app

GIT = {"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
WHO = ("-c", "user.name=Someone", "-c", "user.email=someone@localhost")


@dataclass
class Desk:
    """A state directory, a repository to stand in, and a scripted model that is the default one."""

    root: Path
    repository: Path

    def script(self, *rounds: list[str]) -> None:
        """A list of shell lines for each prompt, and a word at the end of each."""
        told = [
            [*({"say": "Working.", "tools": [{"bash": line}]} for line in lines), {"say": f"Done {number}."}]
            for number, lines in enumerate(rounds, start=1)
        ]
        text = yaml.safe_dump({"replies": told[0], "later": told[1:]})
        (self.root / "model.yml").write_text(text)

    def program(self, name: str, text: str) -> None:
        """A coding agent of our own making, first on PATH."""
        place = self.root / "bin"
        place.mkdir(exist_ok=True)
        (place / name).write_text(text)
        (place / name).chmod(0o755)

    def agent(self, name: str, keys: str, *, calls: str) -> None:
        """A manifest of this host's."""
        place = self.root / "state" / "agents"
        place.mkdir(parents=True, exist_ok=True)
        (self.root / "state").chmod(0o711)
        (place / f"{name}.md").write_text(f"---\nprovider: command\nforge_calls: {calls}\n{keys}\n---\n")

    def git(self, *arguments: str) -> None:
        argv = ["git", "-C", str(self.repository), *WHO, *arguments]
        subprocess.run(argv, check=True, env=GIT, capture_output=True)

    def read(self, slug: str, path: str, capfdbinary: Any) -> str:
        capfdbinary.readouterr()
        assert app.run(["bottle", "exec", slug, "--", "cat", path]) == 0
        return str(capfdbinary.readouterr().out.decode())

    def listed(self, capfdbinary: Any) -> list[dict[str, Any]]:
        capfdbinary.readouterr()
        assert app.run(["bottle", "list", "--json"]) == 0
        return list(json.loads(capfdbinary.readouterr().out))


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    root = Path(tempfile.mkdtemp(prefix="bw-api-"))
    root.chmod(0o711)
    desk = Desk(root, root / "work")
    desk.repository.mkdir()
    (desk.repository / "README").write_text("Hello.\n")
    desk.git("init", "--quiet")
    desk.git("add", "--all")
    desk.git("commit", "--quiet", "-m", "Begin")
    desk.script(["echo one > made.txt"], ["echo two >> made.txt"])
    for name in [name for name in os.environ if name.startswith("BOATWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOATWRIGHT_STATE", str(root / "state"))
    monkeypatch.setenv("BOATWRIGHT_MODEL", f"scripted:{root / 'model.yml'}")
    monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(desk.repository)
    yield desk
    shutil.rmtree(root, ignore_errors=True)


def test_importing_it_loads_nothing_of_the_rest() -> None:
    line = "import sys, boatwright; print([m for m in sys.modules if m.split('.')[0] in ('pydantic', 'typer', 'dbos')"
    line += " or m.startswith('boatwright.')])"
    ran = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_the_signatures_are_those_of_the_design() -> None:
    told = {name: str(inspect.signature(getattr(boatwright, name))).partition(" ->")[0] for name in (
        "start_headless", "resume_headless", "freeze", "destroy",
    )}  # fmt: skip
    names = {name: list(inspect.signature(getattr(boatwright, name)).parameters) for name in told}
    assert names["start_headless"] == [
        "agent_name", "prompt", "bottles", "label", "color", "backend_name", "copy_cwd", "forge_env", "user_cwd",
    ]  # fmt: skip
    assert names["resume_headless"] == ["slug", "prompt", "backend_name", "forge_env"]
    assert names["freeze"] == names["destroy"] == ["slug", "backend_name"]
    assert all("(agent_name" in text or "(slug" in text for text in told.values())
    error = BottleError("said", exit_code=4)
    assert (str(error), error.exit_code, error.slug, BottleError("said").exit_code) == ("said", 4, None, 1)


def test_started_frozen_resumed_destroyed(desk: Desk, capfdbinary: Any) -> None:
    slug = boatwright.start_headless("builtin", prompt="Make the file", copy_cwd=True, color="green")
    assert slug == "builtin"
    assert desk.read(slug, "made.txt", capfdbinary) == "one\n"
    assert desk.read(slug, "README", capfdbinary) == "Hello.\n"
    boatwright.freeze(slug)
    boatwright.freeze(slug)
    (row,) = desk.listed(capfdbinary)
    assert (row["state"], row["color"], row["ended"]) == ("frozen", "green", "finished: Done 1.")
    boatwright.resume_headless(slug, prompt="And another line")
    assert desk.read(slug, "made.txt", capfdbinary) == "one\ntwo\n"
    boatwright.destroy(slug)
    boatwright.destroy(slug)
    assert desk.listed(capfdbinary) == []


def test_a_label_in_use_is_numbered_and_a_free_one_has_a_budget_of_its_own(
    desk: Desk, capfdbinary: Any
) -> None:
    made = [boatwright.start_headless("builtin", prompt="x", label="work") for _ in range(3)]
    assert made == ["work", "work-2", "work-3"]
    spent = {row["slug"]: row["usd"] for row in desk.listed(capfdbinary)}
    assert float(spent["work"]) > 0
    boatwright.destroy("work")
    assert boatwright.start_headless("builtin", prompt="x", label="work") == "work"
    again = {row["slug"]: row["usd"] for row in desk.listed(capfdbinary)}
    assert again["work"] == spent["work"], "what another bottle of this name spent is not on its bill"
    for slug in made:
        boatwright.destroy(slug)


def test_the_users_directory_is_what_is_committed_there(desk: Desk, capfdbinary: Any) -> None:
    (desk.repository / "README").write_text("Changed, not committed.\n")
    sub = desk.repository / "sub"
    sub.mkdir()
    os.chdir("/")
    slug = boatwright.start_headless("builtin", prompt="x", copy_cwd=True, user_cwd=sub)
    assert desk.read(slug, "README", capfdbinary) == "Hello.\n"
    boatwright.destroy(slug)


def test_from_inside_an_event_loop(desk: Desk) -> None:
    async def caller() -> str:
        return boatwright.start_headless("builtin", prompt="x")

    boatwright.destroy(asyncio.run(caller()))


def test_an_agent_that_fails_raises_with_its_own_exit_code(desk: Desk, capfdbinary: Any) -> None:
    desk.program("claude", "#!/bin/sh\ncat > /dev/null\necho it broke\nexit 7\n")
    with pytest.raises(BottleError, match="exit code 7: it broke") as raised:
        boatwright.start_headless("claude", prompt="x")
    assert (raised.value.exit_code, raised.value.slug) == (7, "claude")
    assert raised.value.next_moves
    (row,) = desk.listed(capfdbinary)
    assert (row["state"], row["end"]["stop"], row["end"]["exit_code"]) == ("stopped", "agent failed", 7)
    boatwright.destroy("claude")


def test_a_budget_that_runs_out_is_told(desk: Desk, capfdbinary: Any) -> None:
    (desk.root / "state").mkdir(mode=0o711)
    (desk.root / "state" / "settings.yml").write_text("budget: {execution: {usd: 0.004}}\n")
    with pytest.raises(BottleError) as raised:
        boatwright.start_headless("builtin", prompt="x")
    assert (raised.value.exit_code, raised.value.slug) == (4, "builtin")
    (row,) = desk.listed(capfdbinary)
    assert row["end"]["stop"] == "budget" and float(row["usd"]) <= 0.004
    assert "boatwright budget raise builtin 10usd" in raised.value.next_moves
    boatwright.destroy("builtin")


def test_nothing_of_the_hosts_is_in_the_bottle(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-sk-4711")
    desk.program(
        "claude",
        "#!/bin/sh\ncat > $HOME/asked\nenv > $HOME/env\ncat /proc/*/environ > $HOME/all 2>/dev/null\nexit 3\n",
    )
    with pytest.raises(BottleError):
        boatwright.start_headless("claude", prompt="x", label="canary-look")
    state = desk.root / "state"
    found = [
        path for path in state.rglob("*")
        if stat.S_ISREG(path.lstat().st_mode) and b"canary-sk-4711" in path.read_bytes()
    ]  # fmt: skip
    assert found == []
    boatwright.destroy("canary-look")


def trace(state: Path) -> set[str]:
    """What there is of bottles: directories, records, wires, accounts."""
    inside = ("solo", "bottles", "run/wires", "artifacts")
    return {str(path) for name in inside for path in (state / name).rglob("*")}


@pytest.mark.parametrize(
    ("agent", "more", "code", "sentence"),
    [
        ("nobody", {}, 2, "there is no agent 'nobody'"),
        ("builtin", {"label": "Foo"}, 2, "cannot name a bottle"),
        ("builtin", {"label": "-leading"}, 2, "cannot name a bottle"),
        ("builtin", {"label": "a; rm -rf /"}, 2, "cannot name a bottle"),
        ("builtin", {"label": "../escape"}, 2, "cannot name a bottle"),
        ("builtin", {"label": "ex-0123"}, 2, "Boatwright's own"),
        ("foo; rm -rf /", {}, 2, "not a name of an agent"),
        ("builtin", {"bottles": ["foo bar"]}, 2, "not a name of a bottle"),
        ("builtin", {"bottles": ["absent"]}, 2, "absent"),
        ("builtin", {"color": "mauve"}, 2, "not a colour"),
        ("builtin", {"prompt": " \n"}, 2, "the prompt is empty"),
        ("builtin", {"user_cwd": "/nowhere/at/all"}, 2, "there is no directory"),
        ("builtin", {"user_cwd": "/", "copy_cwd": True}, 2, "not a git repository"),
        ("builtin", {"backend_name": "podman"}, 2, "there is no backend 'podman'"),
        ("builtin", {"forge_env": {}}, 2, "FORGE_ISSUE of forge_env is not the number"),
        (
            "builtin",
            {"forge_env": {"FORGE_ISSUE": "9" * 5_000}},
            2,
            "FORGE_ISSUE of forge_env is not the number",
        ),
        (
            "builtin",
            {"forge_env": {"FORGE_ISSUE": "2147483648"}},
            2,
            "FORGE_ISSUE of forge_env is not the number",
        ),
        (
            "builtin",
            {"forge_env": {"FORGE_ISSUE": "1", "FORGE_REPOSITORY": Path("/")}},
            2,
            "is not a path or a URL",
        ),
        ("builtin", {"forge_env": {"FORGE_ISSUE": "1", "FORGE_REPOSITORY": ""}}, 2, "is not a path or a URL"),
        (
            "caller",
            {"forge_env": {"FORGE_ISSUE": "1", "FORGE_REPOSITORY": "https://h:99999/a"}},
            2,
            "names port 99999",
        ),
        ("builtin", {"forge_env": {"FORGE_ISSUE": "1; rm"}}, 2, "FORGE_ISSUE of forge_env is not the number"),
        (
            "builtin",
            {"forge_env": {"FORGE_ISSUE": "1", "FORGE_TOKEN": "canary-4711"}},
            2,
            "no FORGE_TOKEN: this host's own",
        ),
        ("builtin", {"forge_env": {"FORGE_ISSUE": "1"}}, 2, "builtin thinks on the host"),
        ("claude", {"forge_env": {"FORGE_ISSUE": "1"}}, 2, "the agent 'claude' may not call the forge"),
        ("caller", {"forge_env": {"FORGE_ISSUE": "1"}, "user_cwd": "/"}, 2, "whose issue 1 is it"),
        ("caller", {"forge_env": {"FORGE_ISSUE": "1"}}, 2, "has no issue"),
        (
            "caller",
            {"forge_env": {"FORGE_ISSUE": "1", "FORGE_REPOSITORY": "/nowhere"}},
            2,
            "there is no repository at",
        ),
    ],
)
def test_what_is_refused_leaves_no_trace(
    desk: Desk, agent: str, more: dict[str, Any], code: int, sentence: str
) -> None:
    desk.program("claude", "#!/bin/sh\nexit 0\n")
    desk.agent("caller", 'command: {run: [env, "true"], protocol: openai}', calls="read")
    before = trace(desk.root / "state")
    with pytest.raises(BottleError, match=sentence) as raised:
        boatwright.start_headless(agent, **{"prompt": "x", **more})
    assert "canary-4711" not in str(raised.value) + str(raised.value.next_moves)
    assert (raised.value.exit_code, raised.value.slug) == (code, None)
    assert trace(desk.root / "state") == before


def test_what_fails_before_the_agent_begins_leaves_no_trace(desk: Desk, capfdbinary: Any) -> None:
    (desk.root / "model.yml").write_text("replies: [{no: such key}]\n")
    with pytest.raises(BottleError) as raised:
        boatwright.start_headless("builtin", prompt="x")
    assert raised.value.slug is None and raised.value.exit_code == 4
    assert desk.listed(capfdbinary) == []
    assert trace(desk.root / "state") == set()


@pytest.mark.parametrize(
    "call", [boatwright.freeze, lambda slug: boatwright.resume_headless(slug, prompt="x")]
)
def test_an_unknown_bottle_is_one_sentence(desk: Desk, call: Any) -> None:
    with pytest.raises(BottleError, match="there is no bottle 'absent'") as raised:
        call("absent")
    assert raised.value.exit_code == 2
    with pytest.raises(BottleError, match="cannot name a bottle"):
        call("../absent")


def test_a_bottle_stays_with_the_backend_that_made_it(desk: Desk, containers: str, capfdbinary: Any) -> None:
    """Begun in a container, frozen, and gone on with in one, though this host's own backend is another."""
    if containers:
        pytest.skip(containers)
    slug = boatwright.start_headless(
        "builtin", prompt="Begin.", backend_name="container", user_cwd=desk.repository
    )
    boatwright.freeze(slug)
    with pytest.raises(BottleError, match="was made by the backend container"):
        boatwright.resume_headless(slug, prompt="Go on.", backend_name="bubblewrap")
    boatwright.resume_headless(slug, prompt="Go on.")
    assert desk.read(slug, "made.txt", capfdbinary) == "one\ntwo\n"
    boatwright.destroy(slug, backend_name="container")
    assert list((desk.root / "state" / "bottles").iterdir()) == []
