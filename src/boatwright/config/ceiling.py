"""What ``settings.yml`` of this host may say: the ceiling. A repository may only narrow what stands here."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from boatwright import errors
from boatwright.config import packages
from boatwright.config.forges import KINDS, ForgeSetting
from boatwright.config.notify import Notify
from boatwright.config.policy import FILE, Block, Budget, NetworkPolicy, Pattern
from boatwright.config.references import SecretReference, unshown
from boatwright.config.routes import RouteSetting, contradiction, routes
from boatwright.config.units import Bytes, Seconds
from boatwright.config.whose import is_repositorys
from boatwright.values.calls import ForgeCalls
from boatwright.values.cutting import CutPolicy
from boatwright.values.models import Models as ModelList
from boatwright.values.process import Limits
from boatwright.values.route import Route
from boatwright.values.usage import Cap, ModelRef

EXECUTION_DEFAULT = Cap(usd=Decimal(5))
DAY_DEFAULT = Cap(usd=Decimal(50))
MAX_GATE_ROUNDS = 3
SILENCE = 1_800.0
"""Seconds after which a program of which nothing is heard is ended (DESIGN §9)."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
PersonName = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^<>\n\x00]{1,100}$")]
Email = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^<>\s\x00]{1,200}$")]


class Budgets(Block):
    """What may be spent. ``providers``: tokens per UTC day of each agent; plain form ``{builtin: 5000000}``."""

    execution: Budget = EXECUTION_DEFAULT
    host_per_day: Budget = DAY_DEFAULT
    providers: dict[Name, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _plain_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        plain = {k: v for k, v in value.items() if k not in cls.model_fields and type(v) is int}
        if not plain:
            return value
        rest = {key: each for key, each in value.items() if key not in plain}
        providers = rest.get("providers", {})
        return {**rest, "providers": {**providers, **plain} if isinstance(providers, dict) else providers}


class LimitsSetting(Block):
    """The most any bottle of this host gets; what is not named is the built-in limit."""

    wall: Seconds = Field(default=3_600.0, gt=0)
    cpu: Seconds = Field(default=7_200.0, gt=0)
    memory: Bytes = Field(default=4 << 30, gt=0)
    pids: int = Field(default=512, gt=0)
    disk: Bytes = Field(default=4 << 30, gt=0)
    output: Bytes = Field(default=64 << 20, gt=0)


class NetworkSetting(Block):
    """The widest network any bottle gets: ``allow_list`` may name hosts of ``allow`` only."""

    ceiling: NetworkPolicy = NetworkPolicy.REGISTRY_ONLY
    allow: tuple[Pattern, ...] = ()


class ModelPrice(Block):
    """Dollars per million tokens, for a model the price table does not know."""

    input: Decimal = Field(ge=0)
    output: Decimal = Field(ge=0)
    cache_read: Decimal | None = Field(default=None, ge=0)
    cache_write: Decimal | None = Field(default=None, ge=0)


class Models(Block):
    """``count``: who says how many tokens a request would take, when an agent asks: we by its size, or its provider."""

    default: str | None = None
    count: Literal["estimate", "exact"] = "estimate"
    prices: dict[str, ModelPrice] = Field(default_factory=dict)

    @field_validator("default")
    @classmethod
    def _is_a_model(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ModelList.parse(value)
            except errors.BadInput as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("prices")
    @classmethod
    def _are_models(cls, value: dict[str, ModelPrice]) -> dict[str, ModelPrice]:
        for name in value:
            _model(name)
        return value


def _model(text: str) -> ModelRef:
    try:
        return ModelRef.parse(text)
    except errors.BadInput as error:
        raise ValueError(str(error)) from None


_PROXY = re.compile(r"http://([A-Za-z0-9._-]{1,253}|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}/?")


class Keys(Block):
    """Where each provider's key is; what is not named is in the provider's own variable."""

    anthropic: SecretReference | None = None
    openai: SecretReference | None = None
    gemini: SecretReference | None = None


class ProxySetting(Block):
    """The company's proxy the wire goes through. ``credential`` is USER:PASSWORD, by reference."""

    url: str
    credential: SecretReference | None = None
    except_: tuple[Pattern, ...] = Field(default=(), alias="except")

    @field_validator("url")
    @classmethod
    def _is_plain(cls, value: str) -> str:
        if not _PROXY.fullmatch(value):
            raise unshown("should be http://HOST:PORT, without user or password; name those under credential")
        return value


class Logins(Block):
    """Subscriptions the wire uses in place of a key: where the token is, never the token."""

    claude: SecretReference | None = None
    chatgpt: SecretReference | None = None


class Uids(Block):
    """One uid per live bottle, when started by root."""

    first: int = Field(ge=1, le=2**31 - 2)
    count: int = Field(default=256, ge=1, le=1 << 16)

    @property
    def range(self) -> range:
        return range(self.first, self.first + self.count)


class GitIdentity(Block):
    """Who the commits say made them."""

    name: PersonName = "Boatwright"
    email: Email = "boatwright@localhost"

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"


class GitSetting(GitIdentity):
    """``sign_off``: its line is added to each commit. ``signing_key``: a private SSH key, and commits are signed.
    ``most_push``: bytes of one push through a bottle's git gate.
    """

    sign_off: bool = False
    signing_key: SecretReference | None = None
    most_push: Bytes = Field(default=100 << 20, gt=0, le=512 << 20)


class ContainerSetting(Block):
    """How containers are made, and from which images (patterns as ``registry.example/team/*``); none: from no image."""

    engine: Literal["podman"] = "podman"
    runtime: Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9-]{0,62})?$")] = ""
    images: tuple[Pattern, ...] = ()


