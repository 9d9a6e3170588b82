"""Caps people set by hand: what may be spent by whom, within the host's ceiling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from boatwright import errors
from boatwright.agents import registry
from boatwright.config.manifest import refuse_name
from boatwright.egress.budget import Standing
from boatwright.intake import commands, request
from boatwright.intake.solo import records
from boatwright.rules import naming
from boatwright.stages import bottles
from boatwright.stages.house import House
from boatwright.values.state import FINISHED
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine


class Scope(StrEnum):
    """Whose cap a person may set. The host's day and the agents' days stand in settings.yml."""

    EXECUTION = "execution"
    PARENT = "parent"
    BOTTLE = "bottle"
    AGENT = "agent"
    REPOSITORY = "repository"
    HOST = "host"


class Per(StrEnum):
    DAY = "day"
    EVER = "ever"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed: None for ``cap`` takes it away. ``per``: a UTC day, or all time."""

    scope: Scope
    name: str
    cap: Cap | None
    per: Per = Per.EVER
    hard: bool = True


async def set_cap(house: House, engine: Engine, wish: Wish, *, by: str) -> str:
    """Set one cap; returns the name it stands under. What settings.yml says is changed there, and refused here."""
    _refuse_settings(house, wish)
    if wish.scope is Scope.EXECUTION:
        return await _of_execution(house, engine, wish, by=by)
    name = _known(house, wish)
    await asyncio.to_thread(
        house.wire.budgets().set_cap,
        wish.scope.value,
        name,
        wish.cap,
        hard=wish.hard,
        daily=wish.per is Per.DAY,
    )
    return wish.name if wish.scope is Scope.BOTTLE else name


async def _of_execution(house: House, engine: Engine, wish: Wish, *, by: str) -> str:
    view = house.ledger.executions.find(wish.name)
    if wish.cap is None or wish.per is Per.DAY:
        raise errors.BadInput(
            "an execution has one cap, for all its time, and is never without",
            subject=view.id,
            next_moves=(f"boatwright budget set execution {view.id} 8usd",),
        )
    await commands.raise_budget(house, engine, view.id, budget=wish.cap, by=by)
    return view.id


def _refuse_settings(house: House, wish: Wish) -> None:
    """These are read from settings.yml whenever work begins: another value would not last."""
    line = {
        (Scope.HOST, Per.DAY): "budget: {host_per_day: {usd: 50}}",
        (Scope.AGENT, Per.DAY): f"budget: {{{wish.name}: 5000000}}",
    }.get((Scope.HOST, Per.DAY) if wish.scope is Scope.HOST else (wish.scope, wish.per))
    if line is not None:
        whose = "the host's cap" if wish.scope is Scope.HOST else "an agent's cap per day"
        raise errors.Refused(
            f"{whose} is the ceiling and stands in settings.yml alone",
            subject=wish.scope.value,
            next_moves=(f"write into {house.state.settings}: {line}",),
        )


def _known(house: House, wish: Wish) -> str:
    """The name of an agent, bottle or repository there is or may be; a slip of the pen would cap nobody."""
    if wish.scope is Scope.AGENT:
        registry.provider(wish.name)
        return wish.name
    if wish.scope is Scope.BOTTLE:
        return _bottle(house, wish.name)
    if wish.scope is Scope.PARENT:
        refuse_name("a bottle", wish.name.rpartition("/")[2])
        return wish.name
    if "://" in wish.name or Path(wish.name).expanduser().is_dir():
        return naming.repository_id(request.resolve_source(wish.name))
    if not house.ledger.executions.list(repository=wish.name, limit=1):
        raise errors.NotFound(
            f"no execution was ever of a repository {wish.name!r}",
            subject=wish.name,
            next_moves=("name its path: boatwright budget set repository PATH 20usd --per day",),
        )
    return wish.name


def _bottle(house: House, name: str) -> str:
    """The key of a bottle's own budget: an execution's by its slug, any other's by the account of its record."""
    if name.startswith("ex-"):
        view = house.ledger.executions.find(name.removesuffix("-agent"))
        return bottles.slug_of(view.id)
    return records(house).get(name).account


def standings(house: House) -> Sequence[Standing]:
    """Every cap as it stands, but for executions that are over."""
    over = {view.id for view in house.ledger.executions.list(states=tuple(FINISHED), limit=commands.EVERY)}
    gone = over | {bottles.slug_of(each) for each in over}
    every = house.wire.budgets().standings()
    return [
        each for each in every if each.scope not in {Scope.EXECUTION, Scope.BOTTLE} or each.key not in gone
    ]
