"""``boatwright top``: the screen where there is a terminal; the same view as text or JSON where there is none."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from boatwright import errors
from boatwright.cli import common
from boatwright.cli.top import text
from boatwright.intake.watching import HouseSource
from boatwright.stages.board import Board, Watch, ask_proxy
from boatwright.stages.house import House


def top(
    once: Annotated[bool, typer.Option("--once", help="Print the view as plain text and leave.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --once: one JSON document.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Bottles at rest, too: delivered, frozen, done.")
    ] = False,
) -> int:
    """Live bottles against every budget that binds them: cut, freeze, kill, raise; agent output; proxy log."""
    if as_json and not once:
        raise errors.BadInput("--json needs --once", next_moves=("boatwright top --once --json",))
    if once:
        with common.housed() as house:
            _print(common.wait(_look(house, everything)), as_json=as_json)
        return 0
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise errors.BadInput(
            "top draws on a terminal, and there is none here", next_moves=("boatwright top --once",)
        )
    return _screen(everything)


async def _look(house: House, everything: bool) -> Board:
    return Watch(house).look(await ask_proxy(house), everything=everything)


def _print(board: Board, *, as_json: bool) -> None:
    if as_json:
        common.emit_json(text.document(board))
        return
    for line in text.page(board):
        common.say(line)


def _screen(everything: bool) -> int:
    from boatwright.cli.top.actions import HouseActions  # noqa: PLC0415 - textual costs every command its import
    from boatwright.cli.top.app import TopApp  # noqa: PLC0415

    with common.opened() as (house, engine):
        source = HouseSource(house, f"{common.me()}/{os.getpid()}")
        app = TopApp(source, HouseActions(house, engine, by=common.me()), everything=everything)
        try:
            app.run()
        finally:
            source.leave()
        return app.return_code or 0
