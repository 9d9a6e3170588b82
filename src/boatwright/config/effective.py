"""What holds for one execution, and where each value came from.

Limits, budgets, network: settings.yml is the ceiling; a policy that asks for more is refused by name.
Everything else: flag > environment variable > .boatwright.yml > settings.yml > default.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from boatwright.config.ceiling import Settings, above, narrowed, refuse_cap
from boatwright.config.policy import NetworkPolicy, Policy
from boatwright.values.process import Limits
from boatwright.values.usage import Cap

FLAG, ENVIRONMENT, POLICY, SETTINGS, DEFAULT = (
    "flag",
    "environment",
    ".boatwright.yml",
    "settings.yml",
    "default",
)
VARIABLES = {
    "model": "BOATWRIGHT_MODEL",
    "agent": "BOATWRIGHT_AGENT",
    "budget": "BOATWRIGHT_BUDGET",
    "setup_command": "BOATWRIGHT_SETUP",
    "test_command": "BOATWRIGHT_TEST",
}


@dataclass(frozen=True, slots=True)
class Flags:
    """What was typed. None: not given."""

    model: str | None = None
    agent: str | None = None
    budget: Cap | str | None = None
    setup_command: str | None = None
    test_command: str | None = None


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
    gate_rounds: int
    policy: Policy
    sources: Mapping[str, str] = field(default_factory=dict)


def effective(
    settings: Settings,
    policy: Policy,
    flags: Flags | None = None,
    environment: Mapping[str, str] | None = None,
) -> Effective:
    """Put the places together. Raises ``errors.AboveCeiling`` naming field, asked, allowed."""
    flags, environment = flags or Flags(), environment or {}
    sources: dict[str, str] = {}

    def pick(name: str, *, settings_value: Any = None, default: Any = None) -> Any:
        candidates = (
            (FLAG, getattr(flags, name)),
            (ENVIRONMENT, environment.get(VARIABLES[name]) or None),
            (POLICY, policy.setup_line if name == "setup_command" else getattr(policy, name)),
            (SETTINGS, settings_value),
        )
        sources[name], value = next(((s, v) for s, v in candidates if v is not None), (DEFAULT, default))
        return value

    limits = _limits(settings, policy, sources)
    network, allow = _network(settings, policy, sources)
    return Effective(
        model=pick("model", settings_value=settings.model),
        agent=pick("agent", settings_value=settings.agent, default="builtin"),
        budget=_budget(settings, policy, pick("budget"), sources),
        setup_command=pick("setup_command"),
        test_command=pick("test_command"),
        limits=limits,
        test_limits=_test_limits(settings, policy, limits, sources),
        hard_limits=policy.limits.hard,
        network=network,
        allow=allow,
        gate_rounds=_rounds(settings, policy, sources),
        policy=policy,
        sources=sources,
    )


def _came(settings: Settings, block: str) -> str:
    return SETTINGS if block in settings.model_fields_set else DEFAULT


def _budget(settings: Settings, policy: Policy, picked: Cap | str | None, sources: dict[str, str]) -> Cap:
    ceiling = settings.budget.execution
    if policy.budget is not None:
        refuse_cap("budget", policy.budget, ceiling, "budget.execution")
    if picked is None:
        sources["budget"] = _came(settings, "budget")
        return ceiling
    cap = Cap.parse(picked) if isinstance(picked, str) else picked
    if sources["budget"] == POLICY:
        return narrowed(ceiling, cap)
    return settings.refuse_above_ceiling(cap, field="--budget")


_LIMITS = {
    "wall": "wall_seconds",
    "cpu": "cpu_seconds",
    "memory": "memory_bytes",
    "pids": "pids",
    "disk": "disk_bytes",
    "output": "output_bytes",
}


def _limits(settings: Settings, policy: Policy, sources: dict[str, str]) -> Limits:
    limits = settings.default_limits
    sources["limits"] = _came(settings, "limits")
    for name, attribute in _LIMITS.items():
        asked, allowed = getattr(policy.limits, name), getattr(settings.limits, name)
        if asked is None:
            continue
        if asked > allowed:
            raise above(f"limits.{name}", _shown(name, asked), _shown(name, allowed), f"limits.{name}")
        limits = replace(limits, **{attribute: int(asked) if name == "cpu" else asked})
        sources["limits"] = POLICY
    return limits


def _shown(name: str, value: float) -> str:
    if name in {"wall", "cpu"}:
        return f"{value:g} seconds"
    return f"{value:g}" if name == "pids" else f"{value / (1 << 20):g} MiB"


def _test_limits(settings: Settings, policy: Policy, limits: Limits, sources: dict[str, str]) -> Limits:
    """The tests' own clock: ``timeout_seconds``. A ``limits.wall`` below it wins."""
    written = "timeout_seconds" in policy.model_fields_set
    asked = float(policy.timeout_seconds)
    if written and asked > settings.limits.wall:
        raise above(
            "timeout_seconds", f"{asked:g} seconds", f"{settings.limits.wall:g} seconds", "limits.wall"
        )
    sources["timeout_seconds"] = POLICY if written else DEFAULT
    top = limits.wall_seconds if policy.limits.wall is not None or not written else settings.limits.wall
    return replace(limits, wall_seconds=min(asked, top))


_WIDTH = {NetworkPolicy.DENY_ALL: 0, NetworkPolicy.REGISTRY_ONLY: 1, NetworkPolicy.ALLOW_LIST: 2}


def _network(
    settings: Settings, policy: Policy, sources: dict[str, str]
) -> tuple[NetworkPolicy, tuple[str, ...]]:
    ceiling, asked = settings.network.ceiling, policy.network_policy
    if asked is None:
        sources["network"] = _came(settings, "network")
        asked = min(NetworkPolicy.REGISTRY_ONLY, ceiling, key=_WIDTH.__getitem__)
    else:
        sources["network"] = POLICY
        if _WIDTH[asked] > _WIDTH[ceiling]:
            raise above("network_policy", asked, ceiling, "network.ceiling")
    if asked is not NetworkPolicy.ALLOW_LIST:
        return asked, ()
    beyond = [host for host in policy.network.allow if not _allows(settings.network.allow, host)]
    if beyond:
        listed = ", ".join(settings.network.allow) or "no host"
        raise above("network.allow", ", ".join(beyond), listed, "network.allow")
    return asked, policy.network.allow


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


def _rounds(settings: Settings, policy: Policy, sources: dict[str, str]) -> int:
    written = "max_retries" in policy.model_fields_set
    sources["gate_rounds"] = POLICY if written else _came(settings, "gate_rounds")
    if written and policy.max_retries > settings.gate_rounds:
        raise above("max_retries", f"{policy.max_retries}", f"{settings.gate_rounds}", "gate_rounds")
    return policy.max_retries if written else settings.gate_rounds
