"""One agent and its bottles, put together: parents before children, in the order of the flags, later wins.

The ceiling is not judged here but where a policy's is: ``config.effective``. DESIGN §7, Manifests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from boatwright.config import effective as effective_module
from boatwright.config import strict_yaml
from boatwright.config.ceiling import GitIdentity, Settings
from boatwright.config.effective import Asked, Effective, Flags
from boatwright.config.manifest import Agent, Bottle, Origin
from boatwright.config.policy import LimitsPolicy, NetworkPolicy, Policy
from boatwright.config.skill import Skill
from boatwright.rules import routes as routing
from boatwright.rules.composed import (
    DEFAULT,
    SCOPES,
    SETTINGS,
    Choice,
    Composed,
    Parent,
    Scope,
    Scoped,
    origin_of,
)
from boatwright.values.calls import ForgeCalls

PROVIDER = "builtin"
"""Who works for an agent manifest that names no provider."""
MAX_SKILLS = 32


def order(wanted: Sequence[str], bottles: Mapping[str, Bottle]) -> tuple[Bottle, ...]:
    """The bottles in the order they are merged, each once: parents first, then in the order they were named.

    Raises ``errors.BadPolicy`` with the chain when bottles extend each other in a circle.
    """
    merged: dict[str, Bottle] = {}

    def visit(name: str, chain: tuple[str, ...]) -> None:
        bottle = bottles[name]
        for at, parent in enumerate(bottle.head.extends):
            if parent in (*chain, name):
                raise _circle(bottle, at, (*chain, name))
            if parent not in merged:
                visit(parent, (*chain, name))
        merged.setdefault(name, bottle)

    for name in wanted:
        visit(name, ())
    return tuple(merged.values())


def _circle(bottle: Bottle, at: int, chain: tuple[str, ...]) -> Exception:
    parent = bottle.head.extends[at]
    circle = " → ".join([*chain[chain.index(parent) :], parent])
    return bottle.refuse(
        ("extends", at),
        f"bottles extend each other in a circle: {circle}",
        f"remove '{parent}' from 'extends'",
    )


def skills(agent: Agent | None, lineage: Sequence[Bottle]) -> dict[str, Origin]:
    """The names of the skills and who asks for each first: the bottles', then the agent's, without repeats."""
    found: dict[str, Origin] = {}
    for manifest in (*lineage, *((agent,) if agent else ())):
        for at, name in enumerate(manifest.head.skills):
            found.setdefault(name, manifest.origin("skills", at))
            if len(found) > MAX_SKILLS:
                what = f"more than {MAX_SKILLS} skills would be copied in"
                raise manifest.refuse(("skills", at), what, "name fewer skills")
    return found


def compose(
    choice: Choice,
    agent: Agent | None,
    lineage: Sequence[Bottle],
    *,
    settings: Settings,
    policy: Policy,
    flags: Flags,
    environment: Mapping[str, str] | None = None,
    found: Sequence[Skill] = (),
    notices: Sequence[str] = (),
) -> Composed:
    """What holds for one run, each value with its origin. Raises ``errors.AboveCeiling`` by name and place."""
    origins: dict[str, Origin] = dict(choice.origins)
    budgets = _budgets(choice, agent, lineage)
    asked = _asked(agent, lineage, budgets, origins)
    held = effective_module.effective(settings, policy, flags, environment, asked)
    origins |= {key: origin_of(key, source) for key, source in held.sources.items() if key != "agent"}
    origins |= {f"skills.{name}": origin for name, origin in skills(agent, lineage).items()}
    origins |= {f"budgets.{each.scope}.{each.name}": each.origin for each in budgets}
    git = _git(settings, agent, origins)
    head = agent.head if agent else None
    provider = head.provider if head else None
    _say(agent, origins)
    return Composed(
        agent=choice.agent,
        provider=provider or (PROVIDER if agent else choice.agent),
        description=(head and head.description) or "",
        color=head.color if head else None,
        prompt=agent.body if agent else "",
        notes=_notes(lineage, origins),
        bottles=choice.bottles,
        lineage=tuple(bottle.name for bottle in lineage),
        parents=tuple(
            Parent(bottle.name, bottle.where)
            for bottle in reversed(lineage)
            if bottle.name not in choice.bottles
        ),
        skills=tuple(found),
        environment=_environment(lineage, origins),
        git=git,
        budgets=budgets,
        effective=held,
        manifest=agent,
        origins=origins,
        notices=(*notices, *_narrowed(asked, held), *_unrouted(asked, held)),
    )


def _budgets(choice: Choice, agent: Agent | None, lineage: Sequence[Bottle]) -> tuple[Scoped, ...]:
    """Every budget a manifest names, the nearest first: agent, bottle, parent."""
    found = []
    if agent and agent.head.budget:
        found.append(Scoped("agent", agent.name, agent.head.budget, agent.origin("budget")))
    for bottle in reversed(lineage):
        if bottle.head.budget:
            scope: Scope = "bottle" if bottle.name in choice.bottles else "parent"
            found.append(Scoped(scope, bottle.name, bottle.head.budget, bottle.origin("budget")))
    return tuple(sorted(found, key=lambda each: SCOPES.index(each.scope)))


def _asked(
    agent: Agent | None, lineage: Sequence[Bottle], budgets: Sequence[Scoped], origins: dict[str, Origin]
) -> Asked:
    """What the manifests ask for together; ``origins`` learns where each of it is written."""
    if agent and agent.head.model:
        origins["model"] = agent.origin("model")
    if agent and agent.head.forge_calls is not ForgeCalls.NONE:
        origins["forge_calls"] = agent.origin("forge_calls")
    for bottle in lineage:
        if bottle.head.setup:
            origins["setup_command"] = bottle.origin("setup")
        if bottle.head.backend:
            origins["backend"] = bottle.origin("backend")
    network, allow = _network(lineage, origins)
    routes = _routes(lineage, origins)
    limits = _limits(lineage, origins)
    return Asked(
        model=agent.head.model if agent else None,
        setup_command=next((each.head.setup for each in reversed(lineage) if each.head.setup), None),
        budgets=tuple((each.cap, str(each.origin)) for each in budgets),
        limits=limits,
        network_policy=network,
        allow=allow,
        routes=routes,
        shutdowns=tuple(
            (bottle.head.shutdown, str(bottle.origin("shutdown")))
            for bottle in reversed(lineage)
            if bottle.head.shutdown is not None
        ),
        backend=next((each.head.backend for each in reversed(lineage) if each.head.backend), None),
        forge_calls=agent.head.forge_calls if agent else ForgeCalls.NONE,
        places={key: str(origin) for key, origin in origins.items()},
    )


def _limits(lineage: Sequence[Bottle], origins: dict[str, Origin]) -> LimitsPolicy:
    """Later wins for each limit; ``hard`` stays once a bottle demands it."""
    merged: dict[str, object] = {}
    for bottle in lineage:
        for name in sorted(bottle.head.limits.model_fields_set):
            value = getattr(bottle.head.limits, name)
            if value is None or (name == "hard" and not value):
                continue
            merged[name] = value
            origins[f"limits.{name}"] = bottle.origin("limits", name)
    return LimitsPolicy().model_copy(update=merged)


def _network(
    lineage: Sequence[Bottle], origins: dict[str, Origin]
) -> tuple[NetworkPolicy | None, tuple[str, ...]]:
    """Later wins for the policy, hosts append. Hosts that no policy admits are an oversight, and refused."""
    policy: NetworkPolicy | None = None
    hosts: dict[str, Origin] = {}
    for bottle in lineage:
        wish = bottle.head.network
        if wish.policy is not None:
            policy, origins["network"] = wish.policy, bottle.origin("network", "policy")
        for at, host in enumerate(wish.allow):
            hosts.setdefault(host, bottle.origin("network", "allow", at))
    if hosts and policy is None:
        first = next(iter(hosts.values()))
        raise strict_yaml.refuse(
            first.place,
            first.line or 1,
            "'network.allow' names hosts, but no bottle sets 'network.policy'",
            "write 'policy: allow_list' beside it",
        )
    origins |= {f"network.allow.{host}": origin for host, origin in hosts.items()}
    return policy, tuple(hosts)


def _routes(lineage: Sequence[Bottle], origins: dict[str, Origin]) -> tuple[str, ...]:
    """Routes append: which of them a repository gets is for ``config.effective``."""
    found: dict[str, Origin] = {}
    for bottle in lineage:
        for at, name in enumerate(bottle.head.routes):
            found.setdefault(name, bottle.origin("routes", at))
    origins |= {f"network.routes.{name}": origin for name, origin in found.items()}
    return tuple(found)


def _unrouted(asked: Asked, held: Effective) -> list[str]:
    """Routes of the bottles that ``.boatwright.yml`` leaves out, and those that another stands before."""
    there = {route.name for route in held.routes}
    lost = [name for name in asked.routes if name not in there]
    said = [f"{', '.join(lost)}: not among the routes that .boatwright.yml names"] if lost else []
    return [*said, *routing.never(held.routes)]


def _narrowed(asked: Asked, held: Effective) -> list[str]:
    """Where ``.boatwright.yml`` narrows the network of the bottles: said, because something will not be reached."""
    if asked.network_policy is None:
        return []
    if held.network is not asked.network_policy:
        return [
            f"the network is {held.network} ({held.sources['network']}), "
            f"narrower than {asked.network_policy} ({asked.place('network')})"
        ]
    lost = [host for host in asked.allow if host not in held.allow]
    if held.network is not NetworkPolicy.ALLOW_LIST or not lost:
        return []
    return [f"{', '.join(lost)} cannot be reached: the list of .boatwright.yml is narrower"]


def _environment(lineage: Sequence[Bottle], origins: dict[str, Origin]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for bottle in lineage:
        merged |= bottle.head.environment
        for name in bottle.head.environment:
            origins[f"environment.{name}"] = bottle.origin("environment", name)
    return dict(sorted(merged.items()))


def _notes(lineage: Sequence[Bottle], origins: dict[str, Origin]) -> tuple[str, ...]:
    """The texts of the bottles, in order."""
    written = [bottle for bottle in lineage if bottle.body]
    origins |= {f"notes.{at}": bottle.body_origin for at, bottle in enumerate(written)}
    return tuple(bottle.body for bottle in written)


def _git(settings: Settings, agent: Agent | None, origins: dict[str, Origin]) -> GitIdentity:
    """Name and address, each by itself: the agent's, else the host's."""
    found: dict[str, str] = {}
    for part in ("name", "email"):
        own = getattr(agent.head.git.user, part) if agent else None
        found[part] = own or getattr(settings.git, part)
        set_here = "git" in settings.model_fields_set and part in settings.git.model_fields_set
        origins[f"git.{part}"] = (
            agent.origin("git", "user", part) if agent and own else SETTINGS if set_here else DEFAULT
        )
    return GitIdentity(**found)


def _say(agent: Agent | None, origins: dict[str, Origin]) -> None:
    """Where the plain words of the agent's manifest stand."""
    origins["provider"] = agent.origin("provider") if agent and agent.head.provider else DEFAULT
    if agent is None:
        origins["provider"] = origins["agent"]
        return
    for key in ("description", "color", "command"):
        if getattr(agent.head, key) is not None:
            origins[key] = agent.origin(key)
    if agent.head.git.gate:
        origins["git.gate"] = agent.origin("git", "gate")
    if agent.head.supervise:
        origins["supervise"] = agent.origin("supervise")
    if agent.body:
        origins["prompt"] = agent.body_origin
