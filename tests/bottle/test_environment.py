"""The prepared environment: made once, whole or not at all, shown read-only."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.bottle import environment
from boatwright.bottle.backends.host import HostBackend
from boatwright.bottle.environment import prepare
from boatwright.bottle.protocol import Bottle, BottleSpec
from boatwright.bottle.telling import Lines
from boatwright.config.paths import StateDir
from boatwright.values.process import Limits


@pytest.fixture(scope="module")
def shared() -> Iterator[StateDir]:
    """One state directory for these tests: the Python environment with pip, which takes seconds, is made once."""
    root = Path(tempfile.mkdtemp(prefix="bwe-", dir="/tmp"))
    root.chmod(0o711)
    yield StateDir(root).create()
    shutil.rmtree(root)


@pytest.fixture
def state(shared: StateDir) -> StateDir:
    return shared


def environments(backend: HostBackend) -> list[str]:
    """What is on disk but for the seed and the lock files."""
    names = (each.name for each in backend.state.environments.iterdir())
    return sorted(name for name in names if not name.startswith((".lock-", "python-")))


async def lay(bottle: Bottle) -> None:
    done = await bottle.exec(["sh", "-c", "mkdir -p lib packages/inner; echo 'VALUE = 42' > lib/ours.py"])
    assert done.ok


async def nothing(bottle: Bottle) -> None:
    return None


async def use(backend: HostBackend, prepared: environment.Prepared, script: str) -> str:
    spec = BottleSpec(
        f"use-{os.urandom(4).hex()}",
        "test",
        binds=prepared.binds,
        environment=prepared.environment(backend.toolchain.path),
    )
    bottle = await backend.create(spec)
    await lay(bottle)
    try:
        return (await bottle.exec(["bash", "-c", script])).text()
    finally:
        await backend.destroy(spec.slug)


async def test_a_bare_environment_is_quick_and_has_a_python(backend: HostBackend) -> None:
    prepared = await prepare(backend, key="bare", setup=None, commit_tree_into=nothing)
    assert (prepared.python, prepared.cached, prepared.modules) == (True, False, ())
    told = await use(backend, prepared, "which python; python -c 'import sys; print(sys.prefix)'")
    assert told == "/env/bin/python\n/env\n"


SETUP = """
set -e
echo "setting $COLOUR in $PWD with $(command -v python)"
python - <<'END'
import pathlib, sysconfig
site = pathlib.Path(sysconfig.get_path("purelib"))
(site / "ours.pth").write_text("/workspace/lib\\n")
(site / "installed.py").write_text("WORD = 'installed'\\n")
END
umask 077
echo private > /env/private
mkdir -p node_modules/dep node_modules/.bin node_modules/@scope packages/inner/node_modules/deep
echo 'module.exports = "dep"' > node_modules/dep/index.js
printf '#!/bin/sh\\necho tool ran\\n' > node_modules/dep/tool; chmod +x node_modules/dep/tool
ln -s ../dep/tool node_modules/.bin/tool
echo 'module.exports = "inner"' > packages/inner/index.js
ln -s ../../packages/inner node_modules/@scope/inner
echo 'module.exports = "deep"' > packages/inner/node_modules/deep/index.js
"""
USE = """
python -c 'import installed, ours; print(installed.WORD, ours.VALUE)'
cat /env/private
tool
echo 'import dep from "dep"; console.log(dep)' > esm.mjs; node esm.mjs
node -e 'console.log(require("dep"))'
cd packages/inner; echo 'console.log(require("deep"), require("dep"))' > use.js; node use.js; cd ../..
readlink /node_modules/@scope/inner
for place in /env /env/lib /node_modules/dep packages/inner/node_modules; do touch $place/new 2>/dev/null && echo written; done
find . \\( -name node_modules -o -name __pycache__ \\) -prune -o -type f -print | sort
"""


async def test_what_setup_installed_is_there_later_and_read_only(backend: HostBackend) -> None:
    said: list[str] = []
    prepared = await prepare(
        backend, key="full", setup=SETUP, commit_tree_into=lay, environment={"COLOUR": "red"}, say=said.append
    )
    assert "setting red in /workspace with /env/bin/python" in said
    assert b"setting red" in prepared.log
    assert prepared.modules == ("node_modules", "packages/inner/node_modules")
    # Another uid uses it, as root does: the preparing bottle's uid is taken meanwhile.
    holder = await backend.create(BottleSpec("holder", "test"))
    told = await use(backend, prepared, USE)
    assert told == (
        "installed 42\nprivate\ntool ran\ndep\ndep\ndeep dep\n/workspace/packages/inner\n"
        "./esm.mjs\n./lib/ours.py\n./packages/inner/use.js\n"
    )
    again = await prepare(backend, key="full", setup="exit 1", commit_tree_into=nothing)
    assert (again.cached, again.log, again.modules) == (True, prepared.log, prepared.modules)
    await backend.destroy(holder.slug)


async def test_modules_that_the_commit_brings_are_not_hidden(backend: HostBackend) -> None:
    async def vendored(bottle: Bottle) -> None:
        await bottle.exec(["sh", "-c", "mkdir node_modules; echo ours > node_modules/file"])

    prepared = await prepare(
        backend, key="vendored", setup="touch node_modules/more", commit_tree_into=vendored
    )
    assert prepared.modules == ()


async def test_a_setup_that_fails_parks_and_leaves_nothing(backend: HostBackend) -> None:
    with pytest.raises(errors.Parked, match="exit code 3") as parked:
        await prepare(backend, key="bad", setup="echo why it failed; exit 3", commit_tree_into=lay)
    assert parked.value.code == "setup"
    assert "why it failed" in str(parked.value)
    assert "bad" not in environments(backend)
    assert not [name for name in environments(backend) if name.startswith(".")]
    assert await backend.list() == []
    made = await prepare(backend, key="bad", setup="true", commit_tree_into=lay)
    assert not made.cached, "a failure is not remembered"


async def test_a_setup_that_meets_a_limit_parks_by_its_name(backend: HostBackend) -> None:
    with pytest.raises(errors.Parked, match="limit 'disk'"):
        await prepare(
            backend,
            key="big",
            setup="while :; do n=$((n + 1)); head -c 8000000 /dev/zero > /env/f$n; done",
            commit_tree_into=nothing,
            limits=Limits(disk_bytes=60 << 20, wall_seconds=60),
        )


async def test_setup_has_no_network_without_a_wire(backend: HostBackend) -> None:
    script = "python -c 'import socket; socket.create_connection((\"192.0.2.1\", 80), 2)'"
    with pytest.raises(errors.Parked, match="unreachable"):
        await prepare(backend, key="net", setup=script, commit_tree_into=nothing)


async def test_concurrent_preparers_make_one(backend: HostBackend, make_backend) -> None:  # type: ignore[no-untyped-def]
    laid = 0

    async def count(bottle: Bottle) -> None:
        nonlocal laid
        laid += 1

    made = await asyncio.gather(
        *(
            prepare(each, key="one", setup=None, commit_tree_into=count)
            for each in (backend, make_backend(), backend)
        )
    )
    assert laid == 1
    assert sorted(each.cached for each in made) == [False, True, True]


async def test_a_half_made_one_is_discarded(backend: HostBackend) -> None:
    left = backend.state.environments / ".making-half" / "env"
    left.mkdir(parents=True)
    (left / "rubbish").write_text("x")
    await backend.create(BottleSpec("prepare-half", "prepare"))
    (
        backend.state.environments / "half"
    ).mkdir()  # killed between mkdir and anything else: nothing of ours does this
    (backend.state.environments / "half").rmdir()
    prepared = await prepare(backend, key="half", setup=None, commit_tree_into=nothing)
    assert not (prepared.path / "rubbish").exists()
    assert await backend.list() == []


async def test_cancelling_a_preparation_leaves_nothing(backend: HostBackend) -> None:
    up = asyncio.Event()
    task = asyncio.create_task(
        prepare(backend, key="slow", setup="echo up; sleep 300", commit_tree_into=nothing,
                say=lambda line: up.set() if line == "up" else None)
    )  # fmt: skip
    await up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "slow" not in environments(backend)
    assert not [name for name in environments(backend) if name.startswith(".")]
    assert await backend.list() == []


async def test_discarding(backend: HostBackend) -> None:
    prepared = await prepare(backend, key="old", setup=None, commit_tree_into=nothing)
    environment.discard(backend, "old")
    environment.discard(backend, "old")
    assert not prepared.path.exists()
    assert not (await prepare(backend, key="old", setup=None, commit_tree_into=nothing)).cached


@pytest.mark.parametrize("key", ["", "../x", "A", "a b", ".x"])
async def test_a_bad_key_is_bad_input(backend: HostBackend, key: str) -> None:
    with pytest.raises(errors.BadInput):
        await prepare(backend, key=key, setup=None, commit_tree_into=nothing)


def test_lines() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    for chunk in (b"one\ntw", b"o\r\n", b"x" * 5000, b"\nthree"):
        lines.feed(chunk)
    lines.end()
    assert said == ["one", "two", "x" * 5000, "", "three"]


def test_the_path_of_an_environment_is_outside_every_workspace(tmp_path: Path) -> None:
    prepared = environment.Prepared("k", tmp_path, b"", 0.0, False, True, ("node_modules", "a/node_modules"))
    assert [str(bind.target) for bind in prepared.binds] == [
        "/env",
        "/node_modules",
        "/workspace/a/node_modules",
    ]
    assert not any(bind.writable for bind in prepared.binds)
    assert prepared.environment("/usr/bin")["PATH"] == "/env/bin:/node_modules/.bin:/usr/bin"
