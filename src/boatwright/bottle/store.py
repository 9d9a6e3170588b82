"""A bottle's place on the host's disk: its directories, what is written down about it, and how they go away.

``bottles/<key>/`` holds ``meta.json`` (ours), ``workspace`` and ``home`` (the bottle's), ``running`` (a mark per
program, there before it starts and until it is gone). The key says nothing to whoever reads a mount table inside.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from boatwright import errors
from boatwright.bottle import uids
from boatwright.bottle.protocol import Bind, BottleSpec
from boatwright.config.paths import StateDir
from boatwright.values.process import Limits

GONE = ".gone-"
MAKING = ".making-"


@dataclass(frozen=True, slots=True)
class Place:
    """Where one bottle lives and whose it is."""

    root: Path
    uid: int
    spec: BottleSpec

    @property
    def workspace(self) -> Path:
        return self.root / "workspace"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def running(self) -> Path:
        return self.root / "running"


class Store:
    """The bottles of one state directory."""

    def __init__(self, state: StateDir, uid_range: range | None) -> None:
        self._state = state
        self._range = uid_range

    def key(self, slug: str) -> str:
        return hashlib.sha256(os.fsencode(self._state.root) + b"\0" + slug.encode()).hexdigest()[:20]

    def path(self, slug: str) -> Path:
        return self._state.bottles / self.key(slug)

    def read(self, slug: str) -> Place | None:
        return self._read(self.path(slug))

    def all(self) -> list[Place]:
        found = (self._read(meta.parent) for meta in sorted(self._state.bottles.glob("[0-9a-f]*/meta.json")))
        return [place for place in found if place is not None]

    def make(self, spec: BottleSpec) -> Place:
        """The bottle's directories, given to its uid. The same slug again returns what is there."""
        self._state.create()
        with self._locked():
            there = self.read(spec.slug)
            if there is not None:
                return self._renew(there, spec)
            self._sweep()
            uid = self._uid(spec)
            fresh = self._state.bottles / (MAKING + self.key(spec.slug))
            _lay_out(fresh, uid)
            _write(fresh / "meta.json", _describe(spec, uid))
            fresh.rename(self.path(spec.slug))
        return Place(self.path(spec.slug), uid, spec)

    def remove(self, slug: str) -> None:
        """Take the directories away, in one step for whoever looks, then piece by piece."""
        with self._locked():
            gone = self._state.bottles / (GONE + self.key(slug) + "-" + os.urandom(4).hex())
            with contextlib.suppress(FileNotFoundError):
                self.path(slug).rename(gone)
        if gone.exists():
            erase(gone)

    def _renew(self, there: Place, spec: BottleSpec) -> Place:
        # Limits, binds and environment may change between turns; the uid and the files stay.
        if there.spec != spec:
            _write(there.root / "meta.json", _describe(spec, there.uid))
        return dataclasses.replace(there, spec=spec)

    def _uid(self, spec: BottleSpec) -> int:
        if os.geteuid() != 0:
            return os.geteuid()
        if spec.uid_of:
            other = self.read(spec.uid_of)
            if other is None:
                raise errors.NotFound(f"no bottle named {spec.uid_of}", subject=spec.uid_of)
            return uids.refuse_root(other.uid)
        return uids.free(uids.choose(self._range), uids.taken(self._state.bottles))

    def _read(self, root: Path) -> Place | None:
        try:
            meta = json.loads((root / "meta.json").read_bytes())
            return Place(root, uids.refuse_root(int(meta["uid"])), _spec(meta["spec"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise errors.Conflict(
                f"what is written about the bottle in {root} cannot be read",
                subject=str(root),
                next_moves=("boatwright gc",),
            ) from error

    def _sweep(self) -> None:
        """Take away what a killed worker left half made or half removed."""
        for left in (*self._state.bottles.glob(MAKING + "*"), *self._state.bottles.glob(GONE + "*")):
            with contextlib.suppress(OSError):
                erase(left)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time in this state directory: two live bottles never get one uid."""
        self._state.run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._state.run / "bottles.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def give(path: Path, uid: int) -> None:
    """Make ``path`` the bottle's own; as a user it is already."""
    if os.geteuid() == 0:
        os.chown(path, uid, uid, follow_symlinks=False)


def _lay_out(root: Path, uid: int) -> None:
    root.mkdir(mode=0o711)
    root.chmod(0o711)
    (root / "running").mkdir(mode=0o700)
    for name in ("workspace", "home"):
        (root / name).mkdir(mode=0o700)
        give(root / name, uid)


def _write(path: Path, content: dict[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


def _describe(spec: BottleSpec, uid: int) -> dict[str, Any]:
    return {
        "uid": uid,
        "spec": dataclasses.asdict(spec)
        | {
            "wire": str(spec.wire) if spec.wire else None,
            "binds": [[str(bind.source), str(bind.target), bind.writable] for bind in spec.binds],
            "environment": dict(spec.environment),
        },
    }


def _spec(found: dict[str, Any]) -> BottleSpec:
    return BottleSpec(
        **found
        | {
            "limits": Limits(**found["limits"]),
            "wire": Path(found["wire"]) if found["wire"] else None,
            "binds": tuple(
                Bind(Path(source), PurePosixPath(target), writable)
                for source, target, writable in found["binds"]
            ),
        }
    )


def erase(path: Path) -> None:
    """Remove a tree that a bottle wrote: links are not followed, shut directories are opened, depth does not matter."""
    try:
        shutil.rmtree(path)
    except FileNotFoundError:
        return
    except (OSError, RecursionError):
        _erase_stubborn(path)


def _erase_stubborn(path: Path) -> None:
    _run("/bin/chmod", "-R", "u+rwX", "--", str(path))
    done = _run("/bin/rm", "-rf", "--", str(path))
    if done.returncode != 0:
        raise errors.StoreUnavailable(
            f"{path} could not be removed: {done.stderr.decode('utf-8', 'replace').strip()[:300]}",
            subject=str(path),
            next_moves=(f"rm -rf {path}",),
        )


def _run(*argv: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, env={"LC_ALL": "C"}, check=False
    )
