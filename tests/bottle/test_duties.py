"""The host's duties can fail: for each, a house that is careless in just that way is caught."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from boatwright.bottle import archive, duties
from boatwright.bottle.backends.bubblewrap import Bubblewrap, BubblewrapBottle
from boatwright.bottle.checkout import checkout
from boatwright.bottle.duties import Desk
from boatwright.bottle.store import erase
from boatwright.config.paths import StateDir
from boatwright.git.run import Call
from boatwright.rules import plain

SECRET = "secret-of-the-host"


@pytest.fixture
def place(state: StateDir) -> Iterator[Path]:
    made = state.root / "bait"
    (made / "home").mkdir(parents=True)
    (made / "home" / "key").write_text(SECRET)
    for each in (made, made / "home"):
        each.chmod(0o755)
    yield made
    erase(made)


@pytest.fixture
async def desk(backend: Bubblewrap, bottle: BubblewrapBottle, place: Path) -> Desk:
    made = Desk(backend, bottle, place, SECRET, plain.name)
    await checkout(backend, bottle, made.mirror, commit=made.base)
    return made


def careless_git(desk: Desk) -> None:
    """What must never be done: the host's own git in a directory that an agent wrote."""
    workspace = desk.bottle.workspace
    environment = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    subprocess.run(["git", "status"], check=False, cwd=workspace, env=environment, capture_output=True)


async def test_none_is_open_here(desk: Desk) -> None:
    assert await duties.run(desk) == dict.fromkeys(duties.DUTIES, "")


async def test_a_mirror_that_shares_files_is_noticed(desk: Desk) -> None:
    for file in (desk.mirror.path / "objects").rglob("*"):
        if file.is_file():
            file.chmod(0o644)
            file.write_text("x")
    assert await duties.DUTIES[49](desk) == "the mirror is corrupt"


async def test_a_link_that_is_followed_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = await desk.save()

    async def follow(self: Desk) -> Any:
        content = (self.bottle.workspace / "leak").read_bytes()
        self.mirror.run("hash-object", "-w", "--stdin", call=Call(stdin=content))
        return saved

    monkeypatch.setattr(Desk, "save", follow)
    assert await duties.DUTIES[50](desk) == "the host's file was saved"


async def test_a_link_nobody_is_told_of_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = await desk.save()

    async def silent(self: Desk) -> Any:
        return saved

    monkeypatch.setattr(Desk, "save", silent)
    assert "nobody was told" in await duties.DUTIES[50](desk)
    assert await duties.DUTIES[72](desk) == "nobody was told of .gitmodules"
    assert "were saved" in await duties.DUTIES[66](desk)


async def test_planted_git_that_runs_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Desk.save

    async def careless(self: Desk) -> Any:
        careless_git(self)
        return await save(self)

    monkeypatch.setattr(Desk, "save", careless)
    assert await duties.DUTIES[51](desk) == "a program of the workspace ran on the host"


async def test_a_name_that_is_shown_raw_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Desk.save

    async def raw(self: Desk) -> Any:
        return dataclasses.replace(await save(self), paths=("\x1b[2J",) * 9)

    monkeypatch.setattr(Desk, "save", raw)
    assert await duties.DUTIES[66](desk) == "a name reached people raw"


async def test_a_git_entry_nobody_is_told_of_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    blob = desk.mirror.line("hash-object", "-w", "--stdin", call=Call(stdin=b"x"))
    inner = desk.mirror.line("mktree", call=Call(stdin=f"100644 blob {blob}\tconfig\n".encode()))
    tree = desk.mirror.line("mktree", call=Call(stdin=f"040000 tree {inner}\t.GIT\n".encode()))
    commit = desk.mirror.commit_tree(tree, [], "m", duties._NOBODY, duties._WHEN)
    saved = await desk.save()

    async def silent(self: Desk) -> Any:
        return dataclasses.replace(saved, commit=commit, findings=())

    monkeypatch.setattr(Desk, "save", silent)
    assert await duties.DUTIES[67](desk) == "nobody was told of .GIT/config"


async def test_an_archive_unpacked_on_the_host_is_noticed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def careless(self: Bubblewrap, spec: Any, path: Path) -> Any:
        with path.open("rb") as file:
            file.seek(archive.HEADER)
            with tarfile.open(fileobj=zstandard.ZstdDecompressor().stream_reader(file), mode="r|") as tar:
                if hasattr(tarfile, "fully_trusted_filter"):  # the oldest Pythons know no other way
                    tar.extraction_filter = tarfile.fully_trusted_filter
                tar.extractall(desk.place / "unpacked")

    (desk.place / "unpacked").mkdir()
    monkeypatch.setattr(Bubblewrap, "thaw", careless)
    assert await duties.DUTIES[68](desk) == "a file of the archive lies outside"


async def test_a_terminal_that_obeys_is_noticed(desk: Desk) -> None:
    assert await duties.DUTIES[71](dataclasses.replace(desk, show=str)) == "a terminal would obey"


async def test_a_log_that_keeps_escapes_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def line(self: Any, what: str, **fields: Any) -> None:
        self._path.write_text(f"{what} {fields}\n{fields['target']}\n")

    monkeypatch.setattr(duties.Log, "line", line)
    assert await duties.DUTIES[71](desk) == "a log would"


async def test_a_submodule_that_is_visited_is_noticed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    save = Desk.save

    async def careless(self: Desk) -> Any:
        subprocess.run([self.place / "trap"], check=False, stdin=subprocess.DEVNULL, capture_output=True)
        return await save(self)

    monkeypatch.setattr(Desk, "save", careless)
    assert await duties.DUTIES[72](desk) == "a program of the workspace ran on the host"


async def test_what_cannot_be_tried_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(self: Desk, script: str, *arguments: str) -> None:
        raise OSError("no")

    monkeypatch.setattr(Desk, "plant", away)
    found = await duties.run(desk)
    assert {number for number, got in found.items() if got is None} == {49, 50, 51, 66, 67, 72}
