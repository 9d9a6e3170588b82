"""Bottles of this host, whatever makes the walls: two directories, a uid, limits, and each program in namespaces of its own.

What a backend adds is its line: how one program is started behind its walls. Everything else, from naming the limit that
fired to the archive, is the same for all of them and lives here.
"""

from __future__ import annotations

import abc
import asyncio
import dataclasses
import functools
import os
import re
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import ClassVar

from boatwright import errors
from boatwright.bottle import archive, cgroups, mounts, processes, shelf, stopping, toolchain, uids
from boatwright.bottle.execution import Execution
from boatwright.bottle.limits import Enforced, capabilities
from boatwright.bottle.protocol import WORKSPACE, Bind, BottleSpec, Missing, OnOutput
from boatwright.bottle.running import Run, Streams
from boatwright.bottle.store import Place, Store, give
from boatwright.bottle.terminal import Terminal
from boatwright.config.paths import StateDir
from boatwright.values.clock import Clock, Ids
from boatwright.values.process import ExecResult, Limits

SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Task:
    """One program for a bottle: what was asked of ``exec``, with the binds that can be made now."""

    argv: tuple[str, ...]
    cwd: PurePosixPath = WORKSPACE
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits | None = None
    binds: tuple[Bind, ...] = ()
    capabilities: tuple[str, ...] = ()
    tools: bool = False


class HostBottle:
    """A bottle made of namespaces around two directories. Each ``exec`` is a set of namespaces of its own."""

    def __init__(self, backend: HostBackend, place: Place) -> None:
        self._backend = backend
        self._place = place
        self._executions: set[Execution] = set()
        self._awake = asyncio.Event()
        self._awake.set()

    @property
    def slug(self) -> str:
        return self._place.spec.slug

    @property
    def spec(self) -> BottleSpec:
        return self._place.spec

    @property
    def backend(self) -> str:
        """The name of the backend it belongs to."""
        return self._backend.name

    @property
    def place(self) -> Place:
        return self._place

    @property
    def uid(self) -> int:
        """The host's uid its processes run under."""
        return self._place.uid

    def renew(self, place: Place) -> None:
        """Take on what a later ``create`` said of limits, binds, environment and wire."""
        self._place = place

    @property
    def workspace(self) -> Path:
        return self._place.workspace

    @property
    def home(self) -> Path:
        return self._place.home

    def give(self, path: Path) -> None:
        """Make a directory of the host the bottle's own, for a writable bind."""
        give(path, self._place.uid)

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: PurePosixPath = WORKSPACE,
        environment: Mapping[str, str] | None = None,
        stdin: bytes | Path | int | None = None,
        limits: Limits | None = None,
        binds: Sequence[Bind] = (),
        separate_stdout: bool = False,
        on_output: OnOutput | None = None,
        terminal: Terminal | None = None,
        sink: Callable[[bytes], None] | None = None,
        capabilities: Sequence[str] = (),
        tools: bool = False,
    ) -> ExecResult:
        """Run ``argv`` inside until its whole tree is gone; see ``protocol.Bottle``.

        ``sink`` takes stdout as it comes, of any length, and nothing of it is kept. A paused bottle starts nothing:
        the call waits until it goes on. ``capabilities`` hold in the bottle's user namespace only and are for
        programs of ours that run nothing of the bottle's.
        """
        await self._awake.wait()
        streams = Streams(stdin, separate_stdout, on_output, sink, terminal)
        if terminal is not None:
            argv, binds = self._controlling(terminal, argv, binds)
        shown, notes = mounts.possible((*self.spec.binds, *binds), self.workspace, self.home)
        task = Task(tuple(argv), cwd, environment or {}, limits, shown, tuple(capabilities), tools)
        execution = self._backend.execution(self._place, self._backend.start(self._place, task, streams))
        written = (bind.source for bind in shown if bind.writable)
        self._executions.add(execution)
        try:
            result = await execution.result([self.workspace, self.home, *written])
            return dataclasses.replace(result, notes=notes) if notes else result
        finally:
            self._executions.discard(execution)

    def _controlling(
        self, terminal: Terminal, argv: Sequence[str], binds: Sequence[Bind]
    ) -> tuple[Sequence[str], Sequence[Bind]]:
        """What has ``argv`` control the terminal, whose inner end becomes the bottle's own."""
        self._backend.refuse_no_terminals()
        if os.geteuid() == 0:
            os.fchown(terminal.inner, self.uid, -1)
        python = self._backend.toolchain.python or "python3"
        own = shelf.tools(self._backend.state)
        return (python, "-I", "-S", str(shelf.INSIDE / "terminal.py"), *argv), (*binds, own)

    async def pause(self) -> None:
        """Stop everything in it, programs of another worker's that still run in it included."""
        self._awake.clear()
        await asyncio.gather(*(each.pause() for each in list(self._executions)))
        for pid in await asyncio.to_thread(self._strangers):
            await asyncio.to_thread(stopping.stop, pid)

    async def unpause(self) -> None:
        for pid in await asyncio.to_thread(self._strangers):
            stopping.go_on(pid, ())
        await asyncio.gather(*(each.unpause() for each in list(self._executions)))
        self._awake.set()

    async def stop(self) -> None:
        """Kill whatever runs in it, whoever started it; the files stay."""
        for each in list(self._executions):
            each.kill()
        while strangers := await asyncio.to_thread(self._members):
            processes.send(strangers, signal.SIGKILL)
            await asyncio.sleep(0.005)

    def _members(self) -> list[int]:
        """Every process that has this workspace where a bottle has it. No mark, no process: nothing to look for."""
        if not any(self._place.running.iterdir()):
            return []
        return processes.members(self.workspace, str(WORKSPACE))

    def _strangers(self) -> list[int]:
        marks = {mark.name for mark in self._place.running.iterdir()}
        own = {each.mark.name for each in self._executions}
        if not marks - own:
            return []
        ours = {pid for each in self._executions for pid in each.pids()}
        return [pid for pid in processes.members(self.workspace, str(WORKSPACE)) if pid not in ours]


