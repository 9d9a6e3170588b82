"""``boatwright api-token``: who may call the private doors."""

from __future__ import annotations

from typing import Annotated

import typer

from boatwright.cli import common

app = typer.Typer(no_args_is_help=True, help="Who may call the private doors of `boatwright serve`.")

Name = Annotated[str, typer.Argument(help="Whose it is: the log names it.")]


@app.command("create")
def create(name: Name) -> int:
    """Make a token. It is printed this once, on standard output, and kept nowhere: only its hash is."""
    with common.housed() as house:
        token = house.ledger.tokens.create(name, by=common.me())
    common.err.print(f"the token of {name}; keep it now, it is not shown again:")
    common.out.print(token)
    return 0


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False) -> int:
    """Every token by its name: since when, used when, revoked when."""
    with common.housed() as house:
        found = house.ledger.tokens.all()
    if as_json:
        fields = ("name", "by", "created", "used", "revoked")
        common.emit_json([{field: getattr(each, field) for field in fields} for each in found])
        return 0
    for each in found:
        used = f"used {each.used:%Y-%m-%d %H:%M}" if each.used else "never used"
        gone = f", revoked {each.revoked:%Y-%m-%d %H:%M}" if each.revoked else ""
        common.say(f"{each.name:<24} made {each.created:%Y-%m-%d %H:%M} by {each.by}, {used}{gone}")
    if not found:
        common.say("nobody has a token")
    return 0


@app.command("revoke")
def revoke(name: Name) -> int:
    """From now on it opens nothing; its name stays, for the log."""
    with common.housed() as house:
        house.ledger.tokens.revoke(name)
    common.say(f"{name} is revoked")
    return 0
