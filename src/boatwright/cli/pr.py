"""``boatwright pr``: pull requests of the local forge: read, take, talk, decide."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common, control
from boatwright.cli.issue import listed
from boatwright.cli.safe import one_line, printable
from boatwright.forge.local import LocalForge
from boatwright.forge.local_checkout import Brought, Checkout
from boatwright.forge.protocol import PullRequest
from boatwright.intake import commands, request
from boatwright.stages.house import House
from boatwright.values.state import FINISHED
from boatwright.workflows.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Pull requests: read, take, talk, decide.")
Number = Annotated[int, typer.Argument(help="The pull request's number.")]
Repo = Annotated[str, typer.Option("--repo", help="The repository: a path or a URL.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


class Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"
    ALL = "all"

    @property
    def state(self) -> str | None:
        return None if self is Which.ALL else self.value


@app.command("list")
def list_(
    repo: Repo = ".",
    state: Annotated[Which, typer.Option("--state", help="Which ones.")] = Which.OPEN,
    as_json: Json = False,
) -> int:
    """The pull requests of a repository."""
    with common.housed() as house:
        found = listed(repo, lambda repository: house.forge.pull_requests(repository, state=state.state))
    if as_json:
        common.emit_json(found)
        return 0
    if not found:
        common.say("no open pull requests" if state is Which.OPEN else "no pull requests")
    for pull in found:
        common.say(f"{pull.number:>5}  {_state(pull):<7} {pull.head[:12]}  {one_line(pull.title)}")
    return 0


@app.command("show")
def show(number: Number, repo: Repo = ".", as_json: Json = False) -> int:
    """One pull request: what it says, its checks, what was said about it."""
    repository = common.repository_of(repo)
    with common.housed() as house:
        forge = house.forge
        pull = common.wait(forge.pull_request(repository, number))
        checks = common.wait(forge.checks(repository, pull.head))
        comments = common.wait(forge.comments(repository, number))
    if as_json:
        common.emit_json({"pull_request": pull, "checks": checks, "comments": comments})
        return 0
    common.say(f"pull request {pull.number} ({_state(pull)}): {one_line(pull.title)}")
    common.say(f"{pull.branch} at {pull.head} into {pull.base_ref}, by {one_line(pull.author)}")
    if pull.merged_commit:
        common.say(f"merged as {pull.merged_commit}")
    common.say(f"\n{pull.body.rstrip()}")
    for check in checks:
        common.say(f"\ncheck {one_line(check.name)}: {check.conclusion}. {one_line(check.summary)}")
    for comment in comments:
        common.say(f"\n--- {one_line(comment.author)}, {comment.created:%Y-%m-%d %H:%M} UTC")
        common.say(comment.body.rstrip())
    return 0


@app.command("diff")
def diff(
    number: Number,
    repo: Repo = ".",
    raw: Annotated[
        bool, typer.Option("--raw", help="Byte for byte, for `git apply`; not for a terminal.")
    ] = False,
) -> int:
    """What a pull request changes. Control characters are shown, not obeyed."""
    repository = common.repository_of(repo)
    with common.housed() as house:
        forge = _local(house, repository)
        if raw:
            sys.stdout.buffer.write(common.wait(forge.patch(repository, number)))
            return 0
        sys.stdout.write(printable(common.wait(forge.diff(repository, number))))  # tabs stay tabs
    return 0


@app.command("checkout")
def checkout(number: Number, repo: Repo = ".") -> int:
    """Put a pull request's branch into the repository at --repo and switch to it. Nothing uncommitted is
    lost.
    """
    source = request.resolve_source(repo)
    with common.housed() as house:
        repository = common.repository_of(repo)
        forge = _local(house, repository)
        pull = common.wait(forge.pull_request(repository, number))
        _tell(_directory(source, forge.path(repository)).take(pull))
    return 0


@app.command("comment")
def comment(
    number: Number, text: Annotated[str, typer.Argument(help="What to say.")], repo: Repo = "."
) -> int:
    """Say something. On an open pull request of ours it starts the next turn."""
    with common.opened() as (house, engine):
        repository = common.repository_of(repo)
        posted = common.wait(commands.comment(house, engine, repository, number, text=text, by=common.me()))
        common.say(f"comment {posted.id} is on {number}")
        return _carry_on(house, engine, repository, number)


@app.command("approve")
def approve(
    number: Number,
    sha: Annotated[str, typer.Option("--sha", help="The commit you looked at, at least 7 characters.")],
    repo: Repo = ".",
) -> int:
    """Accept the changed tests of exactly one commit, and what others pushed to protected paths; its gates run again."""
    with common.opened() as (house, engine):
        repository = common.repository_of(repo)
        common.wait(commands.approve(house, engine, repository, number, sha=sha, by=common.me()))
        common.say(f"approved for {sha}")
        return _carry_on(house, engine, repository, number)


@app.command("close")
def close(number: Number, repo: Repo = ".") -> int:
    """Close without merging: the bottle is destroyed and nobody asks again."""
    with common.opened() as (house, engine):
        repository = common.repository_of(repo)
        common.wait(commands.close(house, engine, repository, number, by=common.me()))
        common.say(f"pull request {number} is closed")
        _carry_on(house, engine, repository, number, quiet=True)
    return 0


@app.command("merge")
def merge(
    number: Number,
    repo: Repo = ".",
    sha: Annotated[str | None, typer.Option("--sha", help="Only if the head is this commit.")] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Merge a draft, knowing it is not proven.")
    ] = False,
) -> int:
    """Merge into the base, on its forge; of the local one also in the repository at --repo where that loses nothing."""
    source = request.resolve_source(repo)
    with common.opened() as (house, engine):
        repository = common.repository_of(repo)
        forge = house.forge.of(repository)
        merged = common.wait(
            commands.merge(house, engine, repository, number, sha=sha, unproven=unproven, by=common.me())
        )
        common.say(f"pull request {number} is merged as {(merged.merged_commit or merged.head)[:12]}")
        if not isinstance(forge, LocalForge):
            common.say(f"it is merged at {forge.name}; fetch it from there")
        elif Path(source).is_dir():
            _tell(_directory(source, forge.path(repository)).take_merge(merged))
        else:
            common.say(f"{source} is not written to; the merge is in {forge.path(repository)}")
        _carry_on(house, engine, repository, number, quiet=True)
    return 0


def _state(pull: PullRequest) -> str:
    return "draft" if pull.state == "open" and pull.draft else pull.state


def _tell(brought: Brought) -> None:
    common.say(brought.sentence)
    common.moves(brought.next_moves)


def _local(house: House, repository: str) -> LocalForge:
    forge = house.forge.of(repository)
    if not isinstance(forge, LocalForge):
        raise errors.BadInput(f"this is done on {forge.name} itself", subject=forge.name)
    return forge


def _directory(source: str, bare: Path) -> Checkout:
    if not Path(source).is_dir():
        raise errors.BadInput(
            f"{source} is not a directory here",
            subject=source,
            next_moves=(f"git clone {bare}",),
        )
    return Checkout(Path(source), bare)


def _carry_on(house: House, engine: Engine, repository: str, number: int, *, quiet: bool = False) -> int:
    """A turn that the command started is worked on here, unless a worker has it."""
    view = house.ledger.executions.by_pull_request(repository, number)
    if view is None or view.state in FINISHED:
        return 0
    return common.wait(control.carry_on(house, engine, view.id, quiet=quiet))
