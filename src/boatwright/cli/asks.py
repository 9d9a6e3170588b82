"""``boatwright asks``: what agents ask the operator, and answering it."""

from __future__ import annotations

import os
import time
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.intake import asks
from boatwright.stages.house import House
from boatwright.values.asking import Ask, AskKind, AskState

app = typer.Typer(help="What agents ask you: answer, grant, refuse.", invoke_without_command=True)

LOOK_SECONDS = 1.0
Named = Annotated[str, typer.Argument(metavar="ID", help="The request, or the start of its id.")]


@app.callback()
def list_(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and be there: agents ask only while somebody watches.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Those that are closed, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """What waits for an answer, the oldest first."""
    if context.invoked_subcommand is not None:
        return 0
    if watch and (every or as_json):
        raise errors.BadInput(
            "--watch stands alone: it shows what comes", next_moves=("boatwright asks --watch",)
        )
    with common.housed() as house:
        if watch:
            _watch(house)
            return 0
        found = house.ledger.asks.all() if every else asks.waiting(house)
        if as_json:
            common.emit_json(found)
            return 0
        for ask in found:
            _show(ask)
        if not found:
            common.say("nobody asks for anything")
    return 0


@app.command("answer")
def answer(name: Named, text: Annotated[str, typer.Argument(help="What the agent is told.")]) -> int:
    """Answer a question."""
    with common.housed() as house:
        done = common.wait(asks.answer(house, name, text, by=common.me()))
        common.say(f"{done.id} is answered")
    return 0


@app.command("grant")
def grant(
    name: Named,
    budget: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="This much more, in place of what was asked for.")
    ] = None,
    route: Annotated[
        str | None, typer.Option(metavar="HOST", help="This host, in place of what was asked for.")
    ] = None,
    note: Annotated[str, typer.Option(help="Words for the agent beside it.")] = "",
) -> int:
    """Grant more budget, or a host to reach, within what settings.yml allows."""
    with common.opened() as (house, engine):
        done = common.wait(
            asks.grant(house, engine, name, budget=budget, route=route, note=note, by=common.me())
        )
        what = "may be reached" if done.wish.kind is AskKind.ROUTE else "is the cap now"
        common.say(f"{done.id} is granted: {done.decision} {what}, for {done.bottle or done.account}")
    return 0


@app.command("refuse")
def refuse(name: Named, why: Annotated[str, typer.Argument(help="Why; the agent is told.")]) -> int:
    """Refuse what is asked for."""
    with common.housed() as house:
        done = common.wait(asks.refuse(house, name, why, by=common.me()))
        common.say(f"{done.id} is refused")
    return 0


def _watch(house: House) -> None:
    """Be there until Ctrl-C: each request is shown once."""
    operator = f"{common.me()}/{os.getpid()}"
    seen: set[str] = set()
    common.say("watching: agents may ask now; answer from another terminal, Ctrl-C ends it")
    beat = 0.0
    try:
        while True:
            if time.monotonic() >= beat:
                asks.present(house, operator)
                beat = time.monotonic() + asks.BEAT_SECONDS
            for ask in asks.waiting(house):
                if ask.id not in seen:
                    seen.add(ask.id)
                    _show(ask)
            time.sleep(LOOK_SECONDS)
    finally:
        asks.leave(house, operator)


def _show(ask: Ask) -> None:
    """One request: who, what, their words line by line behind a mark, and what a person can do."""
    wanted = f" {ask.wish.wanted}" if ask.wish.wanted else ""
    state = "" if ask.state is AskState.OPEN else f"  [{ask.state.value.replace('_', ' ')}]"
    common.say(
        f"{ask.id}  {ask.created:%Y-%m-%d %H:%M:%S}  {ask.bottle or ask.account}  {ask.wish.kind.value}{wanted}{state}"
    )
    for line in ask.wish.text.split("\n"):
        common.say(f"  | {line}")
    if ask.answer:
        common.say(f"  {ask.by}: {ask.answer}")
    if ask.state is AskState.OPEN:
        verb = f'answer {ask.id} "…"' if ask.wish.kind is AskKind.QUESTION else f"grant {ask.id}"
        common.moves((f"boatwright asks {verb}", f'boatwright asks refuse {ask.id} "…"'))
