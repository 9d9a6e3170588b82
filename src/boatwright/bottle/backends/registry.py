"""The backends of a house behind one: a new bottle goes to the one it asks for, an old one to the one that made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from boatwright import errors
from boatwright.bottle.backends.bubblewrap import Bubblewrap
from boatwright.bottle.backends.container import Container
from boatwright.bottle.backends.host import HostBackend, HostBottle
from boatwright.bottle.limits import Enforced
from boatwright.bottle.protocol import BottleSpec, Missing
from boatwright.bottle.toolchain import Toolchain
from boatwright.config.paths import StateDir
from boatwright.values.clock import Clock, Ids

BUBBLEWRAP, CONTAINER = NAMES = ("bubblewrap", "container")


def refuse_unknown(name: str) -> str:
    """The name, unless there is no backend of it: ``errors.BadInput`` with those there are."""
    if name not in NAMES:
        raise errors.BadInput(
            f"there is no backend '{name[:40]}'; there are: {', '.join(NAMES)}",
            subject=name[:40],
            next_moves=tuple(f"--backend {each}" for each in NAMES),
        )
    return name


class Backends:
    """Every backend of one state directory. ``default`` is for whoever names none."""

    def __init__(
        self,
        state: StateDir,
        *,
        clock: Clock,
        ids: Ids,
        environment: Mapping[str, str] | None = None,
        uids: range | None = None,
        default: str = BUBBLEWRAP,
        engine: str = "podman",
        runtime: str = "",
    ) -> None:
        self.bubblewrap = Bubblewrap(state, clock=clock, ids=ids, environment=environment, uids=uids)
        self.container = Container(
            state, clock=clock, ids=ids, environment=environment, uids=uids, named=engine, runtime=runtime
        )
        self._default = default

    def of(self, name: str = "") -> HostBackend:
        """The backend of that name; empty: the default one. ``errors.BadInput`` for another."""
        return self.container if refuse_unknown(name or self._default) == CONTAINER else self.bubblewrap

    @property
    def name(self) -> str:
        return self._default

    @property
    def state(self) -> StateDir:
        return self.of().state

    @property
    def clock(self) -> Clock:
        return self.of().clock

    @property
    def toolchain(self) -> Toolchain:
        """What this host shows to bottles that have no image, whichever backend makes them."""
        return self.of().toolchain

    @property
    def uid_range(self) -> range:
        return self.of().uid_range

    def missing(self) -> Sequence[Missing]:
        return self.of().missing()

    def capabilities(self) -> Sequence[Enforced]:
        return self.of().capabilities()

    async def list(self) -> Sequence[str]:
        return await self.of().list()

    async def create(self, spec: BottleSpec) -> HostBottle:
        """A bottle stays with the backend that made it, whatever ``spec`` asks for."""
        return await self.of(await self.owner(spec.slug) or spec.backend).create(spec)

    async def open(self, slug: str) -> HostBottle | None:
        return await self.of(await self.owner(slug)).open(slug)

    async def destroy(self, slug: str) -> None:
        await self.of(await self.owner(slug)).destroy(slug)

    async def freeze(self, slug: str, archive: Path) -> None:
        await self.of(await self.owner(slug)).freeze(slug, archive)

    async def thaw(self, spec: BottleSpec, archive: Path) -> HostBottle:
        return await self.of(spec.backend).thaw(spec, archive)

    async def owner(self, slug: str) -> str:
        """The name of the backend that made this bottle; empty where there is none, or nobody can read which."""
        try:
            return await self.of().owner(slug)
        except (errors.Conflict, errors.Refused):
            return ""


AnyBackend = HostBackend | Backends
"""What bottles are asked of: one backend, or all of them by what each bottle asks for."""
