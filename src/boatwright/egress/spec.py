"""What a wire is: who pays, where its calls go, what else it may reach."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from boatwright import errors
from boatwright.egress.booking import Payer
from boatwright.values import route as route_values
from boatwright.values.cutting import CutPolicy
from boatwright.values.route import Route

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")

DEFAULT_BASES = {
    "anthropic": "https://api.anthropic.com",
    "openai": "https://api.openai.com/v1",
    "gemini": "https://generativelanguage.googleapis.com",
}
"""Where a protocol's provider is, when neither address nor socket is given."""
COMPATIBLE = "/v1beta/openai"
"""Below which Gemini's provider speaks Chat Completions."""

OWN = "registry:"
"""How a route names a password that stands in this host's own configuration of a package client."""

LOGINS = {"claude": "anthropic", "chatgpt": "openai"}
"""Subscriptions whose token the wire can add, and the protocol each is for."""
CODEX_PATH = "/backend-api/codex"
"""Below which a ChatGPT login's backend speaks Responses, without a version in the path."""
_LOGIN_BASES = {"chatgpt": f"https://chatgpt.com{CODEX_PATH}"}


@dataclass(frozen=True)
class Upstream:
    """Where calls of one protocol go: an address or a unix socket, and the reference of the key to add.

    ``login`` names the subscription the secret belongs to (:data:`LOGINS`); empty: it is an API key. ``around`` says
    where the secret's source is (``config.secrets.surroundings``), set by the worker that opens the wire. ``tape`` names
    an execution whose tapes answer: then nothing is connected to.
    """

    protocol: str
    base_url: str = ""
    socket: str = ""
    secret: str | None = None
    login: str = ""
    held_as: str = ""
    """The name its key is handed over under; empty: the protocol's."""
    ca: str = ""
    """A file of authorities to trust for it; empty: the system's."""
    addresses: tuple[str, ...] = ()
    """Of its host, where the lane has resolved and judged them; empty: whatever the name leads to."""
    around: tuple[tuple[str, str], ...] = ()
    tape: str = ""

    @property
    def base(self) -> str:
        return self.base_url or _LOGIN_BASES.get(self.login) or DEFAULT_BASES.get(self.protocol, "")


@dataclass(frozen=True)
class Detour:
    """The proxy of a company's network, through which this host reaches all but the hosts in ``direct``."""

    host: str
    port: int
    secret: str | None = None
    direct: tuple[str, ...] = ()
    around: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Service:
    """Something of this host that a bottle may speak to: its socket, the methods it takes, bytes of a request's body."""

    socket: str
    methods: tuple[str, ...] = ("GET", "POST")
    most_bytes: int = 1 << 20


@dataclass(frozen=True)
class WireSpec:
    """One wire. Equal specs are one wire however often it is opened.

    ``models`` and ``hosts`` empty allow any model and no host. ``private_hosts`` are those of ``hosts`` that
    an operator named, and so may lead to private addresses. ``prices`` are the operator's, by model name:
    dollars per million tokens by kind (input, output, cache_read, cache_write, cache_write_long).
    ``allow_fields`` are request fields, tool types and block types let through although their cost is not
    bounded by the request. ``fallback`` are models tried in order: a call for the first of them is asked of
    the next when the one before is overloaded, limited or away. ``exact_counts``: a client that asks how many
    tokens a request would take gets the provider's figure, not our estimate. ``services`` are reached by name.
    ``routes`` are the operator's, as far as this wire has them, in the operator's order.
    ``parent`` are the bottles its bottle extends, by the keys of their budgets with spaces between, the nearest first.
    ``shutdown`` is what becomes of the bottle when a budget is exhausted. ``bottle_account`` is the key of the bottle's
    own budget where that is not its name.
    ``taped``: what models are asked and answer is recorded.
    """

    id: str
    execution: str
    repository: str
    agent: str = "builtin"
    bottle: str = ""
    purpose: str = "build"
    upstreams: tuple[Upstream, ...] = ()
    provider: str = ""
    models: tuple[str, ...] = ()
    network: str = "deny_all"
    hosts: tuple[str, ...] = ()
    private_hosts: tuple[str, ...] = ()
    parent: str = ""
    prices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    allow_fields: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    shutdown: str = CutPolicy.CUTOFF.value
    bottle_account: str = ""
    exact_counts: bool = False
    detour: Detour | None = None
    taped: bool = False
    services: Mapping[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ID.match(self.id):
            raise errors.BadInput(
                "a wire's id is up to 100 letters, digits, dots, dashes and underscores",
                subject=self.id[:100],
            )

    @property
    def payer(self) -> Payer:
        bottle = self.bottle_account or self.bottle
        return Payer(self.execution, self.repository, self.agent, bottle, self.parent)

    def upstream(self, protocol: str) -> Upstream | None:
        return next((one for one in self.upstreams if one.protocol == protocol), None)

    def stand_ins(self, model: str) -> tuple[str, ...]:
        """Who is asked in turn when ``model`` cannot answer."""
        return self.fallback[1:] if self.fallback[:1] == (model,) else ()

    def pricing(self, protocol: str) -> str:
        """Whose price list applies."""
        return self.provider or {"gemini": "google"}.get(protocol, protocol)


def renewed(routes: Sequence[Route], now: Mapping[str, Route]) -> tuple[Route, ...]:
    """The routes of a wire as the operator writes them ``now``; those of this host's own registries stay."""
    kept = [now.get(one.name, one) for one in routes if one.name in now or own(one)]
    order = list(now)
    return tuple(sorted(kept, key=lambda one: order.index(one.name) if one.name in now else len(order)))


def own(route: Route) -> bool:
    """Whether a route comes from this host's configuration of a package client, and not from settings.yml."""
    return route.name.startswith(OWN)


def to_json(spec: WireSpec) -> str:
    return json.dumps(asdict(spec), sort_keys=True, separators=(",", ":"))


def from_json(text: str) -> WireSpec:
    row: dict[str, Any] = json.loads(text)
    row["upstreams"] = tuple(_upstream(one) for one in row.get("upstreams", ()))
    row["routes"] = tuple(route_values.from_row(one) for one in row.get("routes", ()))
    detour = row.get("detour")
    row["detour"] = Detour(**{**_located(detour), "direct": tuple(detour["direct"])}) if detour else None
    for name in ("models", "hosts", "private_hosts", "allow_fields", "fallback"):
        row[name] = tuple(row.get(name, ()))
    row["services"] = {
        name: Service(**{**one, "methods": tuple(one["methods"])})
        for name, one in row.get("services", {}).items()
    }
    return WireSpec(**row)


def _upstream(row: dict[str, Any]) -> Upstream:
    return Upstream(**{**_located(row), "addresses": tuple(row.get("addresses", ()))})


def _located(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "around": tuple((name, value) for name, value in row.get("around", ()))}
