"""All commands, put together, and the process edge that turns errors into sentences and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
import typer.exceptions

from boatwright import errors
from boatwright.cli import (
    admin,
    agent,
    asks,
    bottle,
    budget,
    common,
    control,
    demo,
    events,
    issue,
    plan,
    pr,
    replay,
    show,
    wire,
)
from boatwright.cli import (
    run as run_command,
)
from boatwright.cli.safe import printable

EPILOG = (
    "Exit codes: 0 done · 1 something failed · 2 bad input · 3 this host lacks a part · 4 parked, "
    "resumable · 5 refused by a rule · 6 conflict · 7 store unavailable · 10 unproven · 11 regression · "
    "12 refused proof · 13 could not check · 130 stopped, resumable"
)

app = typer.Typer(
    name="boatwright",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    help="An issue goes in, a verified pull request comes out. The coding agent works in a bottle (an "
    "isolated place) with one metered wire out.",
)
app.command("demo")(demo.demo)
app.command("init")(admin.init)
app.command("run")(run_command.run)
app.command("show")(show.show)
app.command("status")(show.status)
app.command("events")(events.events)
app.command("cancel")(control.cancel)
app.command("resume")(control.resume)
app.command("retry")(control.retry)
app.command("cut")(wire.cut)
app.command("replay")(replay.replay)
app.command("gc")(admin.gc)
app.command("doctor")(admin.doctor)
app.command("worker")(control.worker)
app.command("serve")(control.serve)
app.add_typer(issue.app, name="issue")
app.add_typer(pr.app, name="pr")
app.add_typer(plan.app, name="plan")
app.add_typer(budget.app, name="budget")
app.add_typer(wire.app, name="wire")
app.add_typer(asks.app, name="asks")
app.add_typer(agent.app, name="agent")
app.add_typer(bottle.app, name="bottle")


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line; returns its exit code."""
    try:
        result = app(args=list(arguments) if arguments is not None else None, standalone_mode=False)
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
