"""``boatwright bottle explain`` and ``boatwright agent list``: from manifests in a commit to what people read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from boatwright.cli import app

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}
AGENT = """---
provider: builtin
model: anthropic:some
bottles: base
skills: lint
---
Small changes.
"""


def git(at: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=at, env=ENVIRONMENT, capture_output=True, check=True)


def commit(at: Path, **files: str) -> None:
    """Write below .boatwright (``agents__x`` is agents/x.md) and commit everything."""
    for name, text in files.items():
        file = at / ".boatwright" / f"{name.replace('__', '/').replace('_', '-')}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    git(at, "add", "-A")
    git(at, "commit", "-q", "--allow-empty", "-m", "change")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("BOATWRIGHT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def repository(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "user"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / ".boatwright.yml").write_text("test_command: make test\nlimits: {pids: 64}\n")
    skill = path / ".boatwright" / "skills" / "lint"
    (skill / "bin").mkdir(parents=True)
    (skill / "SKILL.md").write_text("How to lint")
    (skill / "bin" / "run").write_text("How to lint")  # the same content twice
    (skill / "bin" / "run").chmod(0o755)
    commit(
        path,
        agents__imp=AGENT,
        bottles__base="---\nenvironment: {MODE: base}\n---\n",
        bottles__small="---\nextends: base\nlimits:\n  memory: 512MiB\n---\nSmall.",
    )
    monkeypatch.chdir(path)
    return path


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = app.run(arguments)
    said = capsys.readouterr()
    assert "Traceback" not in said.err
    return code, said.out, said.err


def explained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, tuple[str, str, int | None]]:
    code, out, err = call(capsys, "bottle", "explain", *arguments, "--json")
    assert code == 0, err
    return {each["name"]: (each["value"], each["from"], each["line"]) for each in json.loads(out)["values"]}


def test_every_value_and_where_it_came_from(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = explained(capsys, "imp", "--bottle", "small", "--budget", "1usd")
    assert said["agent"] == ("imp", "flag --agent", None)
    assert said["provider"] == ("builtin", ".boatwright/agents/imp.md", 2)
    assert said["skills.lint"] == ("2 files of .boatwright/skills/lint", ".boatwright/agents/imp.md", 5)
    assert said["bottles.small"] == ("small", "flag --bottle", None)
    assert said["environment.MODE"] == ("base", ".boatwright/bottles/base.md", 2)
    assert said["limits.memory"] == ("512 MiB", ".boatwright/bottles/small.md", 4)
    assert said["limits.pids"] == ("64", ".boatwright.yml", None)
    assert said["budget.usd"] == ("1 USD", "flag --budget", None)
    assert said["test_command"] == ("make test", ".boatwright.yml", None)
    assert said["gate_rounds"] == ("3", "default", None)


def test_for_people(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "bottle", "explain", "imp")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["model"].split() == ["model", "anthropic:some", ".boatwright/agents/imp.md", "line", "3"]
    assert lines["network"].split() == ["network", "registry_only", "default"]


def test_only_the_base_commit_is_read(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".boatwright/agents/imp.md").write_text("---\nprovider: nobody\n---\n")
    (repository / ".boatwright/agents/new.md").write_text(AGENT)
    assert explained(capsys, "imp")["provider"][0] == "builtin"
    assert call(capsys, "bottle", "explain", "new")[0] == 2
    commit(repository)
    assert call(capsys, "bottle", "explain", "new")[0] == 0
    assert call(capsys, "bottle", "explain", "new", "--base", "HEAD~1")[0] == 2


def test_the_hosts_agent_wins_and_it_is_said(
    repository: Path, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (state / "agents").mkdir(parents=True)
    (state / "agents" / "imp.md").write_text("---\nmodel: anthropic:ours\nbottles: small\n---\n")
    code, out, _ = call(capsys, "bottle", "explain", "imp")
    assert code == 0
    assert "anthropic:ours" in out
    assert (
        f"note: {state}/agents/imp.md of the host is used; .boatwright/agents/imp.md of the repository is not"
        in out
    )


def test_the_ceiling_of_the_host(repository: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state.mkdir()
    (state / "settings.yml").write_text("limits: {memory: 256MiB}\n")
    code, _, err = call(capsys, "bottle", "explain", "imp", "--bottle", "small")
    assert code == 2
    assert err.splitlines() == [
        "boatwright: 'limits.memory' of .boatwright/bottles/small.md line 4 asks for 512 MiB; this host allows 256 MiB",
        "  → ask for 256 MiB or less",
        "  → or let the operator raise 'limits.memory' in settings.yml",
    ]
    (state / "bottles").mkdir(exist_ok=True)
    (state / "bottles" / "small.md").write_text("---\nlimits: {memory: 1GiB}\n---\n")
    code, _, err = call(capsys, "bottle", "explain", "imp", "--bottle", "small")
    assert code == 2
    assert f"'limits.memory' of {state}/bottles/small.md line 2 asks for 1024 MiB" in err


@pytest.mark.parametrize(
    ("arguments", "sentence", "move"),
    [
        (
            ("imp", "--bottle", "smal"),
            "there is no bottle 'smal'; the nearest is 'small'",
            "write 'small' instead",
        ),
        (("imp", "--bottle", "../agents/imp"), "is not a name of a bottle", "boatwright agent list"),
        (("foo; rm -rf /",), "is not a name of an agent", "boatwright agent list"),
        (("nobody",), "there is no agent 'nobody'; there are: imp, ", "boatwright agent list"),
        (("imp", "--budget", "lots"), "'lots' is not a budget", "--budget 5usd"),
        (("imp", "--base", "nowhere"), "has no branch, tag or commit 'nowhere'", "--base main"),
    ],
)
def test_what_was_typed_wrong(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str, move: str
) -> None:
    code, _, err = call(capsys, "bottle", "explain", *arguments)
    assert code == 2
    assert sentence in err.splitlines()[0]
    assert f"  → {move}" in err


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"agents__imp": "---\nbottels: x\n---\n"},
            ".boatwright/agents/imp.md line 2: unknown key 'bottels'",
        ),
        (
            {"agents__imp": "---\nprovider: nobody\n---\n"},
            ".boatwright/agents/imp.md line 2: 'nobody' is not a provider",
        ),
        (
            {"agents__imp": "---\nskills: [none]\n---\n"},
            ".boatwright/agents/imp.md line 2: there is no skill 'none'",
        ),
        (
            {"bottles__base": "---\nextends: small\n---\n"},
            ".boatwright/bottles/small.md line 2: bottles extend each other in a circle: base → small → base",
        ),
    ],
)
def test_what_was_written_wrong(
    repository: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], sentence: str
) -> None:
    commit(repository, **files)
    code, out, err = call(capsys, "bottle", "explain", "imp")
    assert (code, out) == (2, "")
    assert err.splitlines()[0].startswith(f"boatwright: {sentence}")
    assert len(err.splitlines()) > 1


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (".boatwright", ".boatwright is a link, not a folder"),
        (".boatwright/agents", ".boatwright/agents is a link, not a folder"),
        (".boatwright/agents/imp.md", ".boatwright/agents/imp.md is a link, not a file"),
        (".boatwright/skills/lint", "the skill .boatwright/skills/lint is refused: lint is a link"),
        (
            ".boatwright/skills/lint/SKILL.md",
            "the skill .boatwright/skills/lint is refused: SKILL.md is a link",
        ),
    ],
)
def test_a_link_leads_nowhere(
    repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], link: str, sentence: str
) -> None:
    place = repository / link
    place.rename(tmp_path / "aside")
    place.symlink_to(tmp_path / "aside")
    commit(repository) if link != ".boatwright" else (
        git(repository, "add", "-A"),
        git(repository, "commit", "-qm", "x"),
    )
    code, _, err = call(capsys, "bottle", "explain", "imp")
    assert code == 2
    assert err.startswith(f"boatwright: {sentence}")


def test_a_skill_that_is_too_large(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / ".boatwright/skills/lint/big").write_bytes(os.urandom(1 << 20))
    commit(repository)
    code, _, err = call(capsys, "bottle", "explain", "imp")
    assert code == 2
    assert ".boatwright/skills/lint is larger than 1024 KiB" in err


def test_the_list_of_agents(repository: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (state / "agents").mkdir(parents=True)
    (state / "agents" / "ours.md").write_text("---\nbottles: [a, b]\n---\n")
    commit(repository, agents__bad="---\nx: 1\n---\n", agents__later="---\nprovider: nobody\n---\n")
    code, out, _ = call(capsys, "agent", "list", "--json")
    assert code == 0
    rows = {row["name"]: row for row in json.loads(out)}
    assert (rows["imp"]["provider"], rows["imp"]["model"], rows["imp"]["bottles"]) == (
        "builtin",
        "anthropic:some",
        ["base"],
    )
    assert (rows["imp"]["where"], rows["imp"]["file"]) == ("repository", ".boatwright/agents/imp.md")
    assert (rows["ours"]["where"], rows["ours"]["file"]) == ("host", f"{state}/agents/ours.md")
    assert "line 2: unknown key 'x'" in rows["bad"]["problem"]
    assert rows["later"]["problem"] == "'nobody' is not a provider here"
    assert (rows["builtin"]["where"], rows["builtin"]["file"]) == ("provider", None)
    code, out, _ = call(capsys, "agent", "list")
    assert code == 0
    assert "not usable: .boatwright/agents/bad.md line 2" in out
    assert "a + b" in out


def test_without_a_repository_the_hosts_remain(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (state / "agents").mkdir(parents=True)
    (state / "agents" / "ours.md").write_text("---\nmodel: anthropic:ours\n---\n")
    assert explained(capsys, "ours")["model"] == ("anthropic:ours", f"{state}/agents/ours.md", 2)
    assert "ours" in call(capsys, "agent", "list")[1]
    assert call(capsys, "agent", "list", "--base", "main")[0] == 2
    assert call(capsys, "agent", "list", "--repo", str(tmp_path))[0] == 2
