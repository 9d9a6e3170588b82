"""The kill switch: what stands in the way of a repository, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterable

from boatwright.values.register import EVERYTHING, Switch

CODE = "switched_off"
"""Why an execution parks that was under way."""


def off(switches: Iterable[Switch], repository: str) -> Switch | None:
    """The switch that is off for a repository: its own or that of everything, which is named first."""
    found = [each for each in switches if each.off and each.scope in {EVERYTHING, repository}]
    return min(found, key=lambda each: each.scope != EVERYTHING, default=None)


def sentence(switch: Switch) -> str:
    what = "Boatwright is" if switch.scope == EVERYTHING else f"the repository {switch.scope} is"
    why = f": {switch.reason}" if switch.reason else ""
    return f"{what} switched off by {switch.by}{why}"


def moves(switch: Switch) -> tuple[str, ...]:
    own = "" if switch.scope == EVERYTHING else f" --repo {switch.scope}"
    return ("boatwright switch show", f"boatwright switch on{own}")
