"""How a set-up gets out of its bottle: a wire, and what tells package clients inside to use it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle.protocol import Bind
from boatwright.config.policy import NetworkPolicy
from boatwright.egress import registries
from boatwright.egress.client import Denial, WireSpec
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.wiring import Payer

_SHOWN = 5
Pays = Callable[[], Awaitable[Payer]]
"""Says who pays, when it comes to that."""


@dataclass(frozen=True, slots=True)
class WayOut:
    """Nothing in it: no way out. ``environment`` and ``binds`` are for the clients of the set-up."""

    wire: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: tuple[Bind, ...] = ()


@asynccontextmanager
async def of_setup(house: House, pays: Pays, here: Ground, key: str) -> AsyncIterator[WayOut]:
    """The way out of one set-up, open while the block runs: none without a set-up line or under ``deny_all``.

    A set-up that parks is told which destinations the wire refused: its own client shows a number at best.
    """
    if not here.setup_line or here.effective.network is NetworkPolicy.DENY_ALL:
        yield WayOut()
        return
    view = await pays()
    spec = WireSpec(
        id=f"{view.id}-setup-{key[:8]}",
        execution=view.id,
        repository=view.repository,
        agent=view.provider,
        bottle=f"env-{key}",
        purpose="setup",
        network=str(here.effective.network),
        hosts=here.effective.allow,
        private_hosts=house.settings.network.allow,
    )
    await house.wire.ensure()
    directory = await house.wire.open(spec)
    try:
        yield await asyncio.to_thread(over, house, here, directory)
    except errors.Parked as parked:
        denied = await house.wire.denials(spec.id)
        raise _told(parked, denied) if denied else parked from None
    finally:
        await house.wire.close(spec.id)


def over(house: House, here: Ground, wire: Path) -> WayOut:
    """The way out over a wire that is open: what tells package clients inside of it. Blocks at first.

    Under ``registry_only`` clients know the registries this host knows, its directories of packages included.
    """
    if here.effective.network is not NetworkPolicy.REGISTRY_ONLY:
        return WayOut(wire, registries.PROXY_ENVIRONMENT)
    found = house.wire.registries()
    sources = (Bind(path, PurePosixPath(path)) for path in found.file_sources if _anyone_may_read(path))
    return WayOut(wire, {**found.client_environment, **registries.PROXY_ENVIRONMENT}, tuple(sources))


def _anyone_may_read(path: Path) -> bool:
    """Whether the uid a bottle runs under gets there: ours, or one that owns nothing when root started us."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK)
    way_in = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
    return way_in and bool(path.stat().st_mode & stat.S_IROTH)


def _told(parked: errors.Parked, denied: Sequence[Denial]) -> errors.Parked:
    lines = [f"The wire refused {denial.target}: {denial.reason}." for denial in denied[:_SHOWN]]
    return errors.Parked(
        "\n".join([str(parked), *lines]),
        code=parked.code,
        subject=parked.subject,
        next_moves=(
            "let the operator name the refused host under network.allow in settings.yml",
            *parked.next_moves,
        ),
    )