class Retention(Block):
    """Days ``boatwright gc`` keeps each kind after its execution ended; 0 keeps for ever. ``deliveries``: the bytes of
    those that are processed.
    """

    prompts: int = Field(default=90, ge=0)
    transcripts: int = Field(default=90, ge=0)
    reports: int = Field(default=180, ge=0)
    logs: int = Field(default=30, ge=0)
    freezes: int = Field(default=14, ge=0)
    tapes: int = Field(default=14, ge=0)
    environments: int = Field(default=14, ge=0)
    packages: int = Field(default=14, ge=0)
    programs: int = Field(default=30, ge=0)
    mirrors: int = Field(default=90, ge=0)
    bottles: int = Field(default=0, ge=0)
    deliveries: int = Field(default=30, ge=0)


class Settings(Block):
    """The whole file; every key has a default, so that no file is a valid file."""

    budget: Budgets = Budgets()
    shutdown: CutPolicy = CutPolicy.CUTOFF
    limits: LimitsSetting = LimitsSetting()
    network: NetworkSetting = NetworkSetting()
    routes: dict[Name, RouteSetting] = Field(default_factory=dict, max_length=200)
    forges: dict[Name, ForgeSetting] = Field(default_factory=dict)
    notify: Notify | None = None
    models: Models = Models()
    logins: Logins = Logins()
    keys: Keys = Keys()
    proxy: ProxySetting | None = None
    tapes: bool = False
    uids: Uids | None = None
    git: GitSetting = GitSetting()
    retention: Retention = Retention()
    forge_calls: ForgeCalls = ForgeCalls.WRITE
    silence: Seconds = Field(default=SILENCE, gt=0)
    gate_rounds: int = Field(default=MAX_GATE_ROUNDS, ge=1, le=MAX_GATE_ROUNDS)
    agent: Name | None = None
    backend: Literal["bubblewrap", "container"] = "bubblewrap"
    container: ContainerSetting = ContainerSetting()
    system_packages: packages.Allowed = ()

    @property
    def backends(self) -> tuple[str, ...]:
        """What a repository may choose from: the host's own, and containers where a ``container`` block is written."""
        also = ("container",) if "container" in self.model_fields_set else ()
        return tuple(dict.fromkeys((self.backend, *also)))

    def forge(self, kind: str) -> ForgeSetting:
        """What is written of that kind of forge; the defaults where nothing is."""
        return self.forges.get(kind) or ForgeSetting()

    @field_validator("forges")
    @classmethod
    def _are_forges(cls, value: dict[str, ForgeSetting]) -> dict[str, ForgeSetting]:
        unknown = sorted(value.keys() - set(KINDS))
        if unknown:
            raise ValueError(
                f"names {unknown[0]}, which is no forge of this release: write {', '.join(KINDS)}"
            )
        return value

    @model_validator(mode="after")
    def _routes_can_hold(self) -> Self:
        why = contradiction(self.network.allow, routes(self.routes))
        if why:
            raise ValueError(f"in 'routes', {why}")
        return self

    @property
    def all_routes(self) -> tuple[Route, ...]:
        """Every route of this host, in the order they are written."""
        return routes(self.routes)

    @property
    def model(self) -> str | None:
        """The model when nobody named one."""
        return self.models.default

    @property
    def uid_range(self) -> range | None:
        return self.uids.range if self.uids else None

    @property
    def default_limits(self) -> Limits:
        """What a bottle gets when nobody asks: the built-in limits, under the ceiling."""
        built, top = Limits(), self.limits
        return Limits(
            wall_seconds=min(built.wall_seconds, top.wall),
            cpu_seconds=int(min(built.cpu_seconds, top.cpu)),
            memory_bytes=min(built.memory_bytes, top.memory),
            pids=min(built.pids, top.pids),
            disk_bytes=min(built.disk_bytes, top.disk),
            output_bytes=min(built.output_bytes, top.output),
        )

    def refuse_above_ceiling(self, budget: Cap, *, field: str = "budget") -> Cap:
        """The budget, unless this host allows less: ``budget.execution`` where settings.yml sets it, and a
        day's. A unit it does not name keeps the ceiling's value: dollars bind whoever speaks of tokens only.

        A person at this host may go past the built-in default per execution, in the unit they name.
        """
        if "execution" in self.budget.model_fields_set:
            refuse_cap(field, budget, self.budget.execution, "budget.execution")
        refuse_cap(field, budget, self.budget.host_per_day, "budget.host_per_day")
        return narrowed(self.budget.execution, budget)


