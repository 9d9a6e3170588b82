"""The sweep for webhooks that nobody took: each forge that can tell is asked to send them again.

How far its list was read stands in a small file of the state directory. It saves calls and decides nothing: one that cannot
be read counts as none.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from boatwright import errors
from boatwright.rules.missed import Attempt, Progress, Walk
from boatwright.stages.house import House

EVERY_SECONDS = 300.0
PLACE = "missed.json"


class Sweep:
    """Now and then, while somebody listens: without a secret to tell a webhook by, none is taken anyway."""

    def __init__(self, every: float = EVERY_SECONDS) -> None:
        self._every = every
        self._last: float | None = None

    async def once(self, house: House) -> int:
        """Returns how many were asked for."""
        now = house.clock.monotonic()
        if self._last is not None and now - self._last < self._every:
            return 0
        self._last = now
        asked, kept = 0, Kept(house.state.root / PLACE)
        for kind, setting in house.settings.forges.items():
            if setting.listens:
                with suppress(errors.BoatwrightError):  # a forge that is away is asked in a later round
                    before = await asyncio.to_thread(kept.get, kind)
                    number, after = await house.forge.ask_again(kind, before)
                    asked += number
                    if after != before:
                        await asyncio.to_thread(kept.put, kind, after)
        return asked


class Kept:
    """How far the list of each forge was read, in a file. Blocks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, kind: str) -> Progress:
        try:
            return _read(self._all()[kind])
        except (KeyError, TypeError, ValueError):
            return Progress()

    def put(self, kind: str, progress: Progress) -> None:
        """Whole or not at all. ``errors.StoreUnavailable`` where the file cannot be written."""
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        try:
            fresh.write_text(json.dumps({**self._all(), kind: _written(progress)}))
            fresh.replace(self._path)
        except OSError as error:
            raise errors.StoreUnavailable(
                f"{self._path} cannot be written ({error.strerror})", subject=str(self._path)
            ) from error

    def _all(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _written(progress: Progress) -> dict[str, Any]:
    mark, walk = progress.mark, progress.walk
    return {
        "mark": mark and mark.isoformat(),
        "walk": walk and {"next": walk.next, "newest": walk.newest.isoformat()},
        "attempts": [[each.id, each.guid, each.ok, each.at.isoformat()] for each in progress.attempts],
    }


def _read(said: Any) -> Progress:
    mark, walk = said["mark"], said["walk"]
    return Progress(
        mark and datetime.fromisoformat(mark),
        walk and Walk(str(walk["next"]), datetime.fromisoformat(walk["newest"])),
        tuple(
            Attempt(int(number), str(guid), bool(ok), datetime.fromisoformat(at))
            for number, guid, ok, at in said["attempts"]
        ),
    )
