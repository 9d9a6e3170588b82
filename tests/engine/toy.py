"""A whole worker with a toy story, as a process of its own: ``toy.py worker`` or ``toy.py run EXECUTION``.

``toy.py nursery`` has everything imported and forks such processes on request, one JSON line each.

The story has four stages; each writes a fact before and a fact after it waits. What it waits for, and what goes wrong,
comes from the environment, so that a test can stop it exactly where it wants to:

TOY_HOLD=NAME:FILE   stage NAME waits until FILE exists (and writes FILE.reached first)
TOY_RAISE=NAME       stage NAME parks
TOY_UNTIL=FILE       the worker leaves when FILE exists
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from boatwright import errors
from boatwright.config import release
from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.context import Context
from boatwright.values.events import FeatureCancelled, FeatureParked, StepFailed, TurnEnded, TurnStarted
from boatwright.workflows.engine import Engine, Turn

STAGES = ("one", "two", "three", "four")


class Done(BaseModel):
    name: str


async def hold(context: Context, name: str) -> None:
    where, _, file = os.environ.get("TOY_HOLD", "").partition(":")
    if where != name:
        return
    Path(f"{file}.reached").touch()
    context.say(f"holding in {name}")
    while not Path(file).exists():
        await asyncio.sleep(0.02)
        await context.fence()


async def stage(context: Context, name: str) -> Done:
    turn = context.turn
    await context.emit(StepFailed(round=turn, step=0, reason=f"{name} began"), key=f"t{turn}:{name}:began")
    await hold(context, name)
    if os.environ.get("TOY_RAISE") == name:
        raise errors.Parked("the toy parks", code="host", subject=name, next_moves=("wind it up",))
    await context.fence()
    await context.emit(StepFailed(round=turn, step=1, reason=f"{name} ended"), key=f"t{turn}:{name}:ended")
    return Done(name=name)


async def story(work: Turn) -> str:
    here = release.current(os.environ)
    kinds = ",".join(command.kind for command in work.commands)
    started = TurnStarted(turn=work.turn, cause=kinds, release=here, from_stage="one")
    await work.note(started, key=f"t{work.turn}:turn.started")
    outcome = "delivered"
    if "cancel" in kinds:
        await work.note(FeatureCancelled(reason="told", by="toy"), key=f"t{work.turn}:cancelled")
        outcome = "cancelled"
    else:
        try:
            for name in STAGES:
                await work.stage(name, lambda context, n=name: stage(context, n), Done)
        except errors.Parked as parked:
            told = FeatureParked(
                code=parked.code, reason=str(parked), next_moves=parked.next_moves, stage=work.stage_name
            )
            await work.note(told, key=f"t{work.turn}:parked")
            outcome = "parked"
    await work.note(TurnEnded(turn=work.turn, outcome=outcome), key=f"t{work.turn}:turn.ended")
    return outcome


def engine() -> Engine:
    state = StateDir.from_environment().create()
    clock = SystemClock()
    ids = SystemIds(clock)
    ledger = Ledger.open(state, clock=clock, ids=ids, producer="toy")
    return Engine(
        ledger=ledger, state=state, story=story, release=release.current(os.environ), clock=clock, ids=ids
    )


def say(execution: str, line: str) -> None:
    print(f"{execution} {line}", flush=True)


def left() -> bool:
    file = os.environ.get("TOY_UNTIL")
    return bool(file) and Path(file).exists()


def nursery() -> None:
    """Forks children before anything of ours has made a thread; tells their process ids and exit codes."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if answer == 0:
                child(asked)
        print(json.dumps(answer), flush=True)


def child(asked: dict[str, Any]) -> None:
    out = os.open(asked["out"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.setsid()
    os.environ.update(asked["env"])
    code = 70
    try:
        code = main(asked["argv"])
    except BaseException:  # noqa: BLE001  the edge of a forked process
        traceback.print_exc()
    finally:
        os._exit(code)


def main(argv: list[str]) -> int:
    made = engine()
    mode, *names = argv
    try:
        if mode == "worker":
            asyncio.run(made.run_worker(say, until=left, drain_seconds=10.0))
        elif mode == "run":
            made.start_turn(names[0], private=True)
            asyncio.run(made.run_execution(names[0], say))
        elif mode == "submit":
            made.submit(names[0], kind=names[1], sender_key=names[2], private=False)
    except errors.BoatwrightError as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(nursery() if sys.argv[1:] == ["nursery"] else main(sys.argv[1:]))
