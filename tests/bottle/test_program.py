"""Programs of the host in a bottle: where each kind lies, what is shown of it, and what is copied."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath

import pytest

from boatwright import errors
from boatwright.bottle import program
from boatwright.bottle.backends.host import HostBackend
from boatwright.bottle.program import Program
from boatwright.bottle.protocol import BottleSpec
from boatwright.config.paths import StateDir


def lay(path: Path, text: str = "#!/bin/sh\necho it runs\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def find(name: str, folder: Path, state: StateDir, uid: int) -> Program:
    return program.find(name, {"PATH": str(folder)}, uid=uid, shelf=state.run, remedy="install it")


async def runs(backend: HostBackend, found: Program) -> bool:
    bottle = await backend.create(BottleSpec(slug="program", purpose="test", binds=found.binds))
    return (await bottle.exec([str(found.path)])).text() == "it runs\n"


async def test_one_in_node_modules_is_shown_with_all_its_company(backend: HostBackend) -> None:
    modules = backend.state.root / "tools" / "node_modules"
    lay(modules / "@who" / "agent" / "node_modules" / "inner" / "cli")
    (modules / ".bin").mkdir()
    (modules / ".bin" / "agent").symlink_to("../@who/agent/node_modules/inner/cli")
    backend.state.root.chmod(0o711)
    found = find("agent", modules / ".bin", backend.state, backend.uid_range[0])
    assert found.path == PurePosixPath("/opt/agents/agent/node_modules/@who/agent/node_modules/inner/cli")
    assert [bind.target for bind in found.binds] == [PurePosixPath("/opt/agents/agent/node_modules")]
    assert await runs(backend, found)


async def test_one_that_is_a_single_file_is_shown_alone(backend: HostBackend) -> None:
    lay(backend.state.root / "bin" / "agent-1")
    (backend.state.root / "bin" / "agent").symlink_to("agent-1")
    found = find("agent", backend.state.root / "bin", backend.state, backend.uid_range[0])
    assert found.path == PurePosixPath("/opt/agents/agent/agent-1")
    assert await runs(backend, found)


async def test_one_of_a_venv_is_shown_with_it(backend: HostBackend) -> None:
    place = backend.state.root / "venv"
    lay(place / "bin" / "agent")
    (place / "pyvenv.cfg").write_text("")
    found = find("agent", place / "bin", backend.state, backend.uid_range[0])
    assert found.path == PurePosixPath("/opt/agents/agent/venv/bin/agent") and await runs(backend, found)


def venv_at(place: Path, base: Path = Path("/usr/bin/python3")) -> Path:
    """A venv as the interpreter makes it, with a script in it as pip writes one."""
    (place / "bin").mkdir(parents=True)
    (place / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (place / "bin" / "python3").symlink_to(base)
    (place / "bin" / "python").symlink_to("python3")
    lay(place / "bin" / "agent", f"#!{place}/bin/python\nimport sys\nprint('it runs')\n")
    return place


async def test_a_script_of_a_venv_is_run_by_its_interpreter(backend: HostBackend) -> None:
    place = venv_at(backend.state.root / "venv")
    backend.state.root.chmod(0o711)
    (backend.state.root / "path").mkdir()
    (backend.state.root / "path" / "agent").symlink_to(place / "bin" / "agent")
    found = find("agent", backend.state.root / "path", backend.state, backend.uid_range[0])
    assert found.argv == ("/opt/agents/agent/venv/bin/python", "/opt/agents/agent/venv/bin/agent")
    assert len(found.binds) == 1
    bottle = await backend.create(BottleSpec(slug="venv", purpose="test", binds=found.binds))
    assert (await bottle.exec(found.argv)).text() == "it runs\n"


def test_a_first_line_too_long_is_read_as_installers_write_it(state: StateDir) -> None:
    place = venv_at(state.root / "v e n v")
    line = f"""#!/bin/sh\n'''exec' "{place / "bin" / "python"}" "$0" "$@"\n' '''\nprint('x')\n"""
    lay(place / "bin" / "agent", line)
    found = find("agent", place / "bin", state, os.geteuid())
    assert found.before == (PurePosixPath("/opt/agents/agent/v e n v/bin/python"),)


def test_an_interpreter_of_another_prefix_is_shown_too(state: StateDir) -> None:
    base = lay(state.root / "python" / "bin" / "python3.11")
    place = venv_at(state.root / "venv", base)
    found = find("agent", place / "bin", state, os.geteuid())
    assert [str(bind.target) for bind in found.binds] == ["/opt/agents/agent/venv", str(base.parent.parent)]
    assert found.binds[1].source == base.resolve().parent.parent


def test_an_interpreter_out_of_reach_is_named_with_the_remedy(state: StateDir) -> None:
    place = venv_at(state.root / "venv", state.root / "absent" / "bin" / "python3")
    with pytest.raises(
        errors.MissingPart, match="'agent' runs on the interpreter .*where a bottle cannot go"
    ) as told:
        find("agent", place / "bin", state, os.geteuid())
    assert "/usr/bin/python3 -m venv" in told.value.next_moves[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a place its bottles cannot reach")
async def test_one_where_a_bottle_cannot_go_is_copied_once(backend: HostBackend) -> None:
    hidden = backend.state.root / "hidden"
    modules = hidden / "node_modules"
    lay(modules / "agent" / "cli").chmod(0o700)
    hidden.chmod(0o700)
    uid = backend.uid_range[0]
    found = find("cli", modules / "agent", backend.state, uid)
    (bind,) = found.binds
    assert bind.source.parent == backend.state.run and await runs(backend, found)
    made = bind.source.stat().st_ino
    assert find("cli", modules / "agent", backend.state, uid) == found and bind.source.stat().st_ino == made
    lay(modules / "agent" / "cli", "#!/bin/sh\necho it runs\n# a later version\n").chmod(0o700)
    assert find("cli", modules / "agent", backend.state, uid).binds != found.binds


def test_one_of_the_system_needs_nothing(state: StateDir) -> None:
    found = program.find("sh", {"PATH": "/usr/bin"}, uid=1, shelf=state.run, remedy="")
    assert found.binds == () and found.path.is_relative_to("/usr")


def test_none_is_named_with_the_remedy(state: StateDir, tmp_path: Path) -> None:
    with pytest.raises(errors.MissingPart, match="'agent' is not on this host's PATH") as missing:
        find("agent", tmp_path, state, 1)
    assert missing.value.next_moves == ("install it",)


def test_a_version_is_read_and_nothing_is_run(tmp_path: Path) -> None:
    told = tmp_path / "node_modules" / "agent"
    lay(told / "dist" / "cli", "#!/bin/sh\ntouch ran\n")
    path = {"PATH": str(told / "dist")}
    assert program.version("cli", path) == ""
    (told / "package.json").write_text(json.dumps({"name": "agent", "version": "1.2.3"}))
    assert program.version("cli", path) == "1.2.3" and program.version("none", path) is None


def test_the_version_of_a_venvs_script_is_its_packages(tmp_path: Path) -> None:
    place = venv_at(tmp_path / "venv")
    path = {"PATH": str(place / "bin")}
    assert program.version("agent", path) == ""
    said = {
        "an_agent-1.2.3": "[console_scripts]\nagent = x:main\n",
        "broken-9": "][",
        "other-2": "[x]\na = b\n",
    }
    for name, text in said.items():
        told = place / "lib" / "python3.11" / "site-packages" / f"{name}.dist-info" / "entry_points.txt"
        told.parent.mkdir(parents=True)
        told.write_text(text)
    assert program.version("agent", path) == "1.2.3"
