"""What holds for one execution, and where each value came from.

Limits, budgets, network: settings.yml is the ceiling; policy and manifests may only narrow it, the narrowest
holds, and asking for more is refused by name.
Everything else: flag > environment variable > manifest > .boatwright.yml > settings.yml > default.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from boatwright import errors
from boatwright.config import place, reporting, strict_yaml
from boatwright.config.asked import DEFAULT, ENVIRONMENT, FLAG, POLICY, SETTINGS, VARIABLES, Asked, Flags
from boatwright.config.ceiling import SILENCE, Settings, above, refuse_cap
from boatwright.config.environment import Environment
from boatwright.config.policy import NetworkPolicy, Policy
from boatwright.config.whose import is_repositorys
from boatwright.values.calls import ForgeCalls
from boatwright.values.cutting import CutPolicy
from boatwright.values.process import Limits
from boatwright.values.route import Route
from boatwright.values.usage import Cap

__all__ = ["DEFAULT", "ENVIRONMENT", "FLAG", "POLICY", "SETTINGS", "Asked", "Effective", "Flags", "effective"]


@dataclass(frozen=True, slots=True)
class Effective:
    """The values of one execution. ``sources`` says, per field, which of the places above it came from."""

    model: str | None
    agent: str
    budget: Cap
    setup_command: str | None
    test_command: str | None
    limits: Limits
    test_limits: Limits
    """As ``limits``, with the wall clock of one run of the tests."""
    hard_limits: bool
    network: NetworkPolicy
    allow: tuple[str, ...]
    routes: tuple[Route, ...]
    """The operator's, as far as they were chosen, in the operator's order."""
    gate_rounds: int
    policy: Policy
    shutdown: CutPolicy = CutPolicy.CUTOFF
    """What becomes of its bottle when a budget is exhausted."""
    backend: str = "bubblewrap"
    """Which backend makes the bottles."""
    environment: Environment = field(default_factory=Environment)
    """Whose programs are in them."""
    forge_calls: ForgeCalls = ForgeCalls.NONE
    """What its agent may do at the forge, over its wire."""
    silence: float = SILENCE
    """Seconds; of a program of which nothing is heard for so long it is said that it did not report."""
    packages: tuple[str, ...] = ()
    """System packages laid under this host's programs in them."""
    sources: Mapping[str, str] = field(default_factory=dict)


def effective(
    settings: Settings,
    policy: Policy,
    flags: Flags | None = None,
    environment: Mapping[str, str] | None = None,
    asked: Asked | None = None,
) -> Effective:
    """Put the places together. Raises ``errors.AboveCeiling`` naming field, asked, allowed."""
    flags, environment, asked = flags or Flags(), environment or {}, asked or Asked()
    sources: dict[str, str] = {}

    def pick(name: str, *, settings_value: Any = None, default: Any = None) -> Any:
        candidates = (
            *_typed(name, flags, environment),
            (asked.place(name), getattr(asked, name, None)),
            (POLICY, policy.setup_line if name == "setup_command" else getattr(policy, name)),
            (SETTINGS, settings_value),
        )
        sources[name], value = next(((s, v) for s, v in candidates if v is not None), (DEFAULT, default))
        return value

    limits = _limits(settings, policy, asked, sources)
    network, allow = _network(settings, policy, asked, sources)
    return Effective(
        model=pick("model", settings_value=settings.model),
        agent=pick("agent", settings_value=settings.agent, default="builtin"),
        budget=_budget(settings, policy, asked, _typed("budget", flags, environment), sources),
        setup_command=pick("setup_command"),
        test_command=pick("test_command"),
        limits=limits,
        test_limits=_test_limits(settings, policy, asked, limits, sources),
        hard_limits=policy.limits.hard or asked.limits.hard,
        network=network,
        allow=allow,
        routes=_routes(settings, policy, asked, sources),
        gate_rounds=_rounds(settings, policy, sources),
        policy=policy,
        shutdown=_shutdown(settings, policy, asked, sources),
        forge_calls=reporting.forge_calls(settings, policy, asked, sources),
        silence=reporting.silence(settings, policy, sources),
        backend=place.backend(settings, policy, flags, asked, sources),
        environment=place.environment(settings, policy, sources),
        packages=place.packages(settings, policy, sources),
        sources=sources,
    )


def _typed(name: str, flags: Flags, environment: Mapping[str, str]) -> tuple[tuple[str, Any], ...]:
    """What a person said: by flag, else by variable."""
    return (FLAG, getattr(flags, name)), (ENVIRONMENT, environment.get(VARIABLES[name]) or None)


def _came(settings: Settings, block: str) -> str:
    return SETTINGS if block in settings.model_fields_set else DEFAULT


_UNITS = ("usd", "tokens")


