"""What a bottle pushed through its git gate: branches in the mirror, for a person to look at and to take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from boatwright.git import names
from boatwright.git.mirror import Mirror
from boatwright.rules import pushing
from boatwright.stages import bottles
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records


@dataclass(frozen=True, slots=True)
class Pushed:
    """One branch: as the bottle calls it, its commit, and the ref of the mirror that holds it."""

    branch: str
    commit: str
    ref: str


def of(house: House, named: str) -> tuple[Path | None, tuple[Pushed, ...]]:
    """The mirror and the branches of a bottle of that name, or of an execution's bottle. Blocks.

    No mirror: the bottle has no repository. ``errors.NotFound`` when there is neither.
    """
    mirror, slug = _place(house, named)
    if mirror is None:
        return None, ()
    space = names.pushed(slug)
    found = mirror.refs(space)
    return mirror.path, tuple(
        Pushed((pushing.SPACE + ref.removeprefix(space)).removeprefix("refs/heads/"), oid, ref)
        for ref, oid in sorted(found.items())
    )


def _place(house: House, named: str) -> tuple[Mirror | None, str]:
    if not named.startswith("ex-"):
        record = Records(house.state, house.clock).get(named)
        mirror = house.mirror_of(record.repository, record.source) if record.source else None
        return mirror, record.slug
    view = house.ledger.executions.find(named.removesuffix("-agent"))
    return house.mirror(view), bottles.slug_of(view.id)
