"""``boatwright repo add`` asks the forge whether the repository is there, where there is a login for it; and what a run
that lacks one says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from boatwright.cli import app
from boatwright.config.paths import StateDir
from boatwright.intake import register
from boatwright.stages.house import House
from boatwright.testing.fake_forge import FakeForge
from boatwright.testing.fake_gitea import FakeForgejo, FakeGitea
from boatwright.testing.fake_github import FakeGitHub
from boatwright.testing.fake_gitlab import FakeGitLab

SAMPLE, BOT, TOKEN = "ann/sample", "boatwright-bot", "atokenofourownaccount0123456789"
KINDS: dict[str, type[FakeForge]] = {
    each.KIND: each for each in (FakeGitHub, FakeGitea, FakeForgejo, FakeGitLab)
}


@pytest.fixture(params=KINDS)
def forge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[FakeForge]:
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("SEEN_TOKEN", TOKEN)
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    with KINDS[request.param](tmp_path / "forge") as made:
        made.make(SAMPLE, files={"a.txt": "one\n"}, people={"ann": "admin", BOT: "admin"})
        made.token(BOT, TOKEN)
        logged_in(tmp_path, made.KIND, made.url)
        yield made


def logged_in(root: Path, kind: str, url: str) -> None:
    state = StateDir(root / "state").create()
    said = {"forges": {kind: {"token": "env:SEEN_TOKEN", "base_url": url}}}
    state.settings.write_text(yaml.safe_dump(said))


def added(forge: FakeForge, path: str) -> int:
    return app.run(["repo", "add", f"{forge.url}/{path}.git", "--forge", forge.KIND])


def served() -> list[str]:
    house = House.open(producer="test")
    try:
        return [each.path for each in house.ledger.repositories.all(removed=True)]
    finally:
        house.close()


def test_one_that_is_there_is_served_and_a_slip_of_the_pen_is_not(
    forge: FakeForge, capsys: pytest.CaptureFixture[str]
) -> None:
    assert added(forge, "ann/smaple") == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"boatwright: there is no repository ann/smaple at {forge.url}, or our login may not"
    )
    assert f"'forges.{forge.KIND}'" in said and served() == []
    assert added(forge, SAMPLE) == 0
    assert "note" not in capsys.readouterr().out and served() == [SAMPLE]


@pytest.mark.parametrize("forge", ["gitea"], indirect=True)
def test_without_a_login_that_is_taken_it_is_served_with_a_note(
    forge: FakeForge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEEN_TOKEN", "another")
    assert added(forge, "ann/smaple") == 0
    assert "could not be asked: gitea does not take our token" in capsys.readouterr().out
    monkeypatch.delenv("SEEN_TOKEN")
    assert added(forge, "ann/smaple") == 0
    assert "the variable SEEN_TOKEN is not set" in capsys.readouterr().out
    assert served() == ["ann/smaple"]


@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_a_forge_that_does_not_answer_is_not_waited_for(
    forge: FakeForge, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "PATIENCE", 0.05)
    logged_in(tmp_path, "github", "http://127.0.0.1:9")
    assert app.run(["repo", "add", "http://127.0.0.1:9/ann/sample.git", "--forge", "github"]) == 0
    assert (
        "note: whether it is there could not be asked: http://127.0.0.1:9 did not" in capsys.readouterr().out
    )
    assert served() == [SAMPLE]


@pytest.mark.parametrize("forge", ["gitea"], indirect=True)
def test_a_run_without_the_key_says_how_to_set_it_and_then_what(
    forge: FakeForge, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert added(forge, SAMPLE) == 0
    monkeypatch.delenv("SEEN_TOKEN")
    said = ("--text", "x", "--model", "scripted:/nowhere.yml")
    assert app.run(["run", "--repo", f"{forge.url}/{SAMPLE}.git", *said]) == 4
    sentence, *moves = capsys.readouterr().err.splitlines()
    assert sentence == "boatwright: the key is missing: the variable SEEN_TOKEN is not set"
    assert moves == ["  → export SEEN_TOKEN=…", "  → then give the same command again"], (
        "there is nothing to resume"
    )
