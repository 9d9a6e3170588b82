"""``boatwright plan``: only the plan, to read before anything is built."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common, ending
from boatwright.intake import request
from boatwright.intake.request import Accepted, Ask
from boatwright.stages.house import House, last
from boatwright.values.events import PlanGenerated
from boatwright.workflows.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Ask for a plan, and nothing else.")
Repo = Annotated[str, typer.Option("--repo", help="The repository: a path (its HEAD) or a URL.")]
Model = Annotated[str | None, typer.Option("--model", help="As for run.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@app.command("issue")
def issue(number: int, repo: Repo = ".", model: Model = None, as_json: Json = False) -> int:
    """The plan for an issue of this repository."""
    return _plan(
        Ask(repository=repo, issue=number, model=model, only_plan=True, by=common.me()), as_json=as_json
    )


@app.command("text")
def text(words: str, repo: Repo = ".", model: Model = None, as_json: Json = False) -> int:
    """The plan for a change in your words."""
    return _plan(
        Ask(repository=repo, text=words, model=model, only_plan=True, by=common.me()), as_json=as_json
    )


def _plan(ask: Ask, *, as_json: bool) -> int:
    with common.opened() as (house, engine):
        accepted = common.wait(_until_planned(house, engine, ask, quiet=as_json))
        planned = last(house.ledger.events.stream(accepted.execution), PlanGenerated)
        if planned is None:
            return common.wait(ending.tell(house, accepted.execution))
        if as_json:
            common.emit_json({"execution": accepted.execution, **planned.model_dump(mode="json")})
            return 0
        _tell(planned)
        common.say(f"build it: boatwright resume {accepted.execution}")
    return 0


async def _until_planned(house: House, engine: Engine, ask: Ask, *, quiet: bool) -> Accepted:
    accepted = await request.accept(house, engine, ask, private=True)
    await engine.run_execution(accepted.execution, lambda _, line: None if quiet else common.say(line))
    return accepted


def _tell(planned: PlanGenerated) -> None:
    drivers = f" ({', '.join(planned.drivers)})" if planned.drivers else ""
    common.say(f"goal   {planned.plan.goal}")
    common.say(f"risk   {planned.risk}{drivers}")
    common.say(f"proof  {planned.plan.proof}")
    for step in planned.plan.steps:
        common.say(f"  {step.id}: {step.action} {step.path or step.command or ''} — {step.acceptance}")
