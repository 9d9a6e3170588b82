"""How far each repository's lists were read: a small file, so that a start reads what is new and not everything.

It saves calls and decides nothing: what is read again is known by its delivery. One that cannot be read counts as none.
"""

from __future__ import annotations

import json
import os
import threading
from datetime import datetime
from pathlib import Path

from boatwright import errors


class Marks:
    """Times of the forge's clock, by repository. Safe to share by threads; the last of two processes to write wins."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def get(self, repository: str) -> datetime | None:
        """How far it was read; None where nobody knows."""
        found = self._all().get(repository)
        try:
            return datetime.fromisoformat(found) if isinstance(found, str) else None
        except ValueError:
            return None

    def put(self, repository: str, mark: datetime) -> None:
        """Remember it, whole or not at all. ``errors.StoreUnavailable`` where the file cannot be written."""
        with self._lock:
            known = self._all()
            if known.get(repository) == mark.isoformat():
                return
            fresh = self._path.with_suffix(f".{os.getpid()}.new")
            try:
                fresh.write_text(json.dumps({**known, repository: mark.isoformat()}, sort_keys=True))
                fresh.replace(self._path)
            except OSError as error:
                raise errors.StoreUnavailable(
                    f"{self._path} cannot be written ({error.strerror})", subject=str(self._path)
                ) from error

    def _all(self) -> dict[str, object]:
        try:
            found = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
