"""Remove what nothing needs any more: artifacts nobody names, environments unused for long, stray bottles."""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from boatwright.stages.house import House
from boatwright.values.state import State

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
Freed = dict[str, tuple[int, int]]
"""Kind → how many, how many bytes."""


async def collect(house: House, *, older_than: timedelta, dry_run: bool) -> Freed:
    """Sweep once. What an unfinished execution names is kept, whatever its age."""
    before = house.clock.now() - older_than
    freed: Freed = {"artifacts": await asyncio.to_thread(_artifacts, house, before, dry_run)}
    freed["environments"] = await asyncio.to_thread(_environments, house, before, dry_run)
    freed["bottles"] = await _bottles(house, dry_run)
    return freed


def _artifacts(house: House, before: datetime, dry_run: bool) -> tuple[int, int]:
    named: set[str] = set()
    for view in house.ledger.executions.list(limit=1_000_000):
        if not view.finished or view.updated > before:
            for event in house.ledger.events.stream(view.id):
                named.update(DIGEST.findall(event.payload.model_dump_json()))
    sizes = sum(house.ledger.artifacts.sizes().values())
    freed = house.ledger.artifacts.gc(named, before, dry_run=dry_run)
    return (1 if freed else 0), min(freed, sizes)


def _environments(house: House, before: datetime, dry_run: bool) -> tuple[int, int]:
    count = size = 0
    for path in sorted(house.state.environments.iterdir()):
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) >= before:
            continue
        count, size = count + 1, size + _size(path)
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return count, size


async def _bottles(house: House, dry_run: bool) -> tuple[int, int]:
    """Bottles of executions that are over, or that nobody knows."""
    live = {
        v.id
        for v in await asyncio.to_thread(
            house.ledger.executions.list, states=[s for s in State if s not in _OVER], limit=1_000_000
        )
    }
    count = 0
    for slug in await house.backend.list():
        execution = "-".join(slug.split("-")[:2])
        if slug.startswith("ex-") and execution not in live:
            count += 1
            if not dry_run:
                await house.backend.destroy(slug)
    return count, 0


_OVER = frozenset({State.COMPLETED, State.CANCELLED, State.FAILED})


def _size(path: Path) -> int:
    """Bytes below a path, links not followed."""
    if not path.is_dir() or path.is_symlink():
        return path.lstat().st_size
    return sum(_size(child) for child in path.iterdir())
