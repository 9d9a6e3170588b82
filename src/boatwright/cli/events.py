"""``boatwright events``: read the facts, follow them, verify their chain."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.stages.house import House
from boatwright.values.delivery import STREAM
from boatwright.values.event import Event, document
from boatwright.workflows.engine import Engine


def events(
    execution: Annotated[str, typer.Argument(help="An execution, or a word: `deliveries`, `verify`.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until its turn ends.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Print what happened, in order. `boatwright events deliveries` is what was ignored of forges, `boatwright events
    verify` checks the hash chain of every stream.
    """
    with common.opened() as (house, engine):
        if execution == "verify":
            return _verify(house, as_json=as_json)
        name = STREAM if execution == STREAM else house.ledger.executions.find(execution).id
        stream = house.ledger.events.stream(name)
        if as_json:
            common.emit_json([document(event) for event in stream])
            return 0
        for event in stream:
            common.say(line(event))
        if follow:
            _follow(house, engine, name, stream[-1].sequence if stream else 0)
    return 0


def _verify(house: House, *, as_json: bool) -> int:
    report = house.ledger.verify()
    if as_json:
        common.emit_json(report)
    elif not report.problems:
        common.say(
            f"events verified: {report.events} events in {report.streams} streams, every chain is whole"
        )
    else:
        for problem in report.problems:
            common.say(problem)
    return errors.Refused.exit_code if report.problems else 0


def _follow(house: House, engine: Engine, execution: str, sequence: int) -> None:
    """Print what comes until the turn ends. Polls: a database file has nobody to wake us."""
    while True:
        for event in house.ledger.events.stream(execution, after=sequence):
            common.say(line(event))
            sequence = event.sequence
            if event.type == "turn.ended":
                return
        if not engine.turns.live(execution) and not engine.inbox.waking(execution):
            return
        time.sleep(0.2)


def line(event: Event) -> str:
    """One event on one line: sequence, time, type, the few fields that tell most."""
    told = ", ".join(f"{key}={value}" for key, value in _telling(event).items())
    return f"{event.sequence:>4}  {event.time:%H:%M:%S}  {event.type:<24} {told}"


def _telling(event: Event) -> dict[str, str]:
    fields = event.payload.model_dump(mode="json")
    short = {}
    for key, value in fields.items():
        if isinstance(value, bool | int | float) or (isinstance(value, str) and value and "\n" not in value):
            text = str(value)
            short[key] = text if len(text) <= 48 else text[:45] + "…"
    return dict(list(short.items())[:6])
