"""``boatwright switch``: the kill switch, of everything or of one repository."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.intake import switches
from boatwright.values.register import EVERYTHING, Switch

app = typer.Typer(
    no_args_is_help=True, help="The kill switch: off, nothing begins, and what is under way parks."
)

Repo = Annotated[
    str | None, typer.Option("--repo", help="One repository: its id, path or URL; else everything.")
]
SHOWN = 20


@app.command("off")
def off(
    repo: Repo = None,
    reason: Annotated[str, typer.Option(help="Why; it is shown to whoever is refused.")] = "",
) -> int:
    """Nothing begins from now on, and what is under way parks before its next step. It stays off until `on`."""
    with common.housed() as house:
        done = switches.off(house, repo, reason=reason, by=common.me())
    common.say(_line(done.switch))
    for view in done.concerned[:SHOWN]:
        common.say(f"  {view.id}  {one_line(view.title)}: parks before its next step")
    _more(len(done.concerned))
    return 0


@app.command("on")
def on(repo: Repo = None) -> int:
    """What was switched off may begin again. What parked for it waits for you."""
    with common.housed() as house:
        done = switches.on(house, repo, by=common.me())
    common.say(_line(done.switch))
    for view in done.concerned[:SHOWN]:
        common.say(f"  {view.id}  {one_line(view.title)}: go on with boatwright resume {view.id}")
    _more(len(done.concerned))
    return 0


@app.command("show")
def show(
    repo: Repo = None, as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False
) -> int:
    """What is on and what is off: every switch that was ever touched, or whether one repository may begin."""
    with common.housed() as house:
        if repo is not None:
            repository = switches.repository_id(house, repo)
            standing = house.ledger.switches.standing(repository)
            found = [standing] if standing else []
        else:
            found = house.ledger.switches.all()
    if as_json:
        common.emit_json(found)
        return 0
    for each in found:
        common.say(_line(each))
    if not found:
        common.say("nothing is switched off")
    return 0


def _line(switch: Switch) -> str:
    what = "everything" if switch.scope == EVERYTHING else switch.scope
    why = f": {one_line(switch.reason)}" if switch.reason else ""
    return f"{what} is {'off' if switch.off else 'on'} ({switch.by}, {switch.at:%Y-%m-%d %H:%M} UTC){why}"


def _more(many: int) -> None:
    if many > SHOWN:
        common.say(f"  and {many - SHOWN} more: boatwright status")