def _budget(
    settings: Settings,
    policy: Policy,
    asked: Asked,
    typed: Iterable[tuple[str, Cap | str | None]],
    sources: dict[str, str],
) -> Cap:
    """Each unit by itself: what was typed; else the narrower of policy and manifests; else the ceiling's."""
    ceiling, came = settings.budget.execution, _came(settings, "budget")
    if policy.budget is not None:
        refuse_cap("budget", policy.budget, ceiling, "budget.execution")
    for cap, where in asked.budgets:
        refuse_cap("budget", cap, ceiling, "budget.execution", where=where)
    source, picked = next(((s, v) for s, v in typed if v is not None), (came, None))
    if picked is not None:
        cap = Cap.parse(picked) if isinstance(picked, str) else picked
        sources["budget"] = source
        sources |= {f"budget.{u}": source if getattr(cap, u) is not None else came for u in _UNITS}
        return settings.refuse_above_ceiling(cap, field="--budget")
    values = {unit: _narrowest(unit, policy, asked) for unit in _UNITS}
    sources |= {f"budget.{unit}": found[1] if found else came for unit, found in values.items()}
    sources["budget"] = next((found[1] for found in values.values() if found), came)
    return Cap(**{unit: found[0] if found else getattr(ceiling, unit) for unit, found in values.items()})


def _narrowest(unit: str, policy: Policy, asked: Asked) -> tuple[Any, str] | None:
    """The nearest manifest that names the unit, or the policy where that is narrower."""
    named = ((getattr(cap, unit), where) for cap, where in asked.budgets)
    manifest = next(((value, where) for value, where in named if value is not None), None)
    written = getattr(policy.budget, unit, None)
    both: list[tuple[Decimal | int, str]] = [each for each in (manifest,) if each]
    if written is not None:
        both.append((written, POLICY))
    return min(both, key=lambda each: each[0], default=None)


_LIMITS = {
    "wall": "wall_seconds",
    "cpu": "cpu_seconds",
    "memory": "memory_bytes",
    "pids": "pids",
    "disk": "disk_bytes",
    "output": "output_bytes",
}


def _limits(settings: Settings, policy: Policy, asked: Asked, sources: dict[str, str]) -> Limits:
    limits = settings.default_limits
    sources["limits"] = came = _came(settings, "limits")
    for name, attribute in _LIMITS.items():
        key = f"limits.{name}"
        sources[key] = came
        for value, where in _wishes(name, policy, asked):
            allowed = getattr(settings.limits, name)
            if value > allowed:
                place = "" if where == POLICY else where
                raise above(key, _shown(name, value), _shown(name, allowed), key, where=place)
            if sources[key] == came or value < getattr(limits, attribute):
                whole: Any = value if name == "wall" else int(value)
                limits = replace(limits, **{attribute: whole})
                sources["limits"] = sources[key] = where
    by_manifest = asked.place("limits.hard") if asked.limits.hard else DEFAULT
    sources["limits.hard"] = POLICY if policy.limits.hard else by_manifest
    return limits


def _wishes(name: str, policy: Policy, asked: Asked) -> list[tuple[float, str]]:
    """What policy and manifests say about one limit, with its place."""
    both = ((policy.limits, POLICY), (asked.limits, asked.place(f"limits.{name}")))
    named = ((getattr(limits, name), where) for limits, where in both)
    return [(value, where) for value, where in named if value is not None]


def _shown(name: str, value: float) -> str:
    if name in {"wall", "cpu"}:
        return f"{value:g} seconds"
    return f"{value:g}" if name == "pids" else f"{value / (1 << 20):g} MiB"


def _test_limits(
    settings: Settings, policy: Policy, asked: Asked, limits: Limits, sources: dict[str, str]
) -> Limits:
    """The tests' own clock: ``timeout_seconds``. A ``limits.wall`` below it wins."""
    written = "timeout_seconds" in policy.model_fields_set
    wish = float(policy.timeout_seconds)
    if written and wish > settings.limits.wall:
        raise above(
            "timeout_seconds", f"{wish:g} seconds", f"{settings.limits.wall:g} seconds", "limits.wall"
        )
    sources["timeout_seconds"] = POLICY if written else DEFAULT
    named = policy.limits.wall is not None or asked.limits.wall is not None
    top = limits.wall_seconds if named or not written else settings.limits.wall
    return replace(limits, wall_seconds=min(wish, top))


_WIDTH = {NetworkPolicy.DENY_ALL: 0, NetworkPolicy.REGISTRY_ONLY: 1, NetworkPolicy.ALLOW_LIST: 2}


