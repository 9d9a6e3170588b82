"""``boatwright budget``: what an execution may still spend."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.intake import commands
from boatwright.values.usage import Cap

app = typer.Typer(no_args_is_help=True, help="What an execution may spend.")


@app.command("raise")
def raise_(
    execution: Annotated[str, typer.Argument(help="The execution.")],
    budget: Annotated[str, typer.Argument(help="The new cap, such as 8usd or 3Mtok.")],
) -> int:
    """Set the cap of an execution anew, within the host's ceiling; then resume it."""
    with common.opened() as (house, engine):
        view = house.ledger.executions.find(execution)
        cap = common.wait(
            commands.raise_budget(house, engine, view.id, budget=Cap.parse(budget), by=common.me())
        )
        common.say(f"{view.id} may spend {cap}; go on with: boatwright resume {view.id}")
    return 0


@app.command("show")
def show(
    execution: Annotated[str, typer.Argument(help="The execution.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Each call of an execution: reserved, settled, by whom."""
    with common.opened() as (house, _):
        view = house.ledger.executions.find(execution)
        rows = house.wire.budgets().usage(view.id)
        if as_json:
            common.emit_json(rows)
            return 0
        common.say(f"{view.id}: cap {view.budget}, {view.tokens:,} tokens and {view.usd:.4f} USD settled")
        for row in rows:
            common.say(
                f"  {row.at:%H:%M:%S}  {row.purpose:<8} {row.model:<28} {row.usage.tokens:>9,} tokens  "
                f"{row.usd:>9.4f} USD of {row.reserved_usd:.4f} reserved  ({row.source})"
            )
    return 0