class HostBackend(abc.ABC):
    """Bottles on this host. ``environment`` is the host's: it names an explicit bwrap and where programs are.

    ``uids`` is the range from which root gives each bottle a uid; a user's bottles run as the user.
    """

    terminals: ClassVar[bool] = True
    """Whether a program behind these walls can have a terminal of its own."""

    def __init__(
        self,
        state: StateDir,
        *,
        clock: Clock,
        ids: Ids,
        environment: Mapping[str, str] | None = None,
        uids: range | None = None,
    ) -> None:
        self._state = state
        self._clock = clock
        self._ids = ids
        self._environment = dict(os.environ if environment is None else environment)
        self._uids = uids
        self._store = Store(state, uids)
        self._bottles: dict[str, HostBottle] = {}

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """The word for it in settings, manifests, archives and events."""

    @abc.abstractmethod
    def missing(self) -> Sequence[Missing]:
        """What this host lacks to make a bottle; see ``protocol.Backend``."""

    @abc.abstractmethod
    def start(self, place: Place, task: Task, streams: Streams) -> Run:
        """One program of the bottle at ``place`` behind this backend's walls, ready to be started."""

    def refuse_no_terminals(self, *moves: str) -> None:
        """``errors.BadInput`` where a program behind these walls cannot have a terminal of its own. ``moves`` are what
        can be done about a bottle that is there already; none: about one that is to be.
        """
        if not self.terminals:
            raise errors.BadInput(
                f"the backend '{self.name}' has no terminals: it hands pipes through",
                subject=self.name,
                next_moves=moves or ('--headless --prompt "…"', "--backend bubblewrap"),
            )

    def capabilities(self) -> Sequence[Enforced]:
        """Which limits are hard on this host and which are sampled."""
        return capabilities(self.groups)

    async def create(self, spec: BottleSpec) -> HostBottle:
        check_slug(spec.slug)
        place = await asyncio.to_thread(self._store.make, dataclasses.replace(spec, backend=self.name))
        if spec.wire is not None:
            self._give_wire(spec.wire, place)
        return self._remember(place)

    async def open(self, slug: str) -> HostBottle | None:
        check_slug(slug)
        place = await asyncio.to_thread(self._store.read, slug)
        if place is not None and made_by(place) != self.name:
            raise errors.Refused(
                f"the bottle {slug} was made by the backend {made_by(place)}; this is {self.name}",
                subject=slug,
                next_moves=(f"open it with the backend {made_by(place)}",),
            )
        return None if place is None else self._remember(place)

    async def owner(self, slug: str) -> str:
        """The name of the backend that made the bottle; empty where there is none of that name."""
        check_slug(slug)
        place = await asyncio.to_thread(self._store.read, slug)
        return "" if place is None else made_by(place)

    async def list(self) -> Sequence[str]:
        """The slugs of all bottles of this state directory."""
        return [place.spec.slug for place in await asyncio.to_thread(self._store.all)]

    async def destroy(self, slug: str) -> None:
        try:
            bottle = await self.open(slug)
        except (errors.Conflict, errors.Refused):  # what is written about it is broken; it goes all the same
            await asyncio.to_thread(self._kill_members, self._store.path(slug) / "workspace")
        else:
            if bottle is None:
                return
            await bottle.stop()
        self._bottles.pop(slug, None)
        await asyncio.to_thread(self._store.remove, slug)
        self.groups.sweep(self._store.key(slug))

    @staticmethod
    def _kill_members(workspace: Path) -> None:
        while members := processes.members(workspace, str(WORKSPACE)):
            processes.send(members, signal.SIGKILL)
            time.sleep(0.005)

    async def freeze(self, slug: str, archive_path: Path) -> None:
        bottle = await self.open(slug)
        if bottle is None:
            raise errors.NotFound(f"no bottle named {slug}", subject=slug, next_moves=("boatwright status",))
        await bottle.stop()
        await archive.freeze(bottle, archive_path, clock=self._clock)

    async def thaw(self, spec: BottleSpec, archive_path: Path) -> HostBottle:
        manifest = await asyncio.to_thread(archive.check, archive_path, backend=self.name)
        if await self.open(spec.slug) is not None:
            raise errors.Conflict(
                f"there is a bottle named {spec.slug} already",
                subject=spec.slug,
                next_moves=("destroy it first",),
            )
        bottle = await self.create(spec)
        try:
            await archive.thaw(bottle, archive_path, manifest)
        except BaseException:
            await asyncio.shield(asyncio.ensure_future(self.destroy(spec.slug)))
            raise
        return bottle

    @functools.cached_property
    def uid_range(self) -> range:
        """The uids bottles run under: one of ours as a user, a range as root."""
        own = os.geteuid()
        return range(own, own + 1) if own != 0 else uids.choose(self._uids)

    @functools.cached_property
    def toolchain(self) -> toolchain.Toolchain:
        return toolchain.survey(self._environment, self.uid_range[0])

    @property
    def host_environment(self) -> Mapping[str, str]:
        """The variables of this host, for the host's own programs; never for a bottle."""
        return self._environment

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def groups(self) -> cgroups.Cgroups:
        return cgroups.detect()

    @property
    def state(self) -> StateDir:
        return self._state

    def execution(self, place: Place, run: Run) -> Execution:
        token = self._ids.token()
        group = self.groups.group(f"{place.root.name}-{token[:8]}")
        return Execution(run, group, self._clock, place.running / token)

    def _give_wire(self, wire: Path, place: Place) -> None:
        """The wire's directory is the bottle's to enter and nobody else's; the socket in it is the proxy's."""
        wire.mkdir(mode=0o700, parents=True, exist_ok=True)
        give(wire, place.uid)

    def _bottle(self, place: Place) -> HostBottle:
        return HostBottle(self, place)

    def _remember(self, place: Place) -> HostBottle:
        known = self._bottles.get(place.spec.slug)
        if known is None:
            known = self._bottles[place.spec.slug] = self._bottle(place)
        known.renew(place)
        return known


def made_by(place: Place) -> str:
    """Before bottles wrote down who made them there was one backend."""
    return place.spec.backend or "bubblewrap"


def check_slug(slug: str) -> str:
    if not SLUG.fullmatch(slug):
        raise errors.BadInput(
            f"{slug!r} is no name for a bottle: lower-case letters, digits, dot, dash, underscore",
            subject=slug,
        )
    return slug
