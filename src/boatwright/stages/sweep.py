"""Remove what nothing needs any more: artifacts nobody names, environments unused for long, stray bottles.

It runs beside live work. So what live work could be about to name is younger than :data:`FLOOR` and stays, whatever
age is asked for; and what is listed to be removed is listed before what is alive.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from boatwright import errors
from boatwright.bottle import environment
from boatwright.egress import tape
from boatwright.git.mirror import Mirror
from boatwright.stages import environments
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.state import FINISHED, State

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
FLOOR = timedelta(hours=1)
EVERY = 1_000_000
KINDS: Mapping[str, tuple[str, ...]] = {
    "prompts": ("prompt",),
    "transcripts": ("transcript", "session"),
    "reports": ("report", "plan", "diff", "pack"),
    "logs": ("log", "output"),
    "freezes": ("freeze",),
}
"""What ``retention`` of settings.yml calls the kinds of artifacts."""
ENVIRONMENTS, DENIALS, TAPES = "environments", "logs", "tapes"

Freed = dict[str, tuple[int, int]]
"""Kind → how many, how many bytes."""


async def collect(house: House, *, older_than: timedelta | None, dry_run: bool) -> Freed:
    """Sweep once; ``older_than`` None takes the days of ``retention``. What an unfinished execution names is kept."""
    limits = _limits(house, older_than)
    # First: what uses an environment comes after it.
    freed: Freed = {"bottles": await _bottles(house, dry_run)}
    freed["artifacts"] = await asyncio.to_thread(_artifacts, house, limits, dry_run)
    if ENVIRONMENTS in limits:
        used = await _used(house)
        freed["environments"] = await asyncio.to_thread(
            _environments, house, used, limits[ENVIRONMENTS], dry_run
        )
    if TAPES in limits:
        freed["tapes"] = await asyncio.to_thread(_tapes, house, limits[TAPES], dry_run)
    if not dry_run:
        if DENIALS in limits:
            freed["denials"] = (await house.wire.prune_denials(limits[DENIALS]), 0)
        await asyncio.to_thread(_mirrors, house)
    return freed


def _limits(house: House, older_than: timedelta | None) -> dict[str, datetime]:
    """Before when a kind may go; a kind that is kept for ever is not there."""
    now = house.clock.now()
    found = {}
    for name in (*KINDS, ENVIRONMENTS, TAPES):
        days: int = getattr(house.settings.retention, name)
        age = timedelta(days=days) if older_than is None else older_than
        if older_than is not None or days:
            found[name] = now - max(age, FLOOR)
    return found


def _artifacts(house: House, limits: Mapping[str, datetime], dry_run: bool) -> tuple[int, int]:
    named = list(_named(house))
    store = house.ledger.artifacts
    sizes, freed = sum(store.sizes().values()), 0
    for name, kinds in KINDS.items():
        if name in limits:
            keep = {each for ended, digests in named if _kept(ended, limits[name]) for each in digests}
            freed += store.gc(keep, limits[name], dry_run=dry_run, kinds=kinds)
    return (1 if freed else 0), min(freed, sizes)


def _kept(ended: datetime | None, limit: datetime) -> bool:
    return ended is None or ended > limit


def _named(house: House) -> Iterator[tuple[datetime | None, Collection[str]]]:
    """When each execution ended (None: it lives), and every artifact its events name."""
    for view in house.ledger.executions.list(limit=EVERY):
        digests: set[str] = set()
        for event in house.ledger.events.stream(view.id):
            digests.update(DIGEST.findall(event.payload.model_dump_json()))
        yield (view.updated if view.finished else None), digests
    for solo in Records(house.state, house.clock).all():
        yield None, solo.artifacts


async def _used(house: House) -> set[Path]:
    """The environments that bottles show right now."""
    found: set[Path] = set()
    for slug in await house.backend.list():
        with suppress(errors.Conflict):  # what is written about it is broken: it shows nothing
            bottle = await house.backend.open(slug)
            found.update(bind.source for bind in (bottle.spec.binds if bottle else ()))
    return found


def _environments(house: House, used: Collection[Path], before: datetime, dry_run: bool) -> tuple[int, int]:
    """By last use. Lock files stay: removing one would let two processes hold it."""
    count = size = 0
    shown = {parent for path in used for parent in (path, *path.parents)}
    for path in sorted(house.state.environments.iterdir()):
        if path.name.startswith((".lock-", environments.RENEWED)) or path in shown:
            continue
        with suppress(FileNotFoundError):  # another gc, or its maker, was quicker
            if datetime.fromtimestamp(path.stat().st_mtime, UTC) >= before:
                continue
            weight = _size(path)
            if not dry_run:
                _take_away(house, path)
            count, size = count + 1, size + weight
    return count, size


def _tapes(house: House, before: datetime, dry_run: bool) -> tuple[int, int]:
    """Tapes of executions that are over, and of bottles outside any, by their last line."""
    live = house.ledger.executions.list(states=[s for s in State if s not in FINISHED], limit=EVERY)
    return tape.prune(house.state.tapes, before, keep={view.id for view in live}, dry_run=dry_run)


def _take_away(house: House, path: Path) -> None:
    if not path.is_dir():
        path.unlink()
    elif path.name.startswith("."):
        environment.clear_left(house.backend, path)
    else:
        environment.discard(house.backend, path.name)


async def _bottles(house: House, dry_run: bool) -> tuple[int, int]:
    """Bottles of executions that are over, or that nobody knows. A bottle listed here is of an execution listed then."""
    slugs = await house.backend.list()
    views = await asyncio.to_thread(
        house.ledger.executions.list, states=[s for s in State if s not in FINISHED], limit=EVERY
    )
    live = {view.id for view in views}
    count = 0
    for slug in slugs:
        if slug.startswith("ex-") and "-".join(slug.split("-")[:2]) not in live and await _old(house, slug):
            count += 1
            if not dry_run:
                await house.backend.destroy(slug)
    return count, 0


async def _old(house: House, slug: str) -> bool:
    bottle = await house.backend.open(slug)
    if bottle is None:
        return False
    made = bottle.place.root.stat().st_mtime
    return datetime.fromtimestamp(made, UTC) < house.clock.now() - FLOOR


def _mirrors(house: House) -> None:
    """Fewer, larger packs; nothing is dropped."""
    for path in sorted(house.state.mirrors.glob("*.git")):
        mirror = Mirror(path)
        with suppress(errors.BoatwrightError):  # one that is damaged does not end the sweep
            mirror.sweep()
            mirror.maintain()


def _size(path: Path) -> int:
    """Bytes below a path, links not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(_size(child) for child in path.iterdir())
