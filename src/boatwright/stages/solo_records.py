"""What is written down about bottles outside executions: a file each, and a lock that says who works on one.

Files, and not rows of the ledger: such a bottle is a pair of directories of this host, nothing of it is shared. A file is
replaced in one move and synced; a name is taken by a link that only one of two makers gets; and the lock is the
kernel's, so a process that is killed lets go of it without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.ledger import files
from boatwright.rules import labels
from boatwright.values.clock import Clock
from boatwright.values.solo import Solo

FOLDER = "solo"
_CALLS = ".calls"
_POLL = 0.2
_PATIENCE = 1.0
"""Seconds: somebody who only looks holds a lock for a moment."""


class Hold:
    """One bottle is ours while this is open. Closed by whoever has it, and by the kernel when we are killed."""

    def __init__(self, records: Records, slug: str, descriptor: int) -> None:
        self._records, self._descriptor = records, descriptor
        self.slug = slug

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def asked_to_stop(self) -> None:
        """Return when somebody wants the bottle: to freeze it, or to destroy it."""
        while not self._records.stop_file(self.slug).exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(_POLL)


class Records:
    """The records of one state directory. Nothing is made before the first is written."""

    def __init__(self, state: StateDir, clock: Clock) -> None:
        self._root = state.root / FOLDER
        self._clock = clock

    # --- reading ---

    def all(self) -> list[Solo]:
        """Every bottle, the oldest first."""
        found = [self._read(path) for path in sorted(self._root.glob("*.json"))]
        return sorted((each for each in found if each), key=lambda each: (each.created, each.slug))

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Each bottle's name and its record's file, unread: whoever looks often reads only what was replaced."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self._root) as entries:
            for entry in entries:
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        yield entry.name.removesuffix(".json"), entry.stat()

    def find(self, slug: str) -> Solo | None:
        """The record of ``slug``; ``errors.BadInput`` when that is no name for a bottle."""
        labels.refuse(slug)
        return self._read(self._path(slug))

    def get(self, slug: str) -> Solo:
        found = self.find(slug)
        if found is None:
            raise errors.NotFound(
                f"there is no bottle '{slug}'", subject=slug, next_moves=("boatwright bottle list",)
            )
        return found

    def held(self, slug: str) -> bool:
        """Whether a living process works on it."""
        try:
            descriptor = os.open(self._lock(slug), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _taken(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def calls(self, record: Solo) -> Path:
        """What its agent called at its forge: its own, whoever has its name later."""
        return self._root / f"{record.account}{_CALLS}"

    def log(self, slug: str) -> Path:
        return self._root / f"{slug}.log"

    def path(self, slug: str) -> Path:
        """The record itself; its time is when it was written last."""
        return self._path(slug)

    def screen(self, slug: str) -> Path:
        """What its terminal showed, as bytes for a terminal."""
        return self._root / f"{slug}.screen"

    def socket(self, slug: str) -> Path:
        """Where its terminal is, while it runs at one."""
        return self._root / f"{slug}.sock"

    def stop_file(self, slug: str) -> Path:
        return self._root / f"{slug}.stop"

    # --- writing ---

    def claim(self, label: str, make: Callable[[str], Solo]) -> tuple[Solo, Hold]:
        """A new record under the label, or under ``label-2``, ``label-3`` … where that is in use."""
        labels.refuse(label)
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for slug in labels.candidates(label):
            if self._path(slug).exists():
                continue
            hold = self._try(slug)
            if hold is None:
                continue
            record = make(slug)
            if files.write_once(self._path(slug), _bytes(record)):
                return record, hold
            hold.__exit__(None, None, None)
        raise AssertionError("names do not end")

    def hold(self, slug: str, *, patience: float = _PATIENCE) -> Hold:
        """Have the bottle to ourselves. ``errors.Conflict`` when a living process goes on holding it."""
        until = self._clock.monotonic() + patience
        while (hold := self._try(slug)) is None:
            if self._clock.monotonic() > until:
                raise errors.Conflict(
                    f"another process works on the bottle '{slug}'",
                    subject=slug,
                    next_moves=(f"boatwright bottle logs -f {slug}", "stop it with Ctrl-C where it runs"),
                )
            time.sleep(_POLL / 10)
        self.stop_file(slug).unlink(missing_ok=True)
        return hold

    def take_over(self, slug: str, *, patience: float = 60.0) -> Hold:
        """As :meth:`hold`, after asking whoever works on it to stop and save."""
        if self.held(slug):
            self.stop_file(slug).touch(mode=0o600)
        return self.hold(slug, patience=patience)

    def write(self, record: Solo) -> Solo:
        """Replace the record, whole and synced. Only for who holds it."""
        files.write(self._path(record.slug), _bytes(record))
        return record

    def remove(self, slug: str) -> None:
        """Forget a bottle, the record after what is kept beside it: killed on the way, it is removed again. Only for who
        holds it; the name is free afterwards.
        """
        calls = self._root.glob(f"{slug}.*{_CALLS}")  # a name has no dot
        own = (*calls, self.log(slug), self.screen(slug), self.socket(slug), self.stop_file(slug))
        for path in (*own, self._path(slug), self._lock(slug)):
            path.unlink(missing_ok=True)

    # --- inside ---

    def _path(self, slug: str) -> Path:
        return self._root / f"{slug}.json"

    def _lock(self, slug: str) -> Path:
        return self._root / f"{slug}.lock"

    def _try(self, slug: str) -> Hold | None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock(slug), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A lock on a file that was removed meanwhile keeps nobody out.
        if _taken(descriptor, fcntl.LOCK_EX) and _stands(descriptor, self._lock(slug)):
            return Hold(self, slug, descriptor)
        os.close(descriptor)
        return None

    def _read(self, path: Path) -> Solo | None:
        try:
            return Solo.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise errors.Conflict(
                f"what is written about the bottle in {path} cannot be read",
                subject=str(path),
                next_moves=("read it with the release that wrote it", f"rm {path}"),
            ) from error


def _bytes(record: Solo) -> bytes:
    return record.model_dump_json(indent=1).encode()


def _taken(descriptor: int, how: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        return True
    return False


def _stands(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