DEFAULT = Settings()


def refuse_cap(field: str, asked: Cap, allowed: Cap, setting: str, *, where: str = "") -> None:
    """Raise ``errors.AboveCeiling`` when ``asked`` (written at ``where``) is more than ``allowed`` in a unit
    both have.
    """
    over_usd = asked.usd is not None and allowed.usd is not None and asked.usd > allowed.usd
    over_tokens = asked.tokens is not None and allowed.tokens is not None and asked.tokens > allowed.tokens
    if over_usd or over_tokens:
        raise above(field, str(asked), str(allowed), setting, where=where)


def narrowed(ceiling: Cap, asked: Cap) -> Cap:
    """What is asked for; the unit nobody spoke of stays as it stands in ``ceiling``."""
    return Cap(
        usd=asked.usd if asked.usd is not None else ceiling.usd,
        tokens=asked.tokens if asked.tokens is not None else ceiling.tokens,
    )


def above(field: str, asked: str, allowed: str, setting: str, *, where: str = "") -> errors.AboveCeiling:
    """What the operator wrote down as allowed is not for everybody at the repository."""
    place = where or ("" if field.startswith("--") else FILE)
    return errors.AboveCeiling(
        f"'{field}'{f' of {where}' if where else ''} asks for {asked}; this host allows {allowed}",
        subject=field,
        next_moves=(f"ask for {allowed} or less", f"or let the operator raise '{setting}' in settings.yml"),
        public=f"{place}: '{field}' asks for {asked}, and that is not allowed on this host"
        if all(map(is_repositorys, place.split(" and ")))
        else "",
    )
