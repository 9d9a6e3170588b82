"""Caps people set by hand, and cutting: what may be spent by whom, within the host's ceiling."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from boatwright import errors
from boatwright.agents import registry
from boatwright.egress.budget import Standing
from boatwright.intake import commands, request
from boatwright.rules import labels, naming
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.state import FINISHED
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine

NOTHING = Cap.parse("0usd,0tok")
"""The cap of what has been cut: no call fits under it, whoever opens a wire again."""


class Scope(StrEnum):
    """Whose cap a person may set. The host's day and the agents' days stand in settings.yml."""

    EXECUTION = "execution"
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
    return name


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
        if wish.name.startswith("ex-"):
            house.ledger.executions.find(wish.name.removesuffix("-agent"))
        else:
            labels.refuse(wish.name)
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


def standings(house: House) -> Sequence[Standing]:
    """Every cap as it stands, but for executions that are over."""
    over = {view.id for view in house.ledger.executions.list(states=tuple(FINISHED), limit=commands.EVERY)}
    every = house.wire.budgets().standings()
    return [each for each in every if each.scope != Scope.EXECUTION or each.key not in over]


# --- cutting ---


@dataclass(frozen=True, slots=True)
class Cut:
    """What was cut: the account, how many open wires, and its execution where it is one."""

    account: str
    wires: int
    view: ExecutionView | None


async def cut(house: House, named: str) -> Cut:
    """From now on no model call of it is carried, on any wire, until its budget is raised; calls under way end."""
    open_ = (await house.wire.status())["wires"]
    account, view = await asyncio.to_thread(_account, house, named, open_)
    if view is not None and view.state in FINISHED:
        raise errors.Conflict(
            f"{view.id} is {view.state.lower()}: it calls nobody any more",
            subject=view.id,
            next_moves=(f"boatwright wire show {view.id}",),
        )
    await asyncio.to_thread(house.wire.budgets().set_cap, "execution", account, NOTHING, hard=True)
    mine = [each["id"] for each in open_ if each["execution"] == account]
    for wire in mine:
        await house.wire.cut(wire)
    return Cut(account, len(mine), view)


def _account(house: House, named: str, wires: Sequence[dict[str, str]]) -> tuple[str, ExecutionView | None]:
    """Whose calls are meant: an execution by the start of its id, or the bottle with a wire of that name."""
    try:
        view = house.ledger.executions.find(named.removesuffix("-agent"))
    except errors.NotFound:
        for each in wires:
            if each.get("bottle") == named:
                return each["execution"], None
        raise errors.NotFound(
            f"there is no execution {named!r}, and no bottle of that name has an open wire",
            subject=named,
            next_moves=("boatwright status", "boatwright bottle list"),
        ) from None
    return view.id, view
