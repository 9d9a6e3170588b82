"""``boatwright log``: what an execution did, in words."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.rules import semantic_log
from boatwright.rules.semantic_log import Line
from boatwright.values.delivery import STREAM


def log(
    execution: Annotated[str, typer.Argument(help="The execution, or the start of its id; or `deliveries`.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """What was done, a line each: what was read, run, written, asked and paid. `boatwright events` has every fact."""
    with common.housed() as house:
        name = STREAM if execution == STREAM else house.ledger.executions.find(execution).id
        lines = semantic_log.lines(house.ledger.events.stream(name))
    if as_json:
        common.emit_json(lines)
        return 0
    for each in lines:
        common.say(shown(each))
    return 0


def shown(each: Line) -> str:
    return f"{each.time:%Y-%m-%d %H:%M:%S}  {each.text}"