def _network(
    settings: Settings, policy: Policy, asked: Asked, sources: dict[str, str]
) -> tuple[NetworkPolicy, tuple[str, ...]]:
    """The narrowest that anybody asks for; of two lists of hosts, what both have."""
    ceiling = settings.network.ceiling
    wishes = [(policy.network_policy, POLICY), (asked.network_policy, asked.place("network"))]
    named = [(wish, where) for wish, where in wishes if wish is not None]
    for wish, where in named:
        if _WIDTH[wish] > _WIDTH[ceiling]:
            field, place = ("network_policy", "") if where == POLICY else ("network.policy", where)
            raise above(field, wish, ceiling, "network.ceiling", where=place)
    usual = (min(NetworkPolicy.REGISTRY_ONLY, ceiling, key=_WIDTH.__getitem__), _came(settings, "network"))
    network, sources["network"] = min(named, key=lambda each: _WIDTH[each[0]], default=usual)
    if network is not NetworkPolicy.ALLOW_LIST:
        return network, ()
    lists = []
    if policy.network_policy is not None:
        lists.append(dict.fromkeys(policy.network.allow, POLICY))
    if asked.network_policy is not None:
        lists.append({host: asked.place(f"network.allow.{host}") for host in asked.allow})
    for hosts in lists:
        _refuse_hosts(settings.network.allow, hosts)
    kept = _in_all(lists)
    sources |= {f"network.allow.{host}": where for host, where in kept.items()}
    return network, tuple(kept)


def _routes(settings: Settings, policy: Policy, asked: Asked, sources: dict[str, str]) -> tuple[Route, ...]:
    """The routes that are named; where policy and manifests both name some, those that both do."""
    lists = []
    if policy.network.routes:
        lists.append({name: policy.route_place(name) for name in policy.network.routes})
    if asked.routes:
        lists.append({name: asked.place(f"network.routes.{name}") for name in asked.routes})
    for named in lists:
        _refuse_routes(settings, named)
    kept = {name: where for named in lists for name, where in named.items() if all(name in o for o in lists)}
    sources |= {f"network.routes.{name}": where for name, where in kept.items()}
    return tuple(route for route in settings.all_routes if route.name in kept)


def _refuse_routes(settings: Settings, named: Mapping[str, str]) -> None:
    name = next((each for each in named if each not in settings.routes), None)
    if name is None:
        return
    near = strict_yaml.nearest(name, settings.routes)
    there = ", ".join(settings.routes) or "none"
    raise errors.AboveCeiling(
        f"{named[name]}: there is no route '{name}' on this host; settings.yml has: {there}",
        subject=name,
        next_moves=(
            f"write '{near}'" if near else f"take '{name}' out",
            f"or let the operator write it under 'routes' of settings.yml: {name}: {{host: …}}",
        ),
        public=f"{named[name]}: there is no route '{name}' on this host"
        if is_repositorys(named[name])
        else "",
    )


def _refuse_hosts(allowed: tuple[str, ...], hosts: Mapping[str, str]) -> None:
    beyond = [host for host in hosts if not _allows(allowed, host)]
    if beyond:
        places = dict.fromkeys(hosts[host] for host in beyond if hosts[host] != POLICY)
        allows = ", ".join(allowed) or "no host"
        where = " and ".join(places)
        raise above("network.allow", ", ".join(beyond), allows, "network.allow", where=where)


def _in_all(lists: list[dict[str, str]]) -> dict[str, str]:
    """The hosts that every list admits, as the narrower of them spells it."""
    return {
        host: where
        for hosts in lists
        for host, where in hosts.items()
        if all(_allows(tuple(other), host) for other in lists)
    }


def _allows(allowed: tuple[str, ...], host: str) -> bool:
    """A host is allowed as it is spelled, or below a ``*.name`` of the same port."""
    if host in allowed:
        return True
    name, _, port = host.partition(":")
    for entry in allowed:
        pattern, _, entry_port = entry.partition(":")
        if pattern.startswith("*.") and port == entry_port and name.lower().endswith(pattern[1:].lower()):
            return True
    return False


def _shutdown(settings: Settings, policy: Policy, asked: Asked, sources: dict[str, str]) -> CutPolicy:
    """The strictest that anybody asks for; a milder one than the host's is refused by name."""
    found, sources["shutdown"] = settings.shutdown, _came(settings, "shutdown")
    wishes = ((policy.shutdown, POLICY), *asked.shutdowns)
    for wish, where in wishes:
        if wish is None:
            continue
        if wish.strictness < settings.shutdown.strictness:
            raise _milder(wish, settings.shutdown, where)
        if wish.strictness > found.strictness:
            found, sources["shutdown"] = wish, where
    return found


def _milder(asked: CutPolicy, host: CutPolicy, where: str) -> errors.AboveCeiling:
    place = "" if where == POLICY else f" of {where}"
    return errors.AboveCeiling(
        f"'shutdown'{place} asks for {asked}; this host says {host}, and only a stricter one may be asked for",
        subject="shutdown",
        next_moves=("leave 'shutdown' out", "or let the operator change 'shutdown' in settings.yml"),
        public=f"{where}: 'shutdown' asks for {asked}, which is milder than this host's {host}"
        if is_repositorys(where)
        else "",
    )


def _rounds(settings: Settings, policy: Policy, sources: dict[str, str]) -> int:
    written = "max_retries" in policy.model_fields_set
    sources["gate_rounds"] = POLICY if written else _came(settings, "gate_rounds")
    if written and policy.max_retries > settings.gate_rounds:
        raise above("max_retries", f"{policy.max_retries}", f"{settings.gate_rounds}", "gate_rounds")
    return policy.max_retries if written else settings.gate_rounds
