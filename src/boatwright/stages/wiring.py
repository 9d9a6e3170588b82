"""Open the wire a model is reached through: its own socket per execution and purpose, closed when done."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from boatwright import errors
from boatwright.agents.protocol import ModelWire, native
from boatwright.config import units
from boatwright.config.policy import NetworkPolicy
from boatwright.egress.client import Upstream, WireSpec
from boatwright.egress.spec import COMPATIBLE, DEFAULT_BASES
from boatwright.stages import keys, logins, scripted, sidecars
from boatwright.stages.house import House
from boatwright.stages.logins import Login
from boatwright.stages.sidecars import Asked
from boatwright.values.cutting import CutPolicy
from boatwright.values.models import Models
from boatwright.values.route import Route
from boatwright.values.usage import ModelRef

BASES = {
    "anthropic": "ANTHROPIC_BASE_URL",
    "openai": "OPENAI_BASE_URL",
    "gemini": "GOOGLE_GEMINI_BASE_URL",
}
"""The variables in which people name another address of a provider."""
PRICE_LISTS = {"gemini": "google"}
"""Whose price list applies, where it is not called like the provider."""
SILENCE = "BOATWRIGHT_MODEL_SILENCE"


@dataclass(frozen=True, slots=True)
class Inside:
    """The other end of a wire that leads into a bottle: its slug, the protocol spoken there, what it may reach."""

    protocol: str
    bottle: str = ""
    network: NetworkPolicy = NetworkPolicy.DENY_ALL
    hosts: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    asked: Asked = field(default_factory=Asked)
    """What of this host may be asked from there."""


@dataclass(frozen=True, slots=True)
class Charge:
    """The bottle that calls are made for: its slug, the key of its budget, those of the bottles it extends (the
    nearest first), and what becomes of it when a budget is exhausted (None: what the host says).
    """

    bottle: str = ""
    account: str = ""
    parents: tuple[str, ...] = ()
    shutdown: CutPolicy | None = None


class Payer(Protocol):
    """Who pays for a wire, and which model it leads to: an execution, or a bottle outside any."""

    @property
    def id(self) -> str: ...

    @property
    def repository(self) -> str: ...

    @property
    def provider(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def recorded(self) -> bool: ...

    @property
    def replays(self) -> str: ...


@asynccontextmanager
async def model_wire(
    house: House, view: Payer, *, purpose: str, inside: Inside | None = None, charge: Charge | None = None
) -> AsyncIterator[ModelWire]:
    """A metered way to the execution's model for one purpose (``plan``, ``build``, ``review``).

    ``inside`` is given when a bottle holds the other end: what is spoken there, and what else may be reached.
    ``charge`` is given when a bottle's agent asks, wherever it thinks.
    """
    models = Models.parse(view.model)
    model = models.main
    login = logins.of_program(house, view.provider, model) if inside else None
    inside, charge = inside or Inside(native(model)), charge or Charge()
    spec = WireSpec(
        id=f"{view.id}-{purpose}-{house.ids.token()[:8]}",  # its own: a worker taken for dead cannot close ours
        execution=view.id,
        repository=view.repository,
        agent=view.provider,
        bottle=charge.bottle or inside.bottle,
        bottle_account=charge.account,
        parent=" ".join(charge.parents),
        shutdown=(charge.shutdown or house.settings.shutdown).value,
        purpose=purpose,
        provider=PRICE_LISTS.get(model.provider, model.provider),
        upstreams=(await upstream(house, model, inside.protocol, login),) if not view.replays else (),
        models=(model.asked,) if inside.bottle else (),
        fallback=models.chain,
        exact_counts=house.settings.models.count == "exact",
        prices=prices(house, *models.refs),
        network=str(inside.network),
        hosts=inside.hosts,
        private_hosts=house.settings.network.allow if inside.hosts else (),
        routes=inside.routes,
    )
    spec = replace(spec, taped=view.recorded or bool(view.replays) or house.settings.tapes)
    if view.replays:
        spec = replayed(spec, view.replays, inside.protocol, models)
    async with sidecars.opened(house, spec, inside.asked) as line:
        refused = functools.partial(house.wire.denials, spec.id)
        answered = functools.partial(house.wire.last_status, spec)
        yield ModelWire(
            line.socket, inside.protocol, model, line.revive, silence(house), refused, answered,
            line.pulse.quiet, tuple(line.spec.services), line.environment,
        )  # fmt: skip


def replayed(spec: WireSpec, execution: str, protocol: str, models: Models) -> WireSpec:
    """The same wire with a tape at its end: it connects to nothing, adds no key, and costs nothing."""
    free = {"input": "0", "output": "0"}
    return replace(
        spec,
        upstreams=(Upstream(protocol=protocol, socket="tape", tape=execution),),
        provider="replay",
        agent="replay",  # the daily caps of the agent it was are not its
        prices={ref.asked: free for ref in models.refs},
        exact_counts=False,
        network=str(NetworkPolicy.DENY_ALL),
        hosts=(),
        private_hosts=(),
        routes=(),
    )


def prices(house: House, *models: ModelRef) -> dict[str, dict[str, str]]:
    """What settings.yml says the models cost, by kind of token; nothing where it says nothing."""
    told = house.settings.models.prices
    named = ((model.name, told.get(str(model))) for model in models)
    return {
        name: {kind: str(usd) for kind, usd in said.model_dump(exclude_none=True).items()}
        for name, said in named
        if said is not None
    }


def silence(house: House) -> float | None:
    """How long a model may say nothing in mid-answer, where this process was told."""
    text = house.environment.get(SILENCE)
    if not text:
        return None
    try:
        return units.seconds(text)
    except ValueError as error:
        raise errors.BadInput(
            f"{SILENCE} is not a time: it {error}", subject=SILENCE, next_moves=(f"unset {SILENCE}",)
        ) from error


async def upstream(house: House, model: ModelRef, protocol: str, login: Login | None = None) -> Upstream:
    """Where the wire sends a call for this model, and the reference of the key, or of the login, it adds."""
    if model.provider == "scripted":
        socket = await scripted.ensure(house, Path(model.name))
        return Upstream(protocol=protocol, socket=str(socket))
    base = house.environment.get(BASES[model.provider], "")
    if model.provider == "gemini" and protocol == "openai":  # our own calls; Google serves both protocols
        base = f"{(base or DEFAULT_BASES['gemini']).rstrip('/')}{COMPATIBLE}"
    if login is not None:
        return Upstream(protocol=protocol, base_url=base, secret=login.secret, login=login.name)
    return Upstream(protocol=protocol, base_url=base, secret=keys.reference(house, model.provider))
