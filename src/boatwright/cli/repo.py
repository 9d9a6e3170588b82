"""``boatwright repo``: which repositories are served, and where people talk about each."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common
from boatwright.git import remote
from boatwright.intake import register
from boatwright.rules.forge_place import ForgeKind
from boatwright.values.register import Repository

app = typer.Typer(no_args_is_help=True, help="Repositories that are served.")

Named = Annotated[str, typer.Argument(metavar="REPOSITORY", help="Its id, OWNER/NAME, path or URL.")]


@app.command("add")
def add(
    repository: Annotated[str, typer.Argument(metavar="URL|PATH", help="Where its history comes from.")],
    forge: Annotated[
        ForgeKind | None,
        typer.Option(help="Where people talk about it; known by itself for a path and for well-known hosts."),
    ] = None,
) -> int:
    """Serve a repository. Again: say anew what it is. Where there is a login for its forge, that one has to show it."""
    with common.housed() as house:
        added = common.wait(register.add(house, repository, forge, by=common.me()))
    common.say(_line(added.repository))
    if added.unsure:
        common.say(f"  note: whether it is there could not be asked: {added.unsure}")
    return 0


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Those that were removed, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Every repository that is served."""
    with common.housed() as house:
        found = house.ledger.repositories.all(removed=every)
    if as_json:
        common.emit_json(found)
        return 0
    for each in found:
        common.say(_line(each))
    if not found:
        common.say("no repository is served")
        common.moves(("boatwright repo add URL|PATH",))
    return 0


@app.command("show")
def show(
    repository: Named, as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False
) -> int:
    """One repository: its forge, what it was called before, whether it is switched off, its newest executions."""
    with common.housed() as house:
        found = register.find(house, repository)
        off = house.ledger.switches.is_off(found.id)
        newest = house.ledger.executions.list(repository=found.id, limit=5)
    if as_json:
        common.emit_json(found)
        return 0
    common.say(_line(found))
    common.say(f"  added by {found.by} on {found.added:%Y-%m-%d %H:%M} UTC")
    if found.previous:
        common.say(f"  before: {', '.join(found.previous)}")
    common.say(f"  {off or 'switched on'}")
    for view in newest:
        common.say(f"  {view.id}  {view.state:<10} {view.title}")
    return 0


@app.command("remove")
def remove(repository: Named) -> int:
    """Serve it no more. Its executions stay; those under way go on until you cancel them."""
    with common.housed() as house:
        gone = register.remove(house, repository)
    common.say(f"{gone.id} is served no more; boatwright repo add {remote.shown(gone.source)} takes it back")
    return 0


def _line(repository: Repository) -> str:
    where = f"{repository.forge} {repository.path}".strip()
    at = f" at {repository.base_url}" if repository.base_url else ""
    gone = "" if repository.active else "  [removed]"
    return f"{repository.id:<40} {where}{at}, from {remote.shown(repository.source)}{gone}"
