"""The default backend: bubblewrap, hardened, never as root."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from boatwright.bottle import binary, doctor, seccomp
from boatwright.bottle.backends.host import HostBackend, HostBottle, Task
from boatwright.bottle.line import Line
from boatwright.bottle.packages import trees
from boatwright.bottle.protocol import Missing
from boatwright.bottle.running import Run, Streams
from boatwright.bottle.store import Place
from boatwright.egress.forwarder import FORWARDER_SOURCE

BubblewrapBottle = HostBottle


class Bubblewrap(HostBackend):
    """Bottles behind the namespaces that an unprivileged bwrap makes."""

    @property
    def name(self) -> str:
        return "bubblewrap"

    def missing(self) -> Sequence[Missing]:
        return doctor.missing(self)

    @functools.cached_property
    def bwrap(self) -> binary.Bwrap:
        """The bwrap in use. Raises ``errors.MissingPart`` when there is none."""
        return binary.find(self._environment, shelf=self._state.run / "bin", reachable_by=self.uid_range[0])

    @functools.cached_property
    def seccomp(self) -> bytes:
        return seccomp.program()

    def line(self, place: Place, task: Task) -> Line:
        """The hardened line for one program in the bottle at ``place``."""
        return Line(
            bwrap=self.bwrap,
            toolchain=self.toolchain,
            uid=place.uid,
            workspace=place.workspace,
            home=place.home,
            cwd=task.cwd,
            environment={**place.spec.environment, **task.environment},
            limits=task.limits or place.spec.limits,
            seccomp=self.seccomp,
            binds=task.binds,
            capabilities=task.capabilities,
            packages=None if task.tools else trees.shown(self._state, place.spec),
            wire=place.spec.wire,
            forwarder=FORWARDER_SOURCE.encode() if place.spec.wire else None,
            command=task.argv,
        )

    def start(self, place: Place, task: Task, streams: Streams) -> Run:
        return Run(self.line(place, task), streams)
