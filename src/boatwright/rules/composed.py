"""What a run is made of once its manifests are put together, and where every value of it came from."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from boatwright.config import asked as asked_module
from boatwright.config.ceiling import GitIdentity
from boatwright.config.effective import Effective
from boatwright.config.manifest import Agent, Origin, Where
from boatwright.config.skill import Skill
from boatwright.rules import plain, routes
from boatwright.values.usage import Cap

SETTINGS, DEFAULT = Origin(asked_module.SETTINGS), Origin(asked_module.DEFAULT)
Scope = Literal["agent", "bottle", "parent"]
SCOPES: tuple[Scope, ...] = ("agent", "bottle", "parent")
"""Whose budget it is, the nearest first."""
_OPTIONS = {"setup_command": "--setup", "test_command": "--test", "bottles": "--bottle"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which agent and which bottles, and who chose them (``origins``: ``agent``, ``bottles.NAME``)."""

    agent: str
    bottles: tuple[str, ...]
    origins: Mapping[str, Origin]


@dataclass(frozen=True, slots=True)
class Scoped:
    """A budget a manifest names for itself."""

    scope: Scope
    name: str
    cap: Cap
    origin: Origin


@dataclass(frozen=True, slots=True)
class Parent:
    """A bottle that another one extends, and whose it is."""

    name: str
    where: Where

    def account(self, repository: str) -> str:
        """The key of its budget: one name of two repositories is two bottles, and none of them the host's."""
        return self.name if self.where is Where.HOST else f"{repository}/{self.name}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value as people read it, and where it came from."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Composed:
    """The composed agent. ``provider`` is any name: whether there is such a provider is the caller's to check.

    ``effective`` holds model, budget, limits, network, commands, under the ceiling. ``budgets`` are the
    manifests' own, the nearest first. ``lineage`` is every bottle in the order merged, ``parents`` those of it that
    nobody named but another bottle, the nearest first. ``notices`` are
    sentences people must hear. ``origins`` has every leaf by its dotted name.
    """

    agent: str
    provider: str
    description: str
    color: str | None
    prompt: str
    notes: tuple[str, ...]
    bottles: tuple[str, ...]
    lineage: tuple[str, ...]
    parents: tuple[Parent, ...]
    skills: tuple[Skill, ...]
    environment: Mapping[str, str]
    git: GitIdentity
    budgets: tuple[Scoped, ...]
    effective: Effective
    manifest: Agent | None = None
    """The agent's file; None when ``agent`` is the name of a provider."""
    origins: Mapping[str, Origin] = field(default_factory=dict)
    notices: tuple[str, ...] = ()

    def origin(self, name: str) -> Origin:
        """Where a leaf came from, or the nearest thing around it."""
        while name not in self.origins and "." in name:
            name = name.rpartition(".")[0]
        return self.origins.get(name, DEFAULT)

    def leaves(self) -> tuple[Leaf, ...]:
        """Every value with its origin, in the order people read them."""
        found = (*_who(self), *_what(self.effective), *_where(self))
        return tuple(Leaf(name, value, self.origin(name)) for name, value in found)


def origin_of(key: str, source: str) -> Origin:
    """An origin from the word ``config.effective`` keeps: a manifest's place, a flag or variable by name."""
    top = key.partition(".")[0]
    if source == asked_module.FLAG:
        return Origin(f"flag {_OPTIONS.get(top, f'--{top}')}")
    if source == asked_module.ENVIRONMENT:
        return Origin(f"environment variable {asked_module.VARIABLES[top]}")
    place, _, line = source.rpartition(" line ")
    if place and line.isdecimal():
        return Origin(place, int(line))
    return Origin(source)


def _who(run: Composed) -> Iterator[tuple[str, str]]:
    yield "agent", run.agent
    yield "provider", run.provider
    yield "model", run.effective.model or "—"
    if run.description:
        yield "description", run.description
    if run.color:
        yield "color", run.color
    if run.prompt:
        yield "prompt", _text(run.prompt)
    yield "git.name", run.git.name
    yield "git.email", run.git.email
    yield from ((f"skills.{each.name}", f"{len(each.files)} files of {each.folder}") for each in run.skills)
    if run.manifest and run.manifest.head.git.gate:
        yield "git.gate", "yes"
    if run.manifest and run.manifest.head.supervise:
        yield "supervise", "yes"
    if run.manifest and (command := run.manifest.head.command):
        yield "command.run", " ".join(map(shlex.quote, command.run))
        yield "command.resume", " ".join(map(shlex.quote, command.resume)) or "—"
        yield "command.protocol", command.protocol
        yield "command.keeps", " ".join(command.keeps) or "—"


def _what(held: Effective) -> Iterator[tuple[str, str]]:
    yield "setup_command", held.setup_command or "—"
    yield "test_command", held.test_command or "—"
    if held.budget.usd is not None:
        yield "budget.usd", f"{held.budget.usd.normalize():f} USD"
    if held.budget.tokens is not None:
        yield "budget.tokens", f"{held.budget.tokens:,} tokens"
    yield "shutdown", str(held.shutdown)
    yield "gate_rounds", f"{held.gate_rounds}"
    yield "timeout_seconds", f"{held.test_limits.wall_seconds:g} seconds"
    yield "limits.wall", f"{held.limits.wall_seconds:g} seconds"
    yield "limits.cpu", f"{held.limits.cpu_seconds} seconds"
    yield "limits.memory", _mib(held.limits.memory_bytes)
    yield "limits.pids", f"{held.limits.pids}"
    yield "limits.disk", _mib(held.limits.disk_bytes)
    yield "limits.output", _mib(held.limits.output_bytes)
    yield "limits.hard", "yes" if held.hard_limits else "no"
    yield "forge_calls", held.forge_calls
    yield "silence", f"{held.silence:g} seconds"
    yield "backend", held.backend
    yield "environment", str(held.environment)
    yield "system_packages", ", ".join(held.packages) or "—"
    yield "network", str(held.network)
    yield from ((f"network.allow.{host}", host) for host in held.allow)
    yield from ((f"network.routes.{route.name}", routes.words(route)) for route in held.routes)


def _where(run: Composed) -> Iterator[tuple[str, str]]:
    yield from ((f"bottles.{name}", name) for name in run.bottles)
    yield from ((f"budgets.{each.scope}.{each.name}", str(each.cap)) for each in run.budgets)
    yield from ((f"environment.{name}", value) for name, value in run.environment.items())
    yield from ((f"notes.{at}", _text(note)) for at, note in enumerate(run.notes))


def _text(text: str) -> str:
    """The first line of a text, and how long it is."""
    first, _, rest = text.partition("\n")
    more = f" (and {rest.count(chr(10)) + 1} more lines)" if rest else ""
    return f"{plain.short(first, 80)}{more}"


def _mib(size: int) -> str:
    return f"{size / (1 << 20):g} MiB"
