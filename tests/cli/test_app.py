"""The command line as a whole: every name leads to its command, and a small command imports little."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

from boatwright.cli import app


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


def test_an_unknown_command_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    assert app.run(["shwo"]) == 2
    said = capfd.readouterr().err
    assert said.startswith("boatwright: No such command 'shwo'.") and "Traceback" not in said
