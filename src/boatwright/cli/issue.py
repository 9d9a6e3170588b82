"""``boatwright issue``: issues of the local forge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.git.remote import Remote
from boatwright.intake import request

BODY_BYTES = 1 << 20

app = typer.Typer(no_args_is_help=True, help="Issues: write one, list them, read one.")
T = TypeVar("T")
Repo = Annotated[str, typer.Option("--repo", help="The repository: a path or a URL.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


class Which(StrEnum):
    OPEN = "open"
    CLOSED = "closed"
    ALL = "all"

    @property
    def state(self) -> str | None:
        return None if self is Which.ALL else self.value


@app.command("create")
def create(
    title: Annotated[str, typer.Option("--title", help="One line: what is wrong or wanted.")],
    body: Annotated[str, typer.Option("--body", help="The rest; - reads it from standard input.")] = "",
    label: Annotated[list[str] | None, typer.Option("--label", help="May be given several times.")] = None,
    repo: Repo = ".",
    as_json: Json = False,
) -> int:
    """Write an issue; its number is what `boatwright run --issue` takes."""
    text = _standard_input() if body == "-" else body
    with common.housed() as house:
        repository = common.wait(request.register(house, repo))
        made = common.wait(
            house.forge.create_issue(
                repository, title=title, body=text, author=common.me(), labels=tuple(label or ())
            )
        )
    if as_json:
        common.emit_json(made)
    else:
        common.say(f"issue {made.number}: {made.title}")
        common.moves((f"boatwright run --repo {repo} --issue {made.number}",))
    return 0


@app.command("list")
def list_(
    repo: Repo = ".",
    state: Annotated[Which, typer.Option("--state", help="Which ones.")] = Which.OPEN,
    as_json: Json = False,
) -> int:
    """The issues of a repository."""
    with common.housed() as house:
        found = listed(repo, lambda repository: house.forge.issues(repository, state=state.state))
    if as_json:
        common.emit_json(found)
        return 0
    if not found:
        common.say("no open issues" if state is Which.OPEN else "no issues")
    for issue in found:
        labels = f"  [{one_line(', '.join(issue.labels))}]" if issue.labels else ""
        common.say(f"{issue.number:>5}  {issue.state:<7} {one_line(issue.title)}{labels}")
    return 0


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(help="The issue's number.")],
    repo: Repo = ".",
    as_json: Json = False,
) -> int:
    """One issue and what was said about it."""
    repository = common.repository_of(repo)
    with common.housed() as house:
        issue = common.wait(house.forge.issue(repository, number))
        comments = common.wait(house.forge.comments(repository, number))
    if as_json:
        common.emit_json({"issue": issue, "comments": comments})
        return 0
    common.say(f"issue {issue.number} ({issue.state}): {one_line(issue.title)}")
    common.say(f"by {one_line(issue.author)}, {issue.created:%Y-%m-%d %H:%M} UTC")
    if issue.body.strip():
        common.say(f"\n{issue.body.rstrip()}")
    for comment in comments:
        common.say(f"\n--- {one_line(comment.author)}, {comment.created:%Y-%m-%d %H:%M} UTC")
        common.say(comment.body.rstrip())
    return 0


def listed(repo: str, ask: Callable[[str], Coroutine[Any, Any, Sequence[T]]]) -> Sequence[T]:
    """What a repository has; nothing, where it is a repository nobody has asked anything of yet."""
    source = request.resolve_source(repo)
    Remote.of(source)  # refuses what is no repository
    try:
        return common.wait(ask(common.repository_of(repo)))
    except errors.NotFound:
        return ()


def _standard_input() -> str:
    raw = sys.stdin.buffer.read(BODY_BYTES + 1)
    if len(raw) > BODY_BYTES:
        raise errors.BadInput(f"the body is longer than {BODY_BYTES >> 10} KiB")
    return raw.decode("utf-8", "replace")
