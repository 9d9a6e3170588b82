"""``boatwright run``: hand one change to an agent and watch it become a pull request."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common, ending
from boatwright.git import remote
from boatwright.intake import request
from boatwright.intake.request import Accepted, Ask
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine


def run(
    repo: Annotated[str, typer.Option("--repo", help="The repository: a path (its HEAD) or a URL.")] = ".",
    text: Annotated[str | None, typer.Option("--text", help="What should change, in your words.")] = None,
    issue: Annotated[int | None, typer.Option("--issue", help="An issue of this repository.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Branch to start from; default: HEAD.")] = None,
    setup: Annotated[
        str | None, typer.Option("--setup", help="Command that prepares the environment.")
    ] = None,
    test: Annotated[str | None, typer.Option("--test", help="Command that runs the tests.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="anthropic:NAME, openai:NAME, gemini:NAME or scripted:FILE; several, joined by commas, stand in "
            "for each other in that order.",
        ),
    ] = None,
    agent: Annotated[
        str | None,
        typer.Option("--agent", help="Who writes the code: a provider or a manifest; default: builtin."),
    ] = None,
    bottle: Annotated[
        list[str] | None,
        typer.Option("--bottle", help="A bottle, in place of the agent's own; again for more, later wins."),
    ] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="Such as 5usd or 2Mtok.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; leave no trace.")
    ] = False,
    record: Annotated[
        bool, typer.Option("--record", help="Keep what models are asked and answer, for boatwright replay.")
    ] = False,
    detach: Annotated[bool, typer.Option("--detach", help="Leave the work to a running worker.")] = False,
) -> int:
    """Hand one change to an agent: issue → plan → bottle → proof → pull request.

    A repository given as a path is read at HEAD: uncommitted changes are left out, and nothing in it is written.
    """
    ask = Ask(
        repository=repo,
        text=text,
        issue=issue,
        base=base,
        setup=setup,
        test=test,
        model=model,
        agent=agent,
        bottles=tuple(bottle) if bottle else None,
        budget=budget,
        record=record,
        by=common.me(),
    )
    with common.opened() as (house, engine):
        if dry_run:
            return common.wait(_dry(house, ask))
        return common.wait(_run(house, engine, ask, detach=detach))


async def _dry(house: House, ask: Ask) -> int:
    wanted, notices = await request.look(house, ask)
    for notice in notices:
        common.say(f"note: {notice}")
    common.say(f"would run on {remote.shown(wanted.source)} at {wanted.base_ref} ({wanted.base_commit[:12]})")
    common.say(f"  request  {wanted.title}")
    common.say(f"  model    {wanted.model}, agent {wanted.agent}, budget {wanted.budget}")
    common.say(f"  setup    {wanted.setup_command or 'as the repository says'}")
    common.say(f"  tests    {wanted.test_command or 'as the repository says'}")
    return 0


async def _run(house: House, engine: Engine, ask: Ask, *, detach: bool) -> int:
    accepted = await request.accept(house, engine, ask, private=not detach)
    _announce(accepted)
    if detach:
        common.say(f"left to a worker; follow it with: boatwright events {accepted.execution} --follow")
        return 0
    return await follow(house, engine, accepted.execution)


def _announce(accepted: Accepted) -> None:
    wanted = accepted.request
    common.say(f"{accepted.execution}  {wanted.title}")
    common.say(
        f"  on {remote.shown(wanted.source)} at {wanted.base_ref} ({wanted.base_commit[:12]}), "
        f"model {wanted.model}, budget {wanted.budget}"
    )
    for notice in accepted.notices:
        common.say(f"  note: {notice}")


async def follow(house: House, engine: Engine, execution: str) -> int:
    """Work on one execution here, in the foreground, and tell how it ended."""
    try:
        await engine.run_execution(execution, lambda _, line: common.say(line))
    except (errors.Stopped, asyncio.CancelledError, KeyboardInterrupt):
        common.say("")
        common.say(f"stopped; nothing is lost. Go on with: boatwright resume {execution}")
        return errors.Stopped.exit_code
    return await ending.tell(house, execution)
