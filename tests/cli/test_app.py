"""The command line as a whole: every name leads to its command, and a small command imports little."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

from boatwright import cli, errors
from boatwright.cli import app

INTERRUPTED = """
import signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Finder())
wanted, sys.argv = sys.argv[1], ["boatwright", *sys.argv[2:]]
from boatwright.cli import main
main()
"""
"""The console script, with a Ctrl-C that comes while the module of the first argument is imported."""


def test_a_name_that_is_typed_brings_its_own_command_alone() -> None:
    whole = get_command(app.assembled())
    assert list(whole.commands) == [*app.COMMANDS, *app.GROUPS]  # type: ignore[attr-defined]
    for name in (*app.COMMANDS, *app.GROUPS):
        (only,) = get_command(app.assembled(name)).commands.items()  # type: ignore[attr-defined]
        assert only[0] == name and only[1].help == whole.commands[name].help  # type: ignore[attr-defined]


@pytest.mark.parametrize("typed", ["", "--help", "shwo"])
def test_anything_else_brings_them_all(typed: str) -> None:
    assert len(get_command(app.assembled(typed)).commands) > 30  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["status", "log", "deliveries"])
def test_reading_brings_no_engine_and_no_screen(name: str) -> None:
    code = f"import sys\nfrom boatwright.cli import app\napp.assembled({name!r})\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert not {"dbos", "textual", "fastapi"} & set(done.stdout.split())


@pytest.mark.parametrize(
    "module", ["importlib.metadata", "typer", "boatwright.cli.common", "boatwright.cli.run", "sqlalchemy"]
)
def test_ctrl_c_while_a_command_is_imported_is_one_line(module: str) -> None:
    line = [sys.executable, "-c", INTERRUPTED, module, "run", "--help"]
    done = subprocess.run(line, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "boatwright: stopped\n")


def test_what_is_stopped_early_exits_as_what_is_stopped_later() -> None:
    assert errors.Stopped.exit_code == cli.STOPPED


def test_an_unknown_command_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["shwo"]) == 2
    said = capfd.readouterr().err
    assert said.startswith("boatwright: No such command 'shwo'.") and "Traceback" not in said
