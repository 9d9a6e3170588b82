"""The commands people type on issues and pull requests, from argument list to exit code."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright.cli import app, common
from boatwright.rules import naming
from boatwright.stages.house import House

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
}


def git(at: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", *arguments], cwd=at, env=ENVIRONMENT, capture_output=True, check=True, text=True
    )
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's repository with one issue (1) and, of the same words as the issue, one pull request (2)."""
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    path = tmp_path / "user"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    (path / "a.txt").write_text("one\n")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "first")
    monkeypatch.chdir(path)
    yield path


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = app.run(arguments)
    said = capsys.readouterr()
    return code, said.out, said.err


def propose(path: Path, *, draft: bool = False, text: str = "fixed \x1b[31m\n") -> str:
    """A pull request as deliver would open it; returns its head."""
    name = naming.repository_id(str(path))
    house = House.open(producer="test")
    try:
        git(path, "switch", "-q", "-c", "aside")
        (path / "a.txt").write_text(text)
        git(path, "commit", "-q", "-a", "-m", "work")
        head = git(path, "rev-parse", "HEAD")
        git(path, "push", "-q", house.forge.push_url(name), "HEAD:refs/heads/boatwright/issue-1-fix")
        git(path, "switch", "-q", "main")
        git(path, "branch", "-q", "-D", "aside")
        opening = house.forge.open_pull_request(
            name,
            title="Fix \x1b[31mit",
            body="Summary\x07",
            branch="boatwright/issue-1-fix",
            base_ref="main",
            draft=draft,
            author="bot",
            issue=1,
        )
        asyncio.run(opening)
    finally:
        house.close()
    return head


def create(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        call(
            capsys, "issue", "create", "--title", "It \x1b[31mdrops", "--body", "a page\x07", "--label", "bug"
        )[0]
        == 0
    )


def test_an_issue_is_written_listed_and_read(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(capsys)
    code, out, _ = call(capsys, "issue", "list")
    assert code == 0
    assert r"It \x1b[31mdrops  [bug]" in out
    code, out, _ = call(capsys, "issue", "show", "1")
    assert r"a page\x07" in out
    assert "\x1b" not in out
    code, out, _ = call(capsys, "issue", "list", "--json")
    assert json.loads(out)[0]["title"] == "It \x1b[31mdrops"
    code, out, _ = call(capsys, "issue", "show", "1", "--json")
    assert json.loads(out)["issue"]["labels"] == ["bug"]


def test_a_repository_nobody_asked_anything_of_has_none(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(capsys, "issue", "list")[:2] == (0, "no open issues\n")
    assert json.loads(call(capsys, "pr", "list", "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("issue", "show", "7"), 2, "has no issue and no pull request of"),
        (("issue", "list", "--repo", "/"), 2, "is not a git repository"),
        (("issue", "create", "--title", " "), 2, "the title is empty"),
        (("issue", "create"), 2, "Missing option '--title'"),
        (("pr", "diff", "x"), 2, "Invalid value for 'number'"),
        (("pr", "bogus"), 2, "No such command 'bogus'"),
        (
            ("pr", "checkout", "1", "--repo", "https://example.org/x.git"),
            2,
            "has no issue and no pull request of",
        ),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_a_next_move(
    repository: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    answered, _, complaint = call(capsys, *arguments)
    assert answered == code
    first, *moves = complaint.splitlines()
    assert first.startswith("boatwright: ")
    assert sentence in first
    assert moves
    assert all(move.startswith("  → ") for move in moves)


def test_a_pull_request_is_listed_read_and_taken(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(capsys)
    head = propose(repository)
    code, out, _ = call(capsys, "pr", "list")
    assert (code, r"Fix \x1b[31mit" in out) == (0, True)
    assert json.loads(call(capsys, "pr", "list", "--json")[1])[0]["head"] == head
    code, out, _ = call(capsys, "pr", "show", "2")
    assert r"Summary\x07" in out
    code, out, _ = call(capsys, "pr", "diff", "2")
    assert r"+fixed \x1b[31m" in out
    assert "\x1b" not in out
    code, out, _ = call(capsys, "pr", "checkout", "2")
    assert code == 0
    assert git(repository, "rev-parse", "HEAD") == head


def test_the_diff_keeps_tabs_and_words_between_colons(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(capsys)
    propose(repository, text="\t:bug: [bold]x[/bold]\n")
    assert "+\t:bug: [bold]x[/bold]\n" in call(capsys, "pr", "diff", "2")[1]


def test_the_raw_diff_is_byte_for_byte(repository: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    app.run(("issue", "create", "--title", "t"))
    propose(repository)
    capsysbinary.readouterr()
    assert app.run(("pr", "diff", "2", "--raw")) == 0
    assert b"+fixed \x1b[31m\n" in capsysbinary.readouterr().out


def test_a_merge_reaches_the_directory(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(capsys)
    propose(repository)
    code, out, _ = call(capsys, "pr", "merge", "2")
    assert code == 0
    assert "holds the merge" in out
    assert (repository / "a.txt").read_text() == "fixed \x1b[31m\n"
    assert json.loads(call(capsys, "issue", "list", "--json")[1]) == []


def test_a_merge_leaves_uncommitted_work_alone_and_says_how_to_finish(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(capsys)
    propose(repository)
    (repository / "a.txt").write_text("mine\n")
    code, out, _ = call(capsys, "pr", "merge", "2")
    assert code == 0
    assert "uncommitted changes" in out
    assert "→ git -C " in out
    assert (repository / "a.txt").read_text() == "mine\n"


def test_a_draft_is_not_merged_unless_it_is_said(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    create(capsys)
    propose(repository, draft=True)
    code, _, complaint = call(capsys, "pr", "merge", "2")
    assert code == 5
    assert "--unproven" in complaint
    assert call(capsys, "pr", "merge", "2", "--unproven")[0] == 0


def test_a_closed_pull_request_is_closed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(capsys)
    propose(repository)
    assert call(capsys, "pr", "close", "2")[0] == 0
    assert json.loads(call(capsys, "pr", "list", "--state", "closed", "--json")[1])[0]["state"] == "closed"
    assert call(capsys, "pr", "merge", "2")[0] == 6


def test_commands_name_a_repository_by_path_too(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    create(capsys)
    os.chdir("/")
    assert common.repository_of(str(repository)) == naming.repository_id(str(repository))
    assert "1  open" in call(capsys, "issue", "list", "--repo", str(repository))[1]
