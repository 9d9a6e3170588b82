"""All commands, put together, and the process edge that turns errors into sentences and exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
import typer.exceptions

from boatwright import errors
from boatwright.cli import common
from boatwright.cli.safe import printable
from boatwright.config import release

EPILOG = (
    "Exit codes: 0 done · 1 something failed · 2 bad input · 3 this host lacks a part · 4 parked, "
    "resumable · 5 refused by a rule · 6 conflict · 7 store unavailable · 8 at work (orchestrate status) · "
    "10 unproven · 11 regression · 12 refused proof · 13 could not check · 130 stopped, resumable"
)

HELP = (
    "An issue goes in, a verified pull request comes out. The coding agent works in a bottle (an "
    "isolated place) with one metered wire out."
)

COMMANDS = {
    "demo": "demo:demo",
    "init": "admin:init",
    "run": "run:run",
    "show": "show:show",
    "status": "show:status",
    "log": "log:log",
    "events": "events:events",
    "cancel": "control:cancel",
    "resume": "control:resume",
    "retry": "control:retry",
    "cut": "wire:cut",
    "replay": "replay:replay",
    "top": "top.command:top",
    "gc": "admin:gc",
    "doctor": "admin:doctor",
    "worker": "control:worker",
    "serve": "control:serve",
    "connect": "connect:connect",
}
"""Where each command is, in the order of the help."""
GROUPS = {
    "issue": "issue",
    "pr": "pr",
    "plan": "plan",
    "orchestrate": "orchestrate",
    "budget": "budget",
    "wire": "wire",
    "asks": "asks",
    "deliveries": "deliveries",
    "agent": "agent",
    "bottle": "bottle",
    "repo": "repo",
    "switch": "switch",
    "api-token": "tokens",
}
"""The same for commands that have commands of their own."""


def assembled(only: str = "") -> typer.Typer:
    """The command line. ``only``: a name that is typed; when there is one by that name, no other is imported, as
    importing is most of what a small command costs.
    """
    app = typer.Typer(
        name="boatwright",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        epilog=EPILOG,
        help=HELP,
    )
    app.callback()(boatwright)
    known = only in COMMANDS or only in GROUPS or only == "--version"
    for name, place in COMMANDS.items():
        if not known or name == only:
            module, _, function = place.partition(":")
            app.command(name)(getattr(_room(module), function))
    for name, module in GROUPS.items():
        if not known or name == only:
            app.add_typer(_room(module).app, name=name)
    return app


def _room(module: str) -> Any:
    return importlib.import_module(f"boatwright.cli.{module}")


def _tell_version(wanted: bool) -> None:
    if wanted:
        common.say(f"boatwright {release.current(os.environ)}")
        raise typer.Exit


def boatwright(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which release this is."),
    ] = False,
) -> None:
    """What stands before every command."""


def run(arguments: Sequence[str] | None = None, *, imported: Callable[[], None] = lambda: None) -> int:
    """Run one command line; returns its exit code. ``imported`` is called before the command is."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        app = assembled(words[0] if words else "")
        imported()
        result = app(args=words, standalone_mode=False)
    except errors.BoatwrightError as error:
        common.complain(error)
        return error.exit_code
    except typer.exceptions.TyperException as error:
        return _misused(error)
    except (KeyboardInterrupt, typer.Abort):
        common.err.print("boatwright: stopped")
        return errors.Stopped.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return result if isinstance(result, int) else 0


def _misused(error: typer.exceptions.TyperException) -> int:
    """An unknown command, a missing option; or no arguments at all, whose message is the help."""
    sentence, _, rest = error.format_message().partition("\n")
    if not sentence.strip():  # nothing was asked for, and the help has been printed
        return errors.BadInput.exit_code
    if rest:
        common.say(error.format_message())
    else:
        common.err.print(f"boatwright: {printable(sentence)}")
        common.moves(
            (f"{getattr(getattr(error, 'ctx', None), 'command_path', 'boatwright')} --help",), to=common.err
        )
    return errors.BadInput.exit_code
