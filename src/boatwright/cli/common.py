"""What every command shares: open the house, ask who is typing, print, leave with the right code."""

from __future__ import annotations

import asyncio
import getpass
import json
import shutil
import sys
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic_core import to_jsonable_python
from rich.console import Console

from boatwright import errors
from boatwright.cli.safe import printable
from boatwright.rules import naming
from boatwright.stages.house import House

if TYPE_CHECKING:
    from boatwright.workflows.engine import Engine

out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, stderr=True)

T = TypeVar("T")


@contextmanager
def opened() -> Iterator[tuple[House, Engine]]:
    """The house and its engine for one command."""
    from boatwright.workflows.assembly import engine_for  # noqa: PLC0415 - half of a small command's start

    house = House.open(producer="cli")
    engine = engine_for(house)
    try:
        yield house, engine
    finally:
        engine.close()
        house.close()


@contextmanager
def housed() -> Iterator[House]:
    """The house alone, for a command that leaves executions be."""
    house = House.open(producer="cli")
    try:
        yield house
    finally:
        house.close()


def wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run one coroutine; the only place where a command enters the event loop."""
    return asyncio.run(coroutine)


def me() -> str:
    """Who is typing, for the record. Not an authority: the local forge trusts whoever may write its state."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "local"


def program() -> str:
    """How this program was called, to print commands people can copy."""
    called = Path(sys.argv[0])
    return "boatwright" if shutil.which("boatwright") or called.name != "boatwright" else str(called)


def repository_of(named: str) -> str:
    """The repository id of a path or URL on the command line."""
    from boatwright.intake import request  # noqa: PLC0415 - it brings the agents, and few commands need it

    return naming.repository_id(request.resolve_source(named))


def emit_json(value: object) -> None:
    """One JSON document on stdout: sorted keys, decimals as strings, times in ISO 8601."""
    json.dump(plain(value), sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


def plain(value: object) -> object:
    """Models, dataclasses, decimals and times as what JSON knows."""
    return to_jsonable_python(value)


def say(text: str = "") -> None:
    """Print text that may hold words of strangers: control characters are shown, never obeyed."""
    out.print(printable(text))


def complain(error: errors.BoatwrightError) -> None:
    """The one clear sentence, then what to do next."""
    err.print(f"boatwright: {printable(str(error))}")
    named = error.next_moves or (_LOOK.get(error.exit_code, "boatwright doctor"),)
    moves([AGAIN if move == _GO_ON else move for move in named], to=err)


AGAIN = "then give the same command again"
_GO_ON = "boatwright resume EXECUTION"
"""What is said deep inside of a run that exists. Where a command ends with the error none was begun, or it is named."""


_LOOK = {2: "boatwright --help", 5: "boatwright status", 6: "boatwright status"}
"""Where to look when an error names no next move of its own, by exit code."""


def moves(next_moves: Sequence[str], *, to: Console = out) -> None:
    for move in next_moves:
        to.print(f"  → {printable(move)}")
