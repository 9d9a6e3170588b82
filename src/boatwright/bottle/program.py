"""A program of the host's, a coding agent above all, shown in a bottle read-only where the host has it.

Four ways a host has one: under /usr, which every bottle sees; in some ``node_modules``, all of which is shown; in a
prefix of its own (a venv); or as one file. Where a bottle's uid cannot go, what would be shown is copied once into
the state directory. A venv's script names an interpreter by its path on the host, so it is run by that of the venv.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle import venv
from boatwright.bottle.binary import reachable
from boatwright.bottle.protocol import Bind

PLACE = PurePosixPath("/opt/agents")
MODULES = "node_modules"
_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Program:
    """A program as a bottle has it: its path inside, and what must be bound for that. ``host`` is the file found;
    ``before`` is what it must be run by.
    """

    path: PurePosixPath
    binds: tuple[Bind, ...]
    host: Path
    before: tuple[PurePosixPath, ...] = ()

    @property
    def argv(self) -> tuple[str, ...]:
        return tuple(map(str, (*self.before, self.path)))


def find(name: str, environment: Mapping[str, str], *, uid: int, shelf: Path, remedy: str) -> Program:
    """The program ``name`` of this host's PATH, ready to be bound into a bottle that runs as ``uid``.

    Raises ``errors.MissingPart`` with ``remedy`` when PATH has none, or the interpreter of its venv cannot be shown.
    """
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        raise errors.MissingPart(
            f"the program '{name}' is not on this host's PATH", subject=name, next_moves=(remedy,)
        )
    named, program = Path(found).absolute(), Path(found).resolve()
    if program.is_relative_to("/usr"):
        inside = named if named.is_relative_to("/usr") else program
        return Program(PurePosixPath(inside), (), program)
    shown = _shown(program)
    source = shown if _readable(shown, program, uid) else _shelved(shown, program, shelf)
    target = PLACE / Path(name).name / shown.name
    bind, path = Bind(source, target), target / program.relative_to(shown)
    python = venv.interpreter(program, shown)
    if python is None:
        return Program(path, (bind,), program)
    base = _base(name, python, shown, uid)
    return Program(path, (bind, *base), program, (target / "bin" / python.name,))


def _base(name: str, python: Path, prefix: Path, uid: int) -> tuple[Bind, ...]:
    """What a venv's interpreter needs besides the venv: nothing where the system's is its base."""
    base = venv.base(python, prefix)
    if base is None or base.is_relative_to("/usr"):
        return ()
    real = base.resolve()
    if not reachable(real, uid, want=stat.S_IXOTH):
        raise errors.MissingPart(
            f"'{name}' runs on the interpreter {base}, where a bottle cannot go",
            subject=name,
            next_moves=(f"install '{name}' in a venv of the system's: /usr/bin/python3 -m venv DIRECTORY",),
        )
    return (
        () if real.is_relative_to("/usr") else (Bind(real.parent.parent, PurePosixPath(base.parent.parent)),)
    )


def version(name: str, environment: Mapping[str, str]) -> str | None:
    """Which version this host has: None without one, empty where its files do not say. Nothing is run."""
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        return None
    program = Path(found).resolve()
    prefix = venv.prefix_of(program)
    if prefix is not None:
        return venv.version(prefix, program.name)
    for folder in list(program.parents)[:_LEVELS]:
        with contextlib.suppress(OSError, ValueError):
            told = json.loads((folder / "package.json").read_text("utf-8"))
            if isinstance(told, dict) and "version" in told:
                return str(told["version"])
    return ""


def _shown(program: Path) -> Path:
    """The smallest piece of the host the program runs from."""
    outermost = next((each for each in reversed(program.parents) if each.name == MODULES), None)
    if outermost is not None:
        return outermost
    return venv.prefix_of(program) or program


def _readable(shown: Path, program: Path, uid: int) -> bool:
    return reachable(program, uid, want=stat.S_IXOTH) and reachable(shown, uid, want=stat.S_IROTH)


def _shelved(shown: Path, program: Path, shelf: Path) -> Path:
    """A copy where everybody may read, made once for each state of the program's file."""
    status = program.stat()
    key = hashlib.sha256(f"{program}\0{status.st_mtime_ns}\0{status.st_size}".encode()).hexdigest()[:16]
    copy = shelf / f"program-{key}"
    if not copy.exists():
        _copy(shown, copy)
    os.utime(copy)  # used now: a sweep leaves it to the bottle that is about to show it
    return copy


def _copy(shown: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    room = Path(tempfile.mkdtemp(dir=copy.parent, prefix=".program-"))
    fresh = room / "copy"
    try:
        if shown.is_dir():
            shutil.copytree(shown, fresh, symlinks=True)
        else:
            shutil.copyfile(shown, fresh)
        _open_up(fresh, runs=not shown.is_dir())
        with contextlib.suppress(OSError):  # somebody was quicker: theirs is the same
            fresh.rename(copy)
    finally:
        shutil.rmtree(room, ignore_errors=True)


def _open_up(root: Path, *, runs: bool) -> None:
    """Everybody may read it and walk it; what its owner may run, everybody may."""
    for path in (root, *(root.rglob("*") if root.is_dir() else ())):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        path.chmod(0o755 if path.is_dir() or runs or mode & stat.S_IXUSR else 0o644)
