"""``boatwright replay``: a recorded run done again from its tape, offline and for nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.intake import replay as replaying
from boatwright.stages.house import House
from boatwright.workflows.engine import Engine

DIFFERS = 1


def replay(
    execution: Annotated[str, typer.Argument(help="The recorded execution, or the start of its id.")],
    base: Annotated[
        str | None, typer.Option("--base", help="On another base; default: the commit it began from.")
    ] = None,
) -> int:
    """Do a recorded run again, its tape in place of the model, and tell the first difference.

    Exit 0 when the same calls were made and the same tree came of them, 1 when not. Nothing is delivered.
    """
    with common.opened() as (house, engine):
        house.require_any_bottle()
        view = house.ledger.executions.find(execution)
        return common.wait(_replay(house, engine, view.id, base))


async def _replay(house: House, engine: Engine, recorded: str, base: str | None) -> int:
    execution = await replaying.start(house, engine, recorded, base=base, by=common.me())
    common.say(f"{execution}  replays {recorded} from its tape")
    await engine.run_execution(execution, lambda _, line: common.say(line))
    told = await replaying.outcome(house, recorded, execution)
    await replaying.let_go(house, engine, execution, by=common.me())
    if not engine.has_worker():
        await engine.run_execution(execution, lambda *_: None)
    common.say("")
    for note in told.notes:
        common.say(f"note: {note}")
    if told.difference:
        common.say(f"first difference: {told.difference}")
        return DIFFERS
    came = f"the same tree {told.tree[:12]}" if told.tree else "the same end without a change"
    common.say(f"identical: the same {told.calls} calls, {came}")
    return 0
