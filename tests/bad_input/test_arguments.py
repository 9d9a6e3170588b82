"""What is typed wrong: refused before anything is written or spent, in one sentence, with what to type instead."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

Desk = Any  # tests/bad_input/conftest.py
TEXT = ("--text", "Pagination drops the last page")
GOOD = "anthropic:claude-sonnet-4-5"


@pytest.fixture(scope="module")
def repository(desk: Desk) -> Path:
    made: Path = desk.repository()
    return made


def wrong(text: str) -> str:
    return f"scripted:{text}"


RUNS = [
    # what is typed after `run --repo R`, the words of the sentence, a word of a next move
    ((), ("say what to do",), "--text"),
    ((*TEXT, "--issue", "1"), ("say what to do", "not both"), "--issue N"),
    (("--issue", "seven"), ("--issue", "integer"), "run --help"),
    (("--text", "  "), ("the text is empty",), "--text"),
    ((*TEXT, "--model", "gpt"), ("'gpt' is not a model",), "--model anthropic:NAME"),
    ((*TEXT, "--model", "mistral:pro"), ("'mistral:pro' is not a model",), "--model anthropic:NAME"),
    (
        (*TEXT, "--model", "scripted:absent.yml"),
        ("no scripted model at", "absent.yml"),
        "--model scripted:FILE",
    ),
    (TEXT, ("no model", "ANTHROPIC_API_KEY"), "export ANTHROPIC_API_KEY"),
    (
        (*TEXT, "--model", GOOD, "--agent", "nobody"),
        ("there is no agent 'nobody'", "builtin"),
        "boatwright agent list",
    ),
    ((*TEXT, "--model", GOOD, "--base", "nope"), ("no branch, tag or commit 'nope'",), "--base main"),
    ((*TEXT, "--model", GOOD, "--budget", "5"), ("'5' is not a budget", "5usd"), "--budget 5usd"),
    ((*TEXT, "--model", GOOD, "--budget", "-1usd"), ("'-1usd' is not a budget",), "--budget 5usd"),
    ((*TEXT, "--model", GOOD, "--budget", "5eur"), ("'5eur' is not a budget",), "--budget 2Mtok"),
    ((*TEXT, "--model", GOOD, "--budget", "0usd"), ("a budget of 0usd admits no call",), "--budget 5usd"),
    ((*TEXT, "--model", GOOD, "--budget", "0tok"), ("a budget of 0tok admits no call",), "--budget 5usd"),
    (
        (*TEXT, "--model", GOOD, "--budget", "99usd"),
        ("'--budget' asks for 99 USD", "allows 50 USD"),
        "50 USD or less",
    ),
]


@pytest.mark.parametrize(("typed", "words", "move"), RUNS, ids=lambda value: " ".join(value)[:40])
def test_run(desk: Desk, repository: Path, typed: tuple[str, ...], words: tuple[str, ...], move: str) -> None:
    desk.do("run", "--repo", str(repository), *typed).refuses(2, *words, move=move)


SCRIPTS = [
    ("plan: {goal: x}\nreplies:\n  - say: hello\n", "line 1: plan.steps"),
    ("replies:\n  - say: hello\n  - sya: hello\n", "line 3: replies.1.sya"),
    ("replies: [\n", "line 2: not YAML"),
    ("replies: []\nreplies: []\n", "line 2: the key 'replies' is there twice"),
]


def test_a_scripted_model_with_a_mistake_is_refused_with_file_and_line(desk: Desk, repository: Path) -> None:
    for number, (text, words) in enumerate(SCRIPTS):
        script = desk.root / f"wrong{number}.yml"
        script.write_text(text)
        said = desk.do("run", "--repo", str(repository), *TEXT, "--model", f"scripted:{script}")
        said.refuses(2, str(script), words, move=f"mend {script}")


def test_what_is_no_repository(desk: Desk) -> None:
    plain, empty = desk.root / "plain", desk.root / "empty"
    plain.mkdir(exist_ok=True)
    (plain / "file").write_text("x")
    empty.mkdir(exist_ok=True)
    desk.git(empty, "init", "--quiet")
    for arguments in (
        ("run", *TEXT, "--model", GOOD),
        ("plan", "text", "x", "--model", GOOD),
        ("issue", "create", "--title", "x"),
    ):
        desk.do(*arguments, "--repo", str(plain)).refuses(
            2, str(plain), "not a git repository", move="git init"
        )
    for arguments in (("init",), ("pr", "list"), ("status",)):
        desk.do(*arguments, "--repo", str(plain)).refuses(2, str(plain), "not a git repository")
    run = ("run", *TEXT, "--model", GOOD, "--repo")
    desk.do(*run, str(empty)).refuses(2, str(empty), "has no commit yet", move="first commit")
    desk.do(*run, str(desk.root / "absent")).refuses(
        2, "there is no repository at", "absent", move="--repo PATH"
    )
    desk.do(*run, str(plain / "file")).refuses(2, "there is no repository at", "file", move="--repo PATH")
    desk.do(*run, "ftp://host/x").refuses(2, "ftp://host/x is not a URL", move="https")
    desk.do(*run, "ext::sh -c true").refuses(2, "there is no repository at", move="--repo PATH")
    desk.do(*run, "http://127.0.0.1:1/x.git").refuses(
        1, "Could not read http://127.0.0.1:1/x.git", move="network"
    )
    said = desk.do(*run, "http://someone:hidden@127.0.0.1:1/x.git").refuses(
        2, "127.0.0.1", "holds a user name or password", move="use ssh"
    )
    assert "hidden" not in said.text


def test_an_issue_nobody_wrote(desk: Desk) -> None:
    repository = desk.repository()
    run = ("run", "--repo", str(repository), "--issue", "7", "--model", GOOD)
    desk.do(*run).refuses(2, "has no issue and no pull request of", repository.name, move="issue create")
    desk.do("issue", "create", "--repo", str(repository), "--title", "Something")
    desk.do(*run).refuses(2, "there is no issue 7", move="issue list")


NUMBERS = [
    (("pr", "show", "9"), "there is no pull request 9", "pr list"),
    (("pr", "diff", "9"), "there is no pull request 9", "pr list"),
    (("pr", "checkout", "9"), "there is no pull request 9", "pr list"),
    (("pr", "close", "9"), "there is no pull request 9", "pr list"),
    (("pr", "merge", "9"), "there is no pull request 9", "pr list"),
    (("pr", "approve", "9", "--sha", "0123456"), "there is no pull request 9", "pr list"),
    (("pr", "comment", "9", "hello"), "there is no issue or pull request 9", "pr list"),
    (("pr", "comment", "9", " "), "the comment is empty", "say something"),
    (("issue", "show", "9"), "there is no issue 9", "issue list"),
    (("issue", "create", "--title", " "), "the title is empty", "--title"),
]


def test_numbers_nobody_gave(desk: Desk, repository: Path) -> None:
    desk.do("issue", "create", "--repo", str(repository), "--title", "Something")
    for typed, words, move in NUMBERS:
        desk.do(*typed, "--repo", str(repository)).refuses(2, words, move=move)


EXECUTIONS = [("show",), ("events",), ("resume",), ("retry",), ("cancel",), ("budget", "show")]


def test_executions_nobody_knows(desk: Desk) -> None:
    for typed in EXECUTIONS:
        desk.do(*typed, "ex-unknown").refuses(2, "there is no execution ex-unknown", move="boatwright status")
    desk.do("budget", "raise", "ex-unknown", "5usd").refuses(
        2, "there is no execution ex-unknown", move="status"
    )
    desk.do("cancel", "").refuses(2, "there is no execution", move="boatwright status")


def test_commands_and_options_that_are_not_there(desk: Desk) -> None:
    desk.do("frobnicate").refuses(2, "frobnicate", move="boatwright --help")
    desk.do("run", "--bugdet", "5usd").refuses(2, "--bugdet", move="run --help")
    desk.do("retry", "ex-1", "--from", "nowhere").refuses(2, "'nowhere'", "analyze", move="retry --help")
    desk.do("gc", "--days", "-1").refuses(2, "--days", move="gc --help")
    desk.do("serve", "--port", "99999").refuses(2, "--port", move="serve --help")
    desk.do("serve", "--host", "0.0.0.0").refuses(
        5, "0.0.0.0 is not a loopback address", move="--host 127.0.0.1"
    )
    helped = desk.do()
    assert helped.code == 2 and "Usage: boatwright" in helped.out and not helped.err.strip()


def test_a_port_that_is_taken(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        desk.do("serve", "--port", port).refuses(2, f"127.0.0.1:{port} cannot be listened on", move="--port")


def test_variables_that_make_no_sense(desk: Desk, repository: Path) -> None:
    run = ("run", "--repo", str(repository), *TEXT, "--model", GOOD)
    desk.do("status", env={"BOATWRIGHT_LEASE_SECONDS": "-1"}).refuses(
        2, "BOATWRIGHT_LEASE_SECONDS", "-1", move="unset"
    )
    desk.do("status", env={"BOATWRIGHT_STATE": "/dev/null/x"}).refuses(
        7, "/dev/null/x", move="BOATWRIGHT_STATE"
    )
    desk.do("status", env={"BOATWRIGHT_DATABASE_URL": "mysql://x"}).refuses(2, "mysql", move="sqlite:///PATH")
    desk.do("status", env={"BOATWRIGHT_DATABASE_URL": "what"}).refuses(
        2, "database address", move="sqlite:///PATH"
    )
    desk.do(*run, env={"PATH": "/nowhere"}).refuses(3, "git is not installed", move="install git")
    bwrap = {"BOATWRIGHT_BWRAP": "/nowhere/bwrap"}
    desk.do(*run, env=bwrap).refuses(3, "no bottle can be made", "/nowhere/bwrap", move="boatwright doctor")
    desk.do(*run, "--dry-run", env=bwrap).refuses(3, "no bottle can be made", move="boatwright doctor")
    desk.do("worker", env=bwrap).refuses(3, "no bottle can be made", move="boatwright doctor")


def test_nothing_was_begun(desk: Desk) -> None:
    """After every refusal above: no execution, and the ledger is whole."""
    assert "0 executions" in desk.do("status").out
    desk.lost_nothing()


def test_it_is_the_same_without_the_forking_server(desk: Desk, repository: Path) -> None:
    command = ["run", "--repo", str(repository), *TEXT, "--model", "gpt"]
    argv = [sys.executable, "-c", "from boatwright.cli import main; main()", *command]
    environment = {**desk.environment, "BOATWRIGHT_STATE": str(desk.state)}
    cold = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    forked = desk.do(*command)
    assert (cold.returncode, cold.stdout, cold.stderr) == (forked.code, forked.out, forked.err)
