"""Artifacts: bytes by their digest, on disk before the event that names them.

``<root>/<kind>/<aa>/<sha256>``, each file whole or not there. The same bytes put twice are one file. A file
is trusted only after its digest was recomputed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from boatwright import errors
from boatwright.ledger import files, unavailable

KINDS = ("transcript", "session", "report", "output", "prompt", "pack", "freeze", "diff", "plan", "log")

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHUNK = 1 << 20
_UNFINISHED = "unfinished"  # files being written; what a kill leaves here, gc removes


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A file of the store that nothing names: its kind, digest, bytes, when it was put last, and where it is."""

    kind: str
    digest: str
    size: int
    put: datetime
    path: Path


class ArtifactStore:
    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, kind: str, data: bytes) -> str:
        """Keep ``data``; returns its digest ``sha256:…``. File and directory are synced before this returns.

        ``errors.StoreUnavailable`` when the disk cannot take it: then nothing is there.
        """
        return self._keep(kind, (data,), hashlib.sha256(data).hexdigest())

    def put_file(self, kind: str, path: Path) -> str:
        """Keep the bytes of the host's file ``path``, as they are while it is read. A link is not
        followed.
        """
        with files.open_regular(path) as file:
            return self._keep(kind, _chunks(file))

    def get(self, digest: str) -> bytes:
        """The bytes behind ``digest``; ``errors.NotFound`` when they are gone, ``errors.StoreUnavailable``
        when the file no longer holds them.
        """
        path = self.path(digest)
        data = files.read(path)
        if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
            raise _damaged(digest, path)
        return data

    def path(self, digest: str) -> Path:
        """Where the bytes lie, whatever their kind; ``errors.NotFound`` when they do not."""
        for candidate in self._candidates(digest):
            if candidate.exists():
                return candidate
        raise errors.NotFound(
            f"the artifact {digest} is not in {self._root}", subject=digest,
            next_moves=("it may have been removed by boatwright gc",),
        )  # fmt: skip

    def exists(self, digest: str) -> bool:
        return any(candidate.exists() for candidate in self._candidates(digest))

    def sizes(self) -> dict[str, int]:
        """Bytes per kind."""
        return {kind: sum(path.stat().st_size for path in self._files(kind)) for kind in KINDS}

    def gc(
        self,
        keep: Collection[str],
        older_than: datetime,
        *,
        dry_run: bool = False,
        kinds: Collection[str] = KINDS,
    ) -> int:
        """Remove artifacts that are not in ``keep`` and were last put before ``older_than``; returns the
        bytes freed.

        Left-overs of interrupted writes go the same way. With ``dry_run`` nothing is removed.
        """
        found = self.unnamed(keep, older_than, kinds=kinds)
        return sum(each.size for each in found if dry_run or self.drop(each.path, older_than))

    def unnamed(
        self, keep: Collection[str], older_than: datetime, *, kinds: Collection[str] = KINDS
    ) -> list[Unnamed]:
        """What :meth:`gc` would remove."""
        kept = {digest.removeprefix("sha256:") for digest in keep}
        found = []
        for kind in kinds:
            for path in self._files(kind):
                with contextlib.suppress(FileNotFoundError):  # another gc was quicker
                    status = path.stat()
                    if path.name not in kept and status.st_mtime < older_than.timestamp():
                        put = datetime.fromtimestamp(status.st_mtime, UTC)
                        found.append(Unnamed(kind, f"sha256:{path.name}", status.st_size, put, path))
        return found

    def drop(self, path: Path, older_than: datetime) -> bool:
        """Remove one file unless a writer has just made it young: that writer's event is about to name it."""
        try:
            with _locked(path.parent.parent, fcntl.LOCK_EX):
                if path.stat().st_mtime >= older_than.timestamp():
                    return False
                path.unlink()
        except FileNotFoundError:
            return False  # another gc was quicker
        except OSError as error:
            raise unavailable.from_file(error, path) from error
        return True

    def _keep(self, kind: str, chunks: Iterable[bytes], name: str | None = None) -> str:
        if kind not in KINDS:
            raise ValueError(f"{kind} is not a kind of artifact")
        directory = self._root / kind
        fresh = directory / _UNFINISHED / secrets.token_hex(16)
        try:
            if name is not None and _touch(directory, name):
                return f"sha256:{name}"
            _make(fresh.parent)
            try:
                name = files.fill(fresh, chunks)
                path = directory / name[:2] / name
                _make(path.parent)
                files.settle(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
        except OSError as error:
            raise unavailable.from_file(error, directory) from error
        return f"sha256:{name}"

    def _candidates(self, digest: str) -> list[Path]:
        if not _DIGEST.fullmatch(digest):
            raise errors.BadInput(
                f"{digest!r} is not a digest: write sha256: and 64 hex digits", subject=digest
            )
        name = digest.removeprefix("sha256:")
        return [self._root / kind / name[:2] / name for kind in KINDS]

    def _files(self, kind: str) -> Iterator[Path]:
        for path in (self._root / kind).glob("*/*"):
            if path.is_file():
                yield path


def _touch(directory: Path, name: str) -> bool:
    """Whether the bytes are there already, whole. Makes them young, so that gc leaves them to the coming
    event.
    """
    path = directory / name[:2] / name
    try:
        with _locked(directory, fcntl.LOCK_SH):
            os.utime(path)
        return _hash(path) == name
    except FileNotFoundError:
        return False


@contextmanager
def _locked(directory: Path, how: int) -> Iterator[None]:
    """Between writers, who share it, and gc. Raises ``FileNotFoundError`` when nothing was ever put here."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    """Make ``directory``, mode 0700, each new level synced into the one above."""
    missing = [level for level in (directory, *directory.parents) if not level.exists()]
    for level in reversed(missing):
        level.mkdir(mode=0o700, exist_ok=True)
        files.sync_directory(level.parent)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(digest: str, path: Path) -> errors.StoreUnavailable:
    return errors.StoreUnavailable(
        f"{path} no longer holds what its name says", subject=digest,
        next_moves=("restore it from a copy",),
    )  # fmt: skip
