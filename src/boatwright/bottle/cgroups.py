"""Control groups, where this host lets us have them: hard limits for memory and processes, and a pause that holds.

What works is found by trying, not by asking who we are: version 1 and 2 and both at once, as root or in a
subtree handed to a user. Joining a group can take the kernel ten milliseconds, so a program starts first (its own
resource limits bind from the first instruction) and is moved a moment later, off the event loop.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from boatwright.bottle import processes
from boatwright.values.process import Limits

OURS = "boatwright"
_ROUNDS = 50
_OLD = 60.0
"""Seconds after which an empty group is nobody's."""


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A directory of ours below which each run gets its group. ``kind`` is memory, pids or unified (version 2)."""

    kind: str
    base: Path
    controls: frozenset[str]


@dataclass(frozen=True, slots=True)
class Cgroups:
    """What this host lets us do."""

    hierarchies: tuple[Hierarchy, ...] = ()

    def has(self, control: str) -> bool:
        return any(control in each.controls for each in self.hierarchies)

    def group(self, name: str) -> Group:
        return Group(name, self.hierarchies)

    def sweep(self, name: str) -> None:
        """Remove the empty groups that a killed worker left under this name; a busy one stays."""
        for hierarchy in self.hierarchies:
            for left in hierarchy.base.glob(f"{name}-*"):
                with contextlib.suppress(OSError):
                    left.rmdir()


@dataclass(slots=True)
class Group:
    """The group of one run, made when it is first joined."""

    name: str
    hierarchies: tuple[Hierarchy, ...]
    joined: bool = False
    _made: dict[str, Path] = field(default_factory=dict)

    def join(self, root: int, first: int, limits: Limits) -> None:
        """Put bwrap and the whole tree in, until nobody is left outside. Blocks; safe to call again."""
        for hierarchy in self.hierarchies:
            path = hierarchy.base / self.name
            try:
                path.mkdir(exist_ok=True)
                _limit(path, hierarchy, limits)
                self._made[hierarchy.kind] = path
                _move(path, root, first)
            except OSError:
                continue  # the host changed its mind: samples and resource limits remain
        self.joined = True

    def memory_kills(self) -> int:
        """How often the kernel killed something here for want of memory."""
        if "unified" in self._made:
            found = _number(self._made["unified"] / "memory.events", "oom_kill")
            if found:
                return found
        return (
            _number(self._made["memory"] / "memory.oom_control", "oom_kill") if "memory" in self._made else 0
        )

    def refused_forks(self) -> int:
        """How often a new process was refused here."""
        return sum(
            _number(self._made[kind] / "pids.events", "max")
            for kind in ("pids", "unified")
            if kind in self._made
        )

    @property
    def freezes(self) -> bool:
        return any("freeze" in each.controls for each in self.hierarchies)

    def freeze(self) -> bool:
        """Stop everything in the group; True when the kernel says that nothing runs."""
        path = self._made.get("unified")
        if path is None or not _write(path / "cgroup.freeze", "1"):
            return False
        for _ in range(_ROUNDS):
            if _number(path / "cgroup.events", "frozen"):
                return True
            time.sleep(0.002)
        return False

    def thaw(self) -> None:
        path = self._made.get("unified")
        if path is not None:
            _write(path / "cgroup.freeze", "0")

    def close(self) -> None:
        for path in self._made.values():
            with contextlib.suppress(OSError):
                path.rmdir()
        self._made.clear()


def _limit(path: Path, hierarchy: Hierarchy, limits: Limits) -> None:
    one = {"memory": "memory.limit_in_bytes", "pids": "pids.max"}
    values = {"memory": limits.memory_bytes, "pids": limits.pids}
    names = {"memory": "memory.max", "pids": "pids.max"} if hierarchy.kind == "unified" else one
    for control, value in values.items():
        if control in hierarchy.controls:
            (path / names[control]).write_text(str(value))
    if "memory" in hierarchy.controls:
        _write(
            path / ("memory.swap.max" if hierarchy.kind == "unified" else "memory.memsw.limit_in_bytes"),
            "0" if hierarchy.kind == "unified" else str(limits.memory_bytes),
        )


def _move(path: Path, root: int, first: int) -> None:
    members = path / "cgroup.procs"
    _write(members, str(root))
    for _ in range(_ROUNDS):
        inside = set(map(int, members.read_text().split()))
        outside = [each.pid for each in processes.tree(first) if each.pid not in inside]
        if not outside:
            return
        for pid in outside:
            _write(members, str(pid))


def _write(path: Path, value: str) -> bool:
    try:
        path.write_text(value)
    except OSError:
        return False
    return True


def _number(path: Path, key: str) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == key:
                return int(value)
    return 0


@cache
def detect() -> Cgroups:
    """What this process may use, asked once: each hierarchy is tried by making a group in it."""
    with contextlib.suppress(OSError):
        mounts = _mounts(Path("/proc/self/mountinfo").read_text())
        own = _own(Path("/proc/self/cgroup").read_text())
        found = tuple(_usable(mounts, own))
        for hierarchy in found:
            _sweep_old(hierarchy.base)
        return Cgroups(found)
    return Cgroups()


def _sweep_old(base: Path) -> None:
    """Remove groups that killed workers left: empty ones, and old enough that nobody is about to join them."""
    for left in base.iterdir():
        with contextlib.suppress(OSError):
            if left.is_dir() and time.time() - left.stat().st_mtime > _OLD:
                left.rmdir()


@dataclass(frozen=True, slots=True)
class Mount:
    root: str
    place: Path
    version: int
    options: frozenset[str]


def _mounts(table: str) -> list[Mount]:
    found = []
    for line in table.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, rest = right.partition(" ")
        if kind not in {"cgroup", "cgroup2"}:
            continue
        fields = left.split()
        options = frozenset(rest.split()[-1].split(","))
        found.append(Mount(fields[3], Path(fields[4]), 2 if kind == "cgroup2" else 1, options))
    return found


def _own(text: str) -> Mapping[str, str]:
    """Controller → our path; the empty name is version 2."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            found[name] = path
    return found


