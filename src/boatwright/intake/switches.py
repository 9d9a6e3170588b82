"""Switching off and on: everything, or one repository. Live turns see the row themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.intake import commands, request
from boatwright.rules import naming, switching
from boatwright.stages.house import House
from boatwright.values.execution import ExecutionView
from boatwright.values.register import EVERYTHING, Switch
from boatwright.values.state import FINISHED, State

REASON_CAP = 500


@dataclass(frozen=True, slots=True)
class Switched:
    """``concerned``: off: what is under way and will park. On: what parked for it and may be resumed."""

    switch: Switch
    concerned: tuple[ExecutionView, ...]


def off(house: House, named: str | None, *, reason: str, by: str) -> Switched:
    """From now on nothing begins there, and what is under way parks before its next step."""
    if len(reason) > REASON_CAP:
        raise errors.BadInput(
            f"the reason has {len(reason):,} characters; at most {REASON_CAP} are taken",
            next_moves=('--reason "…"',),
        )
    switch = house.ledger.switches.set(_scope(house, named), off=True, reason=reason, by=by)
    working = [state for state in State if state not in FINISHED | {State.PARKED, State.DELIVERED}]
    return Switched(switch, _of(house, switch.scope, working))


def on(house: House, named: str | None, *, by: str) -> Switched:
    """What may begin again. Nothing does by itself: what parked is resumed by a person."""
    switch = house.ledger.switches.set(_scope(house, named), off=False, reason="", by=by)
    parked = _of(house, switch.scope, [State.PARKED])
    still = house.ledger.switches.is_off
    return Switched(
        switch,
        tuple(
            view for view in parked if view.parked_code == switching.CODE and still(view.repository) is None
        ),
    )


def _of(house: House, scope: str, states: list[State]) -> tuple[ExecutionView, ...]:
    repository = None if scope == EVERYTHING else scope
    return tuple(house.ledger.executions.list(repository=repository, states=states, limit=commands.EVERY))


def _scope(house: House, named: str | None) -> str:
    """A repository by the id or path it is served as, by one there was an execution of, or by its source."""
    if named is None:
        return EVERYTHING
    return repository_id(house, named)


def repository_id(house: House, named: str) -> str:
    """The id of a repository, however a person names it. ``errors.NotFound`` for a slip of the pen."""
    for each in sorted(house.ledger.repositories.all(removed=True), key=lambda each: not each.active):
        if named in {each.id, each.source, each.path} - {""}:
            return each.id
    if "://" in named or named.startswith("git@") or Path(named).expanduser().is_dir():
        return naming.repository_id(request.resolve_source(named))
    if house.ledger.executions.list(repository=named, limit=1):
        return named
    raise errors.NotFound(
        f"no repository {named[:80]!r} is known here",
        subject=named[:80],
        next_moves=("boatwright repo list", "name its path or its URL"),
    )
