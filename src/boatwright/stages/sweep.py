"""Remove what nothing needs any more, kind by kind: artifacts nobody names, environments unused for long, stray bottles.

It runs beside live work. So what live work could be about to name is younger than :data:`FLOOR` and stays, whatever
age is asked for; what is listed to be removed is listed before what is alive; and each thing is looked at once more,
under its own lock, before it goes. Killed anywhere, the next sweep goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta

from boatwright import errors
from boatwright.git.mirror import Mirror
from boatwright.stages.house import House
from boatwright.stages.sweep_kinds import KINDS as OF_FILES
from boatwright.stages.sweep_kinds import Kind, Thing
from boatwright.stages.sweep_rows import Bodies

FLOOR = timedelta(hours=1)

Freed = dict[str, tuple[int, int]]
"""Kind → how many, how many bytes."""
Tell = Callable[[str, Thing], None]

KINDS: tuple[Kind, ...] = (*OF_FILES, Bodies("deliveries", "deliveries"))
"""What can be swept, in this order."""


async def collect(
    house: House,
    *,
    older_than: timedelta | None,
    dry_run: bool,
    kinds: Collection[str] = (),
    tell: Tell | None = None,
) -> Freed:
    """Sweep once. ``older_than`` None takes the days of ``retention``; ``kinds`` empty is all of them. ``tell`` hears of
    each thing that goes, or would go. ``errors.BadInput`` for a kind there is none of.
    """
    freed: Freed = {}
    for kind in _chosen(kinds):
        before = _before(house, kind, older_than, named=kind.name in kinds)
        if before is not None:
            freed[kind.name] = await _sweep(house, kind, before, dry_run=dry_run, tell=tell or _nobody)
            if not dry_run:
                await kind.after(house, before)
    if not dry_run and not kinds:
        await asyncio.to_thread(_maintain, house)
    return freed


async def _sweep(house: House, kind: Kind, before: datetime, *, dry_run: bool, tell: Tell) -> tuple[int, int]:
    count = size = 0
    for thing in await kind.unneeded(house, before):
        if not dry_run and not await kind.remove(house, thing, before):
            continue  # taken up meanwhile, or gone
        tell(kind.name, thing)
        count, size = count + 1, size + thing.size
    return count, size


def _chosen(names: Collection[str]) -> list[Kind]:
    known = [kind.name for kind in KINDS]
    for name in names:
        if name not in known:
            raise errors.BadInput(
                f"{name[:40]!r} is nothing that gc removes; there are: {', '.join(known)}",
                subject=name[:40],
                next_moves=tuple(f"--kind {each}" for each in known),
            )
    return [kind for kind in KINDS if not names or kind.name in names]


def _before(house: House, kind: Kind, older_than: timedelta | None, *, named: bool) -> datetime | None:
    """Before when a thing of this kind may go; None: never. What belongs to a person goes by its retention, or where
    its kind is asked for by name.
    """
    if older_than is not None and (named or not kind.personal):
        return house.clock.now() - max(older_than, FLOOR)
    if not kind.retention:
        return house.clock.now() - FLOOR
    days: int = getattr(house.settings.retention, kind.retention)
    return house.clock.now() - max(timedelta(days=days), FLOOR) if days else None


def _nobody(_: str, __: Thing) -> None:
    """Nobody wants to hear of each."""


def _maintain(house: House) -> None:
    """Fewer, larger packs; nothing is dropped."""
    for path in sorted(house.state.mirrors.glob("*.git")):
        mirror = Mirror(path)
        with suppress(errors.BoatwrightError):  # one that is damaged does not end the sweep
            mirror.sweep()
            mirror.maintain()
