"""Files of ours on disk: whole or not there, and on the disk when the call returns."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from boatwright import errors
from boatwright.ledger import unavailable


def write(path: Path, data: bytes) -> None:
    """Put ``data`` at ``path`` in one move, mode 0600; file and directory are synced before this returns.

    ``errors.StoreUnavailable`` leaves what was there before.
    """
    fresh = _beside(path)
    try:
        fill(fresh, (data,))
        settle(fresh, path)
    except OSError as error:
        raise unavailable.from_file(error, path) from error
    finally:
        fresh.unlink(missing_ok=True)


def write_once(path: Path, data: bytes) -> bool:
    """As :func:`write`, unless ``path`` exists: then it stays as it is and the answer is False."""
    fresh = _beside(path)
    try:
        fill(fresh, (data,))
        os.link(fresh, path)
        sync_directory(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise unavailable.from_file(error, path) from error
    finally:
        fresh.unlink(missing_ok=True)
    return True


def read(path: Path) -> bytes:
    """The bytes of ``path``; ``errors.NotFound`` when there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise errors.NotFound(f"{path} does not exist", subject=str(path)) from error
    except OSError as error:
        raise unavailable.from_file(error, path) from error


def open_regular(path: Path) -> BinaryIO:
    """``path`` opened for reading; a link is not followed. ``errors.NotFound`` when it is not a plain
    file.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise errors.NotFound(f"{path} cannot be read: {error.strerror}", subject=str(path)) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise errors.NotFound(f"{path} is not a file", subject=str(path))
    return os.fdopen(descriptor, "rb")


def sync_directory(directory: Path) -> None:
    """Make a new name in ``directory`` last through a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fill(fresh: Path, chunks: Iterable[bytes]) -> str:
    """Make the file ``fresh`` of ``chunks``, mode 0600, synced; returns its SHA-256 in hex. Raises
    ``OSError``.
    """
    digest = hashlib.sha256()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def settle(fresh: Path, path: Path) -> None:
    """Give the synced file ``fresh`` its name, for good. Raises ``OSError``."""
    fresh.replace(path)
    sync_directory(path.parent)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}")
