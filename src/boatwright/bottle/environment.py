"""The prepared environment: what a repository needs to run, installed once, then shown read-only to many bottles.

Setup runs in a bottle of its own on the commit's files, with whatever wire the policy gives it. What it installs is
kept outside the workspace: a Python environment at ``/env``, and the ``node_modules`` it made, which later bottles
find where they were. Inside paths never change between preparing and using, because installed things remember them.
A preparation is whole or not there: it is made beside its place and renamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.bottle import locks, store
from boatwright.bottle.protocol import HOME, WORKSPACE, Bind, Bottle, BottleSpec, Root
from boatwright.bottle.telling import Lines
from boatwright.values.process import ExecResult, Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.host import HostBottle
    from boatwright.bottle.backends.registry import AnyBackend

ENV = PurePosixPath("/env")
MODULES = "node_modules"
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,127}")
_SEED = PurePosixPath("/seed")
_LOCK, _MAKING, _GONE = ".lock-", ".making-", ".gone-"
_TEMPORARY = str(HOME / ".temporary")
_TAIL = 15
"""Lines of a failed setup that a person is shown at once; the whole log is kept."""

_FIND = ("find", str(WORKSPACE), "-type", "d", "-name", MODULES, "-prune", "-print0")
_KEEP = """
set -e
from=$1 to=$2
mkdir -p "$to"
cp -a "$from/." "$to/"
# Packages of the workspace itself are links that go up and down again; from the new place they go straight there.
find "$from" -maxdepth 2 -type l | while IFS= read -r link; do
  target=$(readlink -f "$link") || continue
  case $target in
    */node_modules/*) ;;
    /workspace/*) ln -sfn "$target" "$to/${link#"$from"/}" ;;
  esac
done
"""
_READABLE = ("chmod", "-R", "a+rX", str(ENV))


@dataclass(frozen=True, slots=True)
class Prepared:
    """An environment on disk. ``path`` is the host's directory shown at ``/env``; ``log`` what setup printed."""

    key: str
    path: Path
    log: bytes
    seconds: float
    cached: bool
    python: bool
    modules: tuple[str, ...] = ()
    """Each ``node_modules`` that setup made, as a path from the workspace."""
    root: Root = field(default_factory=Root)
    """Whose programs it was made with, and is used with."""

    @property
    def binds(self) -> tuple[Bind, ...]:
        """What a bottle that uses it binds, all read-only."""
        kept = (Bind(self.path / f"modules-{n}", _shown_at(name)) for n, name in enumerate(self.modules))
        return (Bind(self.path, ENV), *kept)

    def environment(self, path: str) -> Mapping[str, str]:
        """Variables for a bottle that uses it; ``path`` is the search path it adds to, of a bottle without an image."""
        found = {**self.root.environment, "PATH": ":".join([*self._programs(), self.root.path or path])}
        if self.python:
            found["VIRTUAL_ENV"] = str(ENV)
        return found

    def _programs(self) -> Iterator[str]:
        if self.python:
            yield str(ENV / "bin")
        if MODULES in self.modules:
            yield str(_shown_at(MODULES) / ".bin")


def _shown_at(name: str) -> PurePosixPath:
    """The outermost ``node_modules`` lies above the workspace: Node, and npm's search path, look there too.

    In the workspace itself it would be a mount that a checkout cannot clear away. Those of single packages have no
    other place to be.
    """
    return PurePosixPath("/", MODULES) if name == MODULES else WORKSPACE / name


@dataclass(frozen=True, slots=True)
class Order:
    """One preparation: for which key, by which command, with which wire and limits."""

    backend: AnyBackend
    key: str
    setup: str | None
    commit_tree_into: Callable[[Bottle], Awaitable[None]]
    wire: Path | None
    environment: Mapping[str, str]
    limits: Limits
    say: Callable[[str], None]
    seed: bool = False
    root: Root = field(default_factory=Root)
    binds: tuple[Bind, ...] = ()
    log: bytearray = field(default_factory=bytearray)

    @property
    def place(self) -> Path:
        return self.backend.state.environments / self.key

    @property
    def making(self) -> Path:
        return self.backend.state.environments / f"{_MAKING}{self.key}"

    @property
    def slug(self) -> str:
        return f"prepare-{self.key}"


async def prepare(
    backend: AnyBackend,
    *,
    key: str,
    setup: str | None,
    commit_tree_into: Callable[[Bottle], Awaitable[None]],
    wire: Path | None = None,
    environment: Mapping[str, str] | None = None,
    binds: Sequence[Bind] = (),
    limits: Limits | None = None,
    root: Root | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Prepared:
    """The environment for ``key``: from disk, or made now by ``setup`` (a shell command line, run inside).

    ``environment`` and ``binds`` are for the set-up alone: how its package clients find their registry.
    Raises ``errors.Parked`` ("setup") when setup fails or meets a limit; nothing is kept of it then.
    """
    if not _KEY.fullmatch(key):
        raise errors.BadInput(f"{key!r} is no key for an environment", subject=key)
    order = Order(backend, key, setup, commit_tree_into, wire, environment or {}, limits or Limits(), say)
    return await _once(replace(order, binds=tuple(binds), root=root or of_host(backend)))


def of_host(backend: AnyBackend, name: str = "") -> Root:
    """This host's programs, for a bottle of the backend ``name`` (empty: the default one)."""
    here = backend.toolchain
    return Root(backend=name, path=here.path, python=here.python, shell=_shell())


async def _once(order: Order) -> Prepared:
    found = _there(order.place)
    if found is not None:
        return replace(found, root=order.root)
    order.backend.state.create()
    async with locks.held(order.backend.state.environments / f"{_LOCK}{order.key}"):
        found = _there(order.place)
        return replace(found, root=order.root) if found is not None else await _make(order)


def find(backend: AnyBackend, key: str) -> Prepared | None:
    """The environment for ``key`` if it has been prepared."""
    return _there(backend.state.environments / key)


def discard(backend: AnyBackend, key: str) -> None:
    """Forget the environment of ``key``; bottles that use it now keep what they have open."""
    gone = backend.state.environments / f"{_GONE}{key}-{os.urandom(4).hex()}"
    with contextlib.suppress(FileNotFoundError):
        (backend.state.environments / key).rename(gone)
        store.erase(gone)


def clear_left(backend: AnyBackend, left: Path) -> None:
    """Take away what a killed process left half made or half removed; what a live one is making stays."""
    if left.name.startswith(_GONE):
        store.erase(left)
        return
    lock = backend.state.environments / f"{_LOCK}{left.name.removeprefix(_MAKING)}"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if locks.taken(descriptor):
            store.erase(left)
    finally:
        os.close(descriptor)


async def _make(order: Order) -> Prepared:
    began = order.backend.clock.monotonic()
    await order.backend.destroy(order.slug)  # what a killed preparer left
    await asyncio.to_thread(store.erase, order.making)
    bottle = await order.backend.create(
        BottleSpec(
            order.slug,
            "prepare",
            order.limits,
            order.wire,
            order.binds,
            environment={**_path_of(order.root), **order.root.environment, **order.environment},
            backend=order.root.backend,
            image=order.root.image,
            packages=order.root.packages,
        )
    )
    try:
        env = _empty(order, bottle)
        await order.commit_tree_into(bottle)
        python = await _venv(order, bottle, env)
        modules = await _set_up(order, bottle, env, python) if order.setup else ()
        await _must(bottle, _READABLE, env)
        made = Prepared(
            order.key,
            order.place / "env",
            bytes(order.log),
            order.backend.clock.monotonic() - began,
            False,
            python,
            modules,
            order.root,
        )
        await asyncio.to_thread(_seal, order, made)
        return made
    finally:
        await asyncio.shield(asyncio.ensure_future(_leave(order)))


async def _leave(order: Order) -> None:
    await order.backend.destroy(order.slug)
    await asyncio.to_thread(store.erase, order.making)


def _empty(order: Order, bottle: HostBottle) -> Bind:
    env = order.making / "env"
    env.mkdir(parents=True)
    order.making.chmod(0o711)
    env.chmod(0o755)
    bottle.give(env)
    return Bind(env, ENV, writable=True)


async def _venv(order: Order, bottle: HostBottle, env: Bind) -> bool:
    """A Python environment, with pip only where setup may want it. False when this host has no Python for bottles."""
    python = order.root.python
    if python is None:
        return False
    if order.setup:
        seed = await _seed(order.backend, order.root, python)
        order.log.extend(seed.log)
        shown = Bind(seed.path, _SEED)
        done = await bottle.exec(("cp", "-a", f"{_SEED}/.", f"{ENV}/"), binds=(env, shown))
        return done.ok and seed.python
    bare = () if order.seed else ("--without-pip",)
    done = await _run(bottle, (python, "-m", "venv", "--clear", *bare, str(ENV)), env)
    if not done.ok and order.seed:
        # Some distributions ship venv without ensurepip; setup may still bring an installer of its own.
        order.log.extend(b"no pip in this environment: the host's Python lacks ensurepip\n")
        done = await _run(bottle, (python, "-m", "venv", "--clear", "--without-pip", str(ENV)), env)
    if not done.ok:
        order.log.extend(done.output)
    return done.ok


async def _seed(backend: AnyBackend, root: Root, python: str) -> Prepared:
    """A Python environment with pip and nothing else, made once per interpreter: its installation takes seconds."""
    told = f"{root.image} {python}" if root.image else await asyncio.to_thread(_identity, backend, python)
    key = f"python-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    order = Order(backend, key, None, _nothing, None, {}, Limits(), lambda _: None, seed=True)
    return await _once(replace(order, root=replace(root, environment={}, packages="")))


def programs(backend: AnyBackend) -> tuple[str, ...]:
    """Which interpreters this host shows to bottles now. What was made with others is not to be used with these."""
    named = (backend.toolchain.python, backend.toolchain.node)
    return tuple(_identity(backend, program) if program else "" for program in named)


def _identity(backend: AnyBackend, program: str) -> str:
    """A program of the inside, as the host has it: where, and of which size, time and inode."""
    inside = PurePosixPath(program)
    binds = (bind for bind in backend.toolchain.binds if inside.is_relative_to(bind.target))
    place = next((bind.source / inside.relative_to(bind.target) for bind in binds), Path(program))
    found = place.stat()
    return f"{program} {place} {found.st_size} {found.st_mtime_ns} {found.st_ino}"


async def _nothing(_: Bottle) -> None:
    """A seed has no commit."""


async def _set_up(order: Order, bottle: HostBottle, env: Bind, python: bool) -> tuple[str, ...]:
    """Run setup; the ``node_modules`` that it made, and that the commit does not bring itself."""
    order.say(f"setting up: {order.setup}")
    before = await _modules(bottle, env)
    await _setup(order, bottle, env, python)
    made = tuple(sorted(await _modules(bottle, env) - before))
    for number, name in enumerate(made):
        place = f"{ENV}/modules-{number}"
        await _must(bottle, ("/bin/sh", "-c", _KEEP, "sh", str(WORKSPACE / name), place), env)
    return made


async def _setup(order: Order, bottle: HostBottle, env: Bind, python: bool) -> None:
    shell = order.root.shell
    paths = {"PATH": f"{ENV / 'bin'}:{order.root.path}", "VIRTUAL_ENV": str(ENV)} if python else {}
    lines = Lines(order.say)
    # Builds need more room for temporary files than memory should give.
    await _must(bottle, ("mkdir", "-p", _TEMPORARY), env)
    done = await bottle.exec(
        (shell, "-c", order.setup or ":"),
        binds=(env,),
        environment={"TMPDIR": _TEMPORARY, **paths, **order.environment},
        on_output=lines.feed,
    )
    lines.end()
    order.log.extend(done.output)
    if done.ok:
        return
    tail = "\n".join(done.text().strip().splitlines()[-_TAIL:])
    why = f"it met the limit '{done.limit}'" if done.limit else f"it ended with exit code {done.exit_code}"
    raise errors.Parked(
        f"the setup command failed: {why}.\n{tail}".rstrip(),
        code="setup",
        subject=order.setup or "",
    )


def _path_of(root: Root) -> dict[str, str]:
    """An image's own search path, said again: what is given to its bottle replaces what it says of itself."""
    return {"PATH": root.path} if root.image else {}


def _shell() -> str:
    return "/bin/bash" if Path("/bin/bash").exists() else "/bin/sh"


async def _modules(bottle: Bottle, env: Bind) -> set[str]:
    """Every outermost ``node_modules`` of the workspace, as paths from there; odd names are left where they are."""
    found = await bottle.exec(_FIND, binds=(env,), separate_stdout=True)
    prefix = f"{WORKSPACE}/"
    names = (raw.decode("utf-8", "replace") for raw in found.stdout.split(b"\0") if raw)
    return {name.removeprefix(prefix) for name in names if name.startswith(prefix) and name.isprintable()}


async def _run(bottle: Bottle, argv: Sequence[str], env: Bind) -> ExecResult:
    return await bottle.exec(argv, binds=(env,), cwd=PurePosixPath("/"))


async def _must(bottle: Bottle, argv: Sequence[str], env: Bind) -> None:
    done = await _run(bottle, argv, env)
    if not done.ok:
        raise errors.Parked(
            f"what setup installed could not be kept: {done.limit or done.text().strip()[-300:]}",
            code="setup",
            next_moves=("free some disk space", "raise the limits of setup in settings.yml"),
        )


def _seal(order: Order, made: Prepared) -> None:
    """Write down what it is and move it, whole, to its place."""
    (order.making / "log").write_bytes(made.log)
    facts = {"python": made.python, "modules": made.modules, "seconds": made.seconds, "setup": order.setup}
    with (order.making / "prepared.json").open("w") as file:
        json.dump(facts, file)
        file.flush()
        os.fsync(file.fileno())
    order.making.rename(order.place)


def _there(place: Path) -> Prepared | None:
    try:
        facts = json.loads((place / "prepared.json").read_bytes())
        os.utime(place)  # in use: gc takes what was not for long
        log = (place / "log").read_bytes()
    except FileNotFoundError:
        return None
    return Prepared(
        place.name,
        place / "env",
        log,
        float(facts["seconds"]),
        True,
        bool(facts["python"]),
        tuple(facts["modules"]),
    )
