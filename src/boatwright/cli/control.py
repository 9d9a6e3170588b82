"""Commands that move an execution (cancel, resume, retry) and the processes that do the work (worker, serve)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.cli import run as run_command
from boatwright.intake import commands, patrol
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
    async with patrol.walking(house, engine):
        await engine.run_worker(
            lambda execution, line: common.say(f"{execution}  {line}"), begun=lambda: _announce(house, engine)
        )


def serve(
    host: Annotated[
        str, typer.Option(help="Address of /health; anything but loopback is refused.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of /health.")] = 8642,
) -> int:
    """A worker and `GET /health` for supervisors."""
    from boatwright.server import health  # noqa: PLC0415 - its web framework is slow to import, and only this asks for it

    with common.opened() as (house, engine):
        house.require_any_bottle()
        common.wait(health.serve(house, engine, host=host, port=port, say=common.say))
    return 0
