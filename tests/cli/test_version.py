"""``boatwright --version`` says which release this is, and opens nothing for it."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from boatwright.cli import app


def test_the_release_is_said_without_a_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("BOATWRIGHT_RELEASE", raising=False)
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", "nonsense")
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == f"boatwright {metadata.version('boatwright')}\n"
    assert not (tmp_path / "state").exists()
