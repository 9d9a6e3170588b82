"""The container backend: the same bottle, its walls made by podman and an OCI runtime."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.bottle.backends.host import HostBackend, HostBottle, Task
from boatwright.bottle.containers import doctor, engine
from boatwright.bottle.containers import filter as system_calls
from boatwright.bottle.containers.engine import Engine
from boatwright.bottle.containers.line import ContainerLine
from boatwright.bottle.containers.run import ContainerRun
from boatwright.bottle.protocol import Missing
from boatwright.bottle.running import Run, Streams
from boatwright.bottle.store import Place
from boatwright.config.paths import StateDir
from boatwright.egress import showing
from boatwright.egress.forwarder import FORWARDER_SOURCE
from boatwright.values.clock import Clock, Ids

NAME = "container"
STAGES = "stages"
"""Below a bottle's place: what its containers were made from, one directory for each that may still run."""


class ContainerBottle(HostBottle):
    """A bottle whose programs run in containers, each in one of its own."""

    def __init__(self, backend: Container, place: Place) -> None:
        super().__init__(backend, place)
        self._containers = backend

    async def stop(self) -> None:
        await super().stop()
        stages = self.place.root / STAGES
        if await asyncio.to_thread(lambda: stages.is_dir() and any(stages.iterdir())):
            # Of a worker that died, or of a runtime whose processes the host does not see.
            await asyncio.to_thread(self._containers.engine.remove_all, self.place.root.name)


class Container(HostBackend):
    """Bottles behind the walls of an OCI runtime, asked for by the engine ``named`` (podman)."""

    terminals = False

    def __init__(
        self,
        state: StateDir,
        *,
        clock: Clock,
        ids: Ids,
        environment: Mapping[str, str] | None = None,
        uids: range | None = None,
        named: str = "podman",
        runtime: str = "",
    ) -> None:
        super().__init__(state, clock=clock, ids=ids, environment=environment, uids=uids)
        self._asked = (named, runtime)

    @property
    def name(self) -> str:
        return NAME

    def missing(self) -> Sequence[Missing]:
        return doctor.missing(self)

    @functools.cached_property
    def engine(self) -> Engine:
        """The engine in use. Raises ``errors.MissingPart`` when there is none."""
        return engine.find(*self._asked, self._environment)

    @functools.cached_property
    def seccomp(self) -> Path:
        """The file with the list of system calls, as runtimes read it."""
        return showing.file(self._state, "seccomp", ".json", system_calls.profile())

    def line(self, place: Place, task: Task) -> ContainerLine:
        """The line for one program in the bottle at ``place``."""
        if place.spec.packages and not task.tools:
            raise errors.MissingPart(
                f"the bottle {place.spec.slug} has system packages, and a container cannot lay them under its programs",
                subject=place.spec.slug,
                next_moves=("build them into an image: environment: {image: REF} in .boatwright.yml",),
            )
        token = self._ids.token()
        wired = place.spec.wire is not None
        return ContainerLine(
            engine=self.engine,
            toolchain=self.toolchain,
            name=f"boatwright-{place.root.name}-{token[:12]}",
            slug=place.spec.slug,
            key=place.root.name,
            stage=place.root / STAGES / token,
            uid=place.uid,
            workspace=place.workspace,
            home=place.home,
            cwd=task.cwd,
            environment={**place.spec.environment, **task.environment},
            limits=task.limits or place.spec.limits,
            seccomp=self.seccomp,
            binds=task.binds,
            capabilities=task.capabilities,
            wire=place.spec.wire,
            forwarder=FORWARDER_SOURCE.encode() if wired else None,
            grouped=self.groups.has("memory") and self.groups.has("pids"),
            command=task.argv,
            image="" if task.tools else place.spec.image,
        )

    def start(self, place: Place, task: Task, streams: Streams) -> Run:
        return ContainerRun(self.line(place, task), streams)

    def _bottle(self, place: Place) -> HostBottle:
        return ContainerBottle(self, place)
