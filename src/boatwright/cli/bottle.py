"""``boatwright bottle``: the group; and what a bottle would be made of, and where each value came from."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from boatwright.cli import agent, bottle_look, bottle_terminal, bottle_verify, bottle_work, common
from boatwright.cli.safe import one_line
from boatwright.config import policy as policy_module
from boatwright.config.effective import Flags
from boatwright.rules.composed import Composed
from boatwright.stages import ground, manifests
from boatwright.stages.house import House

app = typer.Typer(no_args_is_help=True, help="Bottles: the isolated places where agents work.")
Bottles = Annotated[
    list[str] | None,
    typer.Option("--bottle", help="A bottle, in place of the agent's own; again for more, later wins."),
]
WIDEST = 48
app.command("start")(bottle_work.start)
app.command("attach")(bottle_terminal.attach)
app.command("list")(bottle_look.list_)
app.command("logs")(bottle_look.logs)
app.command("exec")(bottle_look.exec_)
app.command("pushed")(bottle_look.pushed)
app.command("freeze")(bottle_look.freeze)
app.command("resume")(bottle_work.resume)
app.command("destroy")(bottle_look.destroy)
app.command("verify")(bottle_verify.verify)


@app.command("explain")
def explain(
    name: Annotated[
        str | None, typer.Argument(metavar="[AGENT]", help="The agent; default: what a run would use.")
    ] = None,
    bottles: Bottles = None,
    repo: agent.Repo = None,
    base: agent.Base = None,
    model: Annotated[str | None, typer.Option("--model", help="As for run.")] = None,
    budget: Annotated[str | None, typer.Option("--budget", help="As for run.")] = None,
    as_json: agent.Json = False,
) -> int:
    """Every value a run of this agent would have, and the file and line (or flag) it came from."""
    flags = Flags(model=model, agent=name, budget=budget, bottles=tuple(bottles) if bottles else None)
    with common.housed() as house:
        made = common.wait(_composed(house, flags, repo, base))
    if as_json:
        common.emit_json(document(made))
        return 0
    for leaf in made.leaves():
        common.say(
            f"{one_line(leaf.name):<24} {_cut(one_line(leaf.value)):<{WIDEST}} {one_line(f'{leaf.origin}')}"
        )
    for notice in made.notices:
        common.say(f"note: {one_line(notice)}")
    return 0


async def _composed(house: House, flags: Flags, repo: str | None, base: str | None) -> Composed:
    found = await agent.here(house, repo, base)
    if found.mirror is None:
        made = manifests.compose(found.shelf, house.settings, policy_module.DEFAULT, flags, house.environment)
    else:
        policy = await asyncio.to_thread(ground.policy_at, found.mirror, found.commit)
        made = await manifests.at(house, found.mirror, found.commit, policy, flags, house.environment)
        ground.refuse_sampled(house, made.effective)
        await ground.refuse_packages(house, made.effective)
    manifests.refuse_unknown_provider(made, found.shelf)
    return made


def document(made: Composed) -> dict[str, object]:
    """The composed agent as ``--json`` prints it."""
    return {
        "agent": made.agent,
        "provider": made.provider,
        "bottles": made.bottles,
        "lineage": made.lineage,
        "values": [
            {"name": leaf.name, "value": leaf.value, "from": leaf.origin.place, "line": leaf.origin.line}
            for leaf in made.leaves()
        ],
        "notices": made.notices,
    }


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
