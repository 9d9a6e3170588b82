"""How a set-up gets out of its bottle: a wire, and what tells package clients inside to use it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle.protocol import Bind
from boatwright.config.policy import NetworkPolicy
from boatwright.egress import npmrc, registries, showing, trust
from boatwright.egress.client import Denial, WireSpec
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.wiring import Payer
from boatwright.values.route import Scheme

NPMRC = "/run/npmrc"
"""Where npm in a bottle reads which registry a scope is at, since no variable can say that."""
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

    A set-up that parks is told which destinations the wire refused: its own client shows a number at best. That of a
    replay reaches nothing: no tape holds what registries answer.
    """
    held = here.effective
    if not here.setup_line or (held.network is NetworkPolicy.DENY_ALL and not held.routes):
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
        network=str(held.network),
        hosts=held.allow,
        private_hosts=house.settings.network.allow,
        routes=held.routes,
    )
    if view.replays:
        spec = replace(spec, network=str(NetworkPolicy.DENY_ALL), hosts=(), private_hosts=(), routes=())
    await house.wire.ensure()
    directory = await house.wire.open(spec)
    try:
        yield await asyncio.to_thread(over, house, here, directory)
    except errors.Parked as parked:
        denied = await house.wire.denials(spec.id)
        told = _told(parked, denied) if denied else parked
        raise _offline(told, view.replays) if view.replays else told from None
    finally:
        await house.wire.close(spec.id)


def over(house: House, here: Ground, wire: Path) -> WayOut:
    """The way out over a wire that is open: what tells package clients inside of it. Blocks at first.

    Under ``registry_only`` clients know the registries this host knows, its directories of packages included. Where
    TLS ends at the wire, and only there, they trust its authority.
    """
    environment: dict[str, str] = {}
    binds: tuple[Bind, ...] = ()
    routes = here.effective.routes
    authorities: tuple[Path, ...] = ()
    if here.effective.network is NetworkPolicy.REGISTRY_ONLY:
        found = house.wire.registries()
        environment |= found.client_environment
        readable = [path for path in found.file_sources if _anyone_may_read(path)]
        binds = tuple(Bind(path, PurePosixPath(path)) for path in readable)
        routes, authorities = (*routes, *found.routes()), found.authorities
        if found.scopes:
            environment["NPM_CONFIG_GLOBALCONFIG"] = NPMRC
            file = showing.file(house.state, "npmrc", "", npmrc.scoped(found.scopes))
            binds += (Bind(file, PurePosixPath(NPMRC)),)
    environment |= registries.proxied(plain=any(route.scheme is Scheme.HTTP for route in routes))
    if any(route.opened for route in routes):
        known = trust.bundle(house.state, house.clock, authorities)
        environment |= known.environment
        binds += tuple(Bind(known.file, PurePosixPath(place)) for place in known.places)
    return WayOut(wire, environment, binds)


def _anyone_may_read(path: Path) -> bool:
    """Whether the uid a bottle runs under gets there: ours, or one that owns nothing when root started us."""
    if os.geteuid() != 0:
        return os.access(path, os.R_OK)
    way_in = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
    return way_in and bool(path.stat().st_mode & stat.S_IROTH)


def _offline(parked: errors.Parked, recorded: str) -> errors.Parked:
    return errors.Parked(
        f"the set-up has to be done again here, and a replay reaches no network: {parked}",
        code="replay",
        subject=recorded,
        next_moves=(
            "replay it where its prepared environment still is",
            "or run once on that commit, which prepares it, and replay again",
        ),
    )


def _told(parked: errors.Parked, denied: Sequence[Denial]) -> errors.Parked:
    lines = [f"The wire refused {denial.target}: {denial.reason}." for denial in denied[:_SHOWN]]
    return errors.Parked(
        "\n".join([str(parked), *lines]),
        code=parked.code,
        subject=parked.subject,
        next_moves=(
            "let the operator name the refused host under network.allow, or a route to it, in settings.yml",
            *parked.next_moves,
        ),
    )
