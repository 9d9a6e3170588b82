"""``boatwright repo``, ``switch`` and ``api-token``: from argument list to exit code."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright.cli import app
from boatwright.stages.house import House
from boatwright.testing import samples
from boatwright.values.register import EVERYTHING


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.delenv("BOATWRIGHT_DATABASE_URL", raising=False)
    house = House.open(producer="test")
    yield house
    house.close()


Said = pytest.CaptureFixture[str]


def refused(said: Said, code: int, words: str, *arguments: str) -> None:
    assert app.run(list(arguments)) == code
    err = said.readouterr().err
    assert words in err and "→" in err and "Traceback" not in err, err


# --- tokens ------------------------------------------------------------------------------------------------


def test_a_token_is_printed_once_and_found_nowhere(house: House, capsys: Said) -> None:
    assert app.run(["api-token", "create", "mine"]) == 0
    said = capsys.readouterr()
    assert re.fullmatch(r"bwt_[0-9a-f]{64}\n", said.out) and "mine" in said.err
    token = said.out.strip()
    assert house.ledger.tokens.holder(token)
    for arguments in (
        ["api-token", "list"],
        ["api-token", "list", "--json"],
        ["api-token", "revoke", "mine"],
    ):
        assert app.run(arguments) == 0
        shown = capsys.readouterr()
        assert "mine" in shown.out and token not in shown.out + shown.err and "hash" not in shown.out
    for path in house.state.root.rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path
    assert house.ledger.tokens.holder(token) is None


def test_bad_tokens_are_refused(house: House, capsys: Said) -> None:
    assert app.run(["api-token", "list"]) == 0
    assert "nobody" in capsys.readouterr().out
    refused(capsys, 2, "not a name", "api-token", "create", "a b")
    refused(capsys, 2, "no token named", "api-token", "revoke", "nobody")
    house.ledger.tokens.create("mine", by="me")
    refused(capsys, 6, "is or was", "api-token", "create", "mine")


# --- switches ----------------------------------------------------------------------------------------------


def test_off_and_on_say_whom_they_concern(house: House, capsys: Said) -> None:
    house.ledger.events.append("ex-1", samples.requested(issue=None, repository="tool-1"), key="r")
    assert app.run(["switch", "show"]) == 0
    assert "nothing is switched off" in capsys.readouterr().out
    assert app.run(["switch", "off", "--reason", "it\x1b[31m burns"]) == 0
    said = capsys.readouterr().out
    assert "everything is off" in said and "ex-1" in said and "\x1b" not in said
    refused(capsys, 5, "Boatwright is switched off", "run", "--repo", "/nowhere", "--text", "x")
    parked = samples.parked(code="switched_off")
    house.ledger.events.append("ex-1", parked, key="p")
    assert app.run(["switch", "on", "--repo", "tool-1"]) == 0
    assert "resume" not in capsys.readouterr().out, "everything is off still"
    assert app.run(["switch", "on"]) == 0
    assert "boatwright resume ex-1" in capsys.readouterr().out


def test_one_repository_is_switched_by_id_path_or_url(house: House, capsys: Said) -> None:
    url = "https://github.com/me/tool.git"
    assert app.run(["repo", "add", url]) == 0
    (mine,) = house.ledger.repositories.all()
    capsys.readouterr()
    for named in (mine.id, "me/tool", url):
        assert app.run(["switch", "off", "--repo", named]) == 0
        assert house.ledger.switches.is_off(mine.id)
        assert app.run(["switch", "show", "--repo", named, "--json"]) == 0
        assert '"scope": "' + mine.id in capsys.readouterr().out
        assert app.run(["switch", "on", "--repo", named]) == 0
        assert house.ledger.switches.is_off(mine.id) is None
    assert house.ledger.switches.is_off(EVERYTHING) is None
    refused(capsys, 2, "is known here", "switch", "off", "--repo", "slip")
    refused(capsys, 2, "characters", "switch", "off", "--reason", "x" * 501)


# --- repositories ------------------------------------------------------------------------------------------


def test_a_repository_of_a_forge(house: House, capsys: Said) -> None:
    assert app.run(["repo", "list"]) == 0
    assert "no repository is served" in capsys.readouterr().out
    assert app.run(["repo", "add", "ssh://git@git.example.org:2222/me/tool.git", "--forge", "gitea"]) == 0
    assert "gitea me/tool at https://git.example.org" in capsys.readouterr().out
    (mine,) = house.ledger.repositories.all()
    house.ledger.repositories.rename(mine.id, "us/tool")
    for named in (mine.id, "us/tool"):
        assert app.run(["repo", "show", named]) == 0
        said = capsys.readouterr().out
        assert "before: me/tool" in said and "switched on" in said
    assert app.run(["repo", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["previous"] == ["me/tool"]
    assert app.run(["repo", "remove", "us/tool"]) == 0
    assert "served no more" in capsys.readouterr().out
    refused(capsys, 2, "is served", "repo", "show", mine.id)
    refused(capsys, 2, "is served", "repo", "remove", mine.id)
    assert app.run(["repo", "list", "--all"]) == 0
    assert "[removed]" in capsys.readouterr().out


def test_a_repository_of_this_machine_is_looked_at(house: House, tmp_path: Path, capsys: Said) -> None:
    path = tmp_path / "tool"
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(path), *who, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    assert app.run(["repo", "add", str(path)]) == 0
    assert "local, from" in capsys.readouterr().out
    (mine,) = house.ledger.repositories.all()
    assert (mine.forge, mine.source, mine.path) == ("local", str(path), "")
    assert app.run(["repo", "show", str(path)]) == 0
    refused(capsys, 2, "known by its URL", "repo", "add", str(path), "--forge", "github")


def test_bad_repositories_are_refused(house: House, tmp_path: Path, capsys: Said) -> None:
    refused(capsys, 2, "no forge that is known", "repo", "add", "https://git.example.org/me/tool")
    refused(capsys, 2, "OWNER/NAME", "repo", "add", "https://github.com/tool")
    refused(capsys, 2, "no repository at", "repo", "add", str(tmp_path / "nowhere"))
    refused(capsys, 2, "password", "repo", "add", "https://me:secret@github.com/me/tool")
    assert app.run(["repo", "add", "https://github.com/me/tool"]) == 0
    capsys.readouterr()
    refused(capsys, 6, "served already", "repo", "add", "https://github.com/me/TOOL")
    assert len(house.ledger.repositories.all(removed=True)) == 1


# --- the doors ---------------------------------------------------------------------------------------------


def test_serve_refuses_what_it_should(house: House, capsys: Said) -> None:
    refused(capsys, 5, "no token to tell anybody by", "serve", "--host", "0.0.0.0")
    refused(capsys, 2, "HOST:PORT", "serve", "--public", "8643")
