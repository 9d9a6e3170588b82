"""Commands that move an execution (cancel, resume, retry) and the processes that do the work (worker, serve)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.cli import run as run_command
from boatwright.config import units
from boatwright.intake import commands, notices, patrol
from boatwright.rules.listening import Place
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

Execution = Annotated[str, typer.Argument(help="The execution, or the start of its id.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave the work to a running worker.")]


class Stage(StrEnum):
    ANALYZE = "analyze"
    PLAN = "plan"
    BUILD = "build"
    VERIFY = "verify"
    DELIVER = "deliver"


def cancel(
    execution: Execution, reason: Annotated[str, typer.Option(help="Why.")] = "cancelled by a person"
) -> int:
    """Stop an execution for good, at its next step; its bottle is destroyed."""
    with common.opened() as (house, engine):
        view = house.ledger.executions.find(execution)
        common.wait(commands.cancel(house, engine, view.id, reason=reason, by=common.me()))
        common.say(f"{view.id} is told to stop")
        common.wait(carry_on(house, engine, view.id, quiet=True))
    return 0


def resume(execution: Execution, detach: Detach = False) -> int:
    """Go on from the last completed step."""
    with common.opened() as (house, engine):
        view = house.ledger.executions.find(execution)
        common.wait(commands.resume(house, engine, view.id, by=common.me(), private=not detach))
        return common.wait(run_command.follow(house, engine, view.id)) if not detach else 0


def retry(
    execution: Execution,
    stage: Annotated[Stage, typer.Option("--from", help="The first stage to do afresh.")] = Stage.BUILD,
    detach: Detach = False,
) -> int:
    """Do a stage, and what follows it, afresh; the work saved so far stays."""
    with common.opened() as (house, engine):
        view = house.ledger.executions.find(execution)
        common.wait(
            commands.retry(house, engine, view.id, stage=stage.value, by=common.me(), private=not detach)
        )
        return common.wait(run_command.follow(house, engine, view.id)) if not detach else 0


async def carry_on(house: House, engine: Engine, execution: str, *, quiet: bool = False) -> int:
    """After a command that starts a turn: a live worker has it, or it is worked on here."""
    if engine.has_worker():
        if not quiet:
            common.say(f"a worker has it; follow it with: boatwright events {execution} --follow")
        return 0
    return await run_command.follow(house, engine, execution)


def worker() -> int:
    """Work on whatever waits, until told to stop (SIGTERM drains for 60 s)."""
    with common.opened() as (house, engine):
        house.require_any_bottle()
        common.wait(_work(house, engine))
    return 0


def _announce(house: House, engine: Engine) -> None:
    common.say(f"worker of release {house.release} on {house.state.root}; stop it with Ctrl-C")
    _tell_of_others(house, engine)


def _tell_of_others(house: House, engine: Engine) -> None:
    """Two releases at once are fine while one is replaced by the other; nobody should have them unawares."""
    others = sorted({lease.release for lease in engine.workers()} - {house.release})
    if others:
        common.say(
            f"note: workers of another release are alive ({', '.join(others)}); each does its own turns"
        )
        common.moves(("stop the older ones with SIGTERM: they drain, and what they leave is taken over",))


async def _work(house: House, engine: Engine) -> None:
    async with patrol.walking(house, engine), notices.telling(house):
        await engine.run_worker(
            lambda execution, line: common.say(f"{execution}  {line}"), begun=lambda: _announce(house, engine)
        )


def serve(
    host: Annotated[
        str, typer.Option(help="Address of the private doors; beyond loopback only where there is a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the private doors.")] = 8642,
    public: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="A second listener, for forges and the world: webhooks and health."
        ),
    ] = None,
    poll: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Look at the lists of forges so often (30s, 5m): no webhook and no public address is needed.",
        ),
    ] = None,
) -> int:
    """A worker and its doors: `GET /health` for supervisors; `/ready`, `/metrics` and `/v1` behind a token;
    `POST /webhooks/FORGE` on the public one."""
    from boatwright.server import serving  # noqa: PLC0415 - its web framework is slow to import, and only this asks for it

    place = Place.parse(public) if public is not None else None
    every = _seconds(poll) if poll is not None else None
    with common.opened() as (house, engine):
        common.wait(
            serving.run(house, engine, inner=Place(host, port), public=place, say=common.say, poll=every)
        )
    return 0


LEAST_POLL = 5.0
"""Seconds: a forge counts our calls."""


def _seconds(text: str) -> float:
    """``errors.BadInput`` for what is no time, or too short a one."""
    try:
        found = units.seconds(text)
    except ValueError as error:
        raise errors.BadInput(f"--poll {error}", subject=text, next_moves=("--poll 30s",)) from error
    if found < LEAST_POLL:
        raise errors.BadInput(
            f"--poll {text} is too often: a forge counts our calls", subject=text, next_moves=("--poll 30s",)
        )
    return found