def _place(mount: Mount, path: str) -> Path:
    inside = path.removeprefix(mount.root) if mount.root != "/" else path
    return mount.place / inside.lstrip("/")


def _usable(mounts: Iterable[Mount], own: Mapping[str, str]) -> Iterable[Hierarchy]:
    for mount in mounts:
        if mount.version == 2:
            unified = _unified(_place(mount, own.get("", "/")), mount.place)
            if unified is not None:
                yield unified
            continue
        for kind in ("memory", "pids"):
            if kind in mount.options and kind in own:
                base = _place(mount, own[kind]) / OURS
                if _try(base, kind):
                    yield Hierarchy(kind, base, frozenset({kind}))


def _try(base: Path, kind: str) -> bool:
    probe = base / f"try-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        base.mkdir(exist_ok=True)
        probe.mkdir()
    except OSError:
        return False
    try:
        return kind == "unified" or os.access(probe / "cgroup.procs", os.W_OK)
    finally:
        probe.rmdir()


def _unified(own: Path, top: Path) -> Hierarchy | None:
    """Version 2: the nearest group upwards in which we may make one, with the controllers it can hand down."""
    best: Hierarchy | None = None
    for candidate in (own, *own.parents):
        # Moving a process asks for the right to write to the common ancestor's list, too.
        if os.access(candidate / "cgroup.procs", os.W_OK) and _try(candidate / OURS, "unified"):
            found = Hierarchy("unified", candidate / OURS, _hand_down(candidate))
            if best is None or len(found.controls) > len(best.controls):
                best = found
            if {"memory", "pids"} <= found.controls:
                break
        if candidate == top:
            break
    return best


def _hand_down(candidate: Path) -> frozenset[str]:
    freezer = {"freeze"} if (candidate / OURS / "cgroup.freeze").exists() else set()
    for control in ("memory", "pids"):
        if _write(candidate / "cgroup.subtree_control", f"+{control}"):
            _write(candidate / OURS / "cgroup.subtree_control", f"+{control}")
    with contextlib.suppress(OSError):
        return frozenset(
            {"memory", "pids"} & set((candidate / OURS / "cgroup.subtree_control").read_text().split())
            | freezer
        )
    return frozenset(freezer)
