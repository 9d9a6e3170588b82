"""``boatwright orchestrate``: for programs. One JSON document on standard output, progress on standard error."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.cli.safe import printable
from boatwright.intake import orchestrate
from boatwright.intake.orchestrate import Standing, Wanted
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

app = typer.Typer(
    no_args_is_help=True,
    help="For programs: start, resume and status as one JSON document, with an exit code for each state.",
)
Wait = Annotated[bool, typer.Option("--wait", help="Work on it here until its turn ends.")]
Work = Callable[[House, Engine], Coroutine[Any, Any, tuple[object, int]]]


@app.command("start")
def start(
    repo: Annotated[str | None, typer.Argument(help="The repository: a path or a URL.")] = None,
    issue: Annotated[int | None, typer.Option("--issue", help="An issue of this repository.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="What should change; - reads it from standard input.")
    ] = None,
    base: Annotated[str | None, typer.Option("--base", help="Branch to start from; default: HEAD.")] = None,
    model: Annotated[str | None, typer.Option("--model", help="As of boatwright run.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="As of boatwright run.")] = None,
    bottle: Annotated[list[str] | None, typer.Option("--bottle", help="As of boatwright run.")] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Such as 5usd or 2Mtok.")] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="FILE", help="All of it as JSON from a file; - is standard input."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(
            "--key", help="Your name for this request: started again under it, it is the same execution."
        ),
    ] = None,
    wait: Wait = False,
) -> int:
    """Begin an execution, for a worker or, with --wait, here. Of an issue that has one at work, that one is told."""

    def wanted() -> Wanted:
        if request is None:
            return Wanted(
                repository=repo or ".", issue=issue, text=_text(text), base=base, model=model, agent=agent,
                bottles=tuple(bottle) if bottle else None, budget=budget,
            )  # fmt: skip
        if any(each is not None for each in (repo, issue, text, base, model, agent, bottle, budget)):
            raise errors.BadInput("--request says all of it: nothing else may stand beside it")
        return orchestrate.parse(_read(request))

    async def begin(house: House, engine: Engine) -> tuple[object, int]:
        found = await orchestrate.start(house, engine, wanted(), by=common.me(), private=wait, key=key)
        if not wait or not (found.new or key):
            return found, 0
        return await _worked(house, engine, found) if found.at_work else (found, found.exit_code)

    return _answer(begin)


@app.command("resume")
def resume(
    execution: Annotated[str, typer.Argument(help="The execution, or the start of its id.")],
    text: Annotated[
        str | None,
        typer.Option("--text", help="Say this on its pull request, which starts the next turn; - as above."),
    ] = None,
    wait: Wait = False,
) -> int:
    """Go on from the last completed step."""

    async def go_on(house: House, engine: Engine) -> tuple[object, int]:
        view = house.ledger.executions.find(execution)
        found = await orchestrate.resume(
            house, engine, view.id, text=_text(text), by=common.me(), private=wait
        )
        return await _worked(house, engine, found) if wait else (found, 0)

    return _answer(go_on)


@app.command("status")
def status(
    execution: Annotated[
        str | None, typer.Argument(help="The execution, or the start of its id; none: all that are not over.")
    ] = None,
) -> int:
    """How it stands, said in the exit code, too: 8 while it is at work."""

    async def look(house: House, engine: Engine) -> tuple[object, int]:
        if execution is None:
            found = await orchestrate.all_active(house, engine)
            return {"version": orchestrate.VERSION, "executions": found}, 0
        standing = await orchestrate.status(house, engine, house.ledger.executions.find(execution).id)
        return standing, standing.exit_code

    return _answer(look)


async def _worked(house: House, engine: Engine, found: Standing) -> tuple[Standing, int]:
    """Work on it here. Stopped half-way, nothing is lost; the code says so."""
    stopped = False
    try:
        await engine.run_execution(found.execution, lambda _, line: common.err.print(printable(line)))
    except (errors.Stopped, asyncio.CancelledError, KeyboardInterrupt):
        stopped = True
    now = await orchestrate.status(house, engine, found.execution)
    now = now.model_copy(update={"new": found.new, "notices": found.notices})
    return now, errors.Stopped.exit_code if stopped else now.exit_code


def _answer(work: Work) -> int:
    """One document whatever happens: what was asked for, or the error and its next moves."""
    try:
        with common.opened() as (house, engine):
            document, code = common.wait(work(house, engine))
    except errors.BoatwrightError as error:
        document, code = _error(error), error.exit_code
    common.emit_json(document)
    return code


def _error(error: errors.BoatwrightError) -> dict[str, object]:
    return {
        "version": orchestrate.VERSION,
        "error": str(error),
        "subject": error.subject,
        "next_moves": list(error.next_moves),
        "exit_code": error.exit_code,
    }


def _text(text: str | None) -> str | None:
    return _read("-").decode("utf-8", "replace") if text == "-" else text


def _read(name: str) -> bytes:
    """At most one byte more than a request may have: whoever reads it refuses that."""
    if name == "-":
        return sys.stdin.buffer.read(orchestrate.LARGEST + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(orchestrate.LARGEST + 1)
    except OSError as error:
        raise errors.BadInput(f"{name} cannot be read: {error.strerror}", subject=name) from error
