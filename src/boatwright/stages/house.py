"""The house: every service a stage may need, opened once per process and handed down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from boatwright import errors
from boatwright.bottle.backends.registry import Backends
from boatwright.config import release
from boatwright.config import settings as settings_module
from boatwright.config.paths import StateDir
from boatwright.config.settings import Settings
from boatwright.egress import detour
from boatwright.egress.client import WireClient
from boatwright.forge.adapters import Surroundings
from boatwright.forge.local import LocalForge
from boatwright.forge.router import Forges, forges
from boatwright.git.mirror import Mirror
from boatwright.ledger import Ledger
from boatwright.values.clock import Clock, Ids, SystemClock, SystemIds
from boatwright.values.event import Event
from boatwright.values.events import Payload
from boatwright.values.execution import ExecutionView

P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class House:
    """The services of one process. Everything in it may be used from several tasks at once."""

    state: StateDir
    settings: Settings
    ledger: Ledger
    backend: Backends
    wire: WireClient
    forge: Forges
    clock: Clock
    ids: Ids
    environment: Mapping[str, str]
    release: str

    @classmethod
    def open(
        cls,
        *,
        state: StateDir | None = None,
        environment: Mapping[str, str] | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        producer: str = "boatwright",
    ) -> House:
        environment = dict(os.environ if environment is None else environment)
        state = create_state(state or StateDir.from_environment(environment))
        clock = clock or SystemClock()
        ids = ids or SystemIds(clock)
        settings = settings_module.load(state.settings)
        ledger = Ledger.open(state, clock=clock, ids=ids, producer=producer)
        return cls(
            state=state,
            settings=settings,
            ledger=ledger,
            backend=Backends(
                state,
                clock=clock,
                ids=ids,
                environment=environment,
                uids=settings.uid_range,
                default=settings.backend,
                engine=settings.container.engine,
                runtime=settings.container.runtime,
            ),
            wire=WireClient(state, environment=environment, detour=detour.of(settings.proxy)),
            forge=forges(
                LocalForge(ledger.database, state, clock=clock, ids=ids),
                settings,
                ledger.repositories.place,
                partial(Surroundings, environment=environment, clock=clock, ids=ids),
            ),
            clock=clock,
            ids=ids,
            environment=environment,
            release=release.current(environment),
        )

    def close(self) -> None:
        """Let go of the database; everything else holds nothing open."""
        self.ledger.close()

    def mirror(self, view: ExecutionView) -> Mirror:
        """The host-owned bare repository that holds this execution's history."""
        return self.mirror_of(view.repository, view.source)

    def mirror_of(self, repository: str, source: str, place: StateDir | None = None) -> Mirror:
        """The mirror of a repository; git says to its forge who we are, and asks it under the name it has now. ``place``:
        where one is made that is not kept.
        """
        forge = self.forge
        return Mirror.open(
            place or self.state, repository, source,
            login=partial(forge.git_login, repository), now=partial(forge.fetch_address, repository),
            setting=partial(forge.login_setting, repository),
        )  # fmt: skip

    async def view(self, execution: str) -> ExecutionView:
        found = await asyncio.to_thread(self.ledger.executions.get, execution)
        if found is None:
            raise errors.NotFound(
                f"there is no execution {execution}", subject=execution, next_moves=("boatwright status",)
            )
        return found

    async def keep(self, kind: str, data: bytes) -> str:
        """Store bytes as an artifact; the digest may be named in an event afterwards."""
        return await asyncio.to_thread(self.ledger.artifacts.put, kind, data)

    async def read(self, digest: str) -> bytes:
        return await asyncio.to_thread(self.ledger.artifacts.get, digest)

    def require_bottle(self, backend: str = "") -> None:
        """Refuse to begin where no bottle can be made (by the backend of that name); never weaken one."""
        missing = self.backend.of(backend).missing()
        if missing:
            first = missing[0]
            raise errors.MissingPart(
                f"no bottle can be made on this host: {first.what}. {first.why}",
                subject=first.what,
                next_moves=(first.remedy, "boatwright doctor"),
            )

    def require_any_bottle(self) -> None:
        """The same where nobody knows yet whose bottles are wanted: one backend of ``settings.yml`` is enough."""
        if all(self.backend.of(name).missing() for name in self.settings.backends):
            self.require_bottle()


def create_state(state: StateDir) -> StateDir:
    try:
        return state.create()
    except OSError as error:
        raise errors.StoreUnavailable(
            f"the state directory {state.root} cannot be made: {error.strerror}",
            subject=str(state.root),
            next_moves=("set BOATWRIGHT_STATE to a directory you may write",),
        ) from error


def last(history: Sequence[Event], kind: type[P]) -> P | None:
    """The newest payload of a kind in a history, or None."""
    for event in reversed(history):
        if isinstance(event.payload, kind):
            return event.payload
    return None
