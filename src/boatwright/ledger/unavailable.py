"""What a database or a disk says when it cannot serve, turned into one sentence and a remedy.

The sentence names the file or the host, never a password; the driver's own error stays chained for the log.
"""

from __future__ import annotations

import errno
import re
import shutil
from pathlib import Path

from sqlalchemy import exc
from sqlalchemy.engine import URL

from boatwright import errors

_PAGE = 64 << 10
"""Less free space than this is none: the write-ahead index grows by half of it."""

UNAVAILABLE = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.InternalError,
    exc.TimeoutError,
    exc.DatabaseError,
)

_SQLITE: tuple[tuple[str, str, str], ...] = (
    ("locked", "is locked by another process", "wait for the other process, or stop it, then run this again"),
    ("busy", "is locked by another process", "wait for the other process, or stop it, then run this again"),
    ("disk is full", "cannot grow: the disk is full", "free some space, then run this again"),
    (
        "disk i/o error",
        "cannot be written: the disk answers with an error",
        "look at free space, quota and disk",
    ),
    ("readonly", "cannot be written: it is read-only for this user", "make file and directory writable"),
    ("unable to open", "cannot be opened", "check that the directory exists and this user may write in it"),
    ("malformed", "is damaged", "restore it from a copy; boatwright events verify tells what is missing"),
    (
        "not a database",
        "is not a ledger: it is some other file",
        "move it away, or name another BOATWRIGHT_STATE",
    ),
    ("no such table", "has no ledger tables", "run boatwright doctor"),
)

_POSTGRESQL: tuple[tuple[str, str, str], ...] = (
    ("08", "cannot be reached", "start the server, then run this again"),
    ("28", "refuses our user or password", "check BOATWRIGHT_DATABASE_URL"),
    ("3D", "does not exist", "create the database, or correct BOATWRIGHT_DATABASE_URL"),
    ("25006", "is read-only", "point BOATWRIGHT_DATABASE_URL at the primary server"),
    ("53100", "cannot grow: the server's disk is full", "free some space on the server"),
    ("53300", "has no connection left", "raise max_connections, or stop some workers"),
    ("55P03", "is locked by another process", "wait for the other process, or stop it, then run this again"),
    ("40", "was asked by too many at once", "run this again"),
    ("42P01", "has no ledger tables", "run boatwright doctor"),
    ("57", "is shutting down", "start the server, then run this again"),
)

_FILES = {
    errno.ENOSPC: ("the disk is full", "free some space, then run this again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run this again"),
    errno.EFBIG: ("the file may not grow further", "raise the file size limit of this process"),
    errno.EROFS: ("the file system is read-only", "remount it writable, or name another BOATWRIGHT_STATE"),
    errno.EACCES: ("this user may not", "run as the owner, or name another BOATWRIGHT_STATE"),
    errno.EPERM: ("this user may not", "run as the owner, or name another BOATWRIGHT_STATE"),
}


def place(url: URL) -> str:
    """The database in words: its file, or its name and host; never user or password."""
    if url.get_backend_name() == "sqlite":
        return f"the database {url.database}"
    host = url.host or url.query.get("host") or "this host"
    port = f":{url.port}" if url.port else ""
    return f"the database {url.database} on {host}{port}"


def from_database(error: exc.SQLAlchemyError, url: URL) -> errors.StoreUnavailable:
    """The sentence for what a driver raised."""
    fault, remedy = _sqlite(error, url) if url.get_backend_name() == "sqlite" else _postgresql(error)
    where = place(url)
    return errors.StoreUnavailable(f"{where} {fault}; nothing was lost", subject=where, next_moves=(remedy,))


def gone(url: URL) -> errors.StoreUnavailable:
    """The sentence for a database file that was removed or replaced while it was in use."""
    where = place(url)
    return errors.StoreUnavailable(
        f"{where} is gone: the file was removed or replaced while it was in use",
        subject=where,
        next_moves=("put the file back if it was moved", "then start this process again"),
    )


def from_file(error: OSError, path: object) -> errors.StoreUnavailable:
    """The sentence for a file of ours that could not be written or read."""
    reason, remedy = _FILES.get(
        error.errno or 0, (error.strerror or type(error).__name__, "look at the disk, then run this again")
    )
    return errors.StoreUnavailable(
        f"{path} cannot be used: {reason}", subject=str(path), next_moves=(remedy,)
    )


def _sqlite(error: exc.SQLAlchemyError, url: URL) -> tuple[str, str]:
    if isinstance(error, exc.TimeoutError):
        return "is busy: no connection came free in time", "run this again"
    said = str(getattr(error, "orig", error)).lower()
    if "disk i/o error" in said and _full(url):  # what SQLite says when the file of its index cannot grow
        said = "disk is full"
    for words, fault, remedy in _SQLITE:
        if words in said:
            return fault, remedy
    return f"cannot be used: {said}", "run boatwright doctor"


def _full(url: URL) -> bool:
    """Whether nothing more fits where the database file is."""
    try:
        return shutil.disk_usage(Path(str(url.database)).parent).free < _PAGE
    except OSError:
        return False


def _postgresql(error: exc.SQLAlchemyError) -> tuple[str, str]:
    if isinstance(error, exc.TimeoutError):
        return "is busy: no connection came free in time", "run this again"
    original = getattr(error, "orig", None)
    code = getattr(original, "sqlstate", None) or _code_from_connecting(str(original))
    for prefix, fault, remedy in _POSTGRESQL:
        if code.startswith(prefix):
            return fault, remedy
    return f"cannot be used (SQLSTATE {code})", "look at the server's log"


def _code_from_connecting(said: str) -> str:
    """A failed connect carries no SQLSTATE in the driver, only the server's words."""
    if re.search(r"password authentication failed|no pg_hba|role .* does not exist", said):
        return "28000"
    if re.search(r"database .* does not exist", said):
        return "3D000"
    if re.search(r"too many clients|remaining connection slots", said):
        return "53300"
    return "08006"
