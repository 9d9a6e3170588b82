"""The processes of a bottle, seen from the host through /proc: who they are, what they use, stopping them.

A pid namespace is a tree: whoever loses its parent inside is adopted by the namespace's first process. So the
descendants of that process are all of them. After a restart of ours there is no pid to start from; then the mark
is the mount table, which nothing inside can change: it names the bottle's own workspace.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
STOPPED = frozenset("Tt")
GONE = frozenset("ZX")


@dataclass(frozen=True, slots=True)
class Process:
    """One process at one moment. ``cpu`` is seconds, its reaped children's included; ``memory`` is resident bytes."""

    pid: int
    state: str
    threads: int
    cpu: float
    memory: int
    started: int


@dataclass(frozen=True, slots=True)
class Use:
    """What a tree of processes uses now."""

    tasks: int = 0
    cpu: float = 0.0
    memory: int = 0


def read(pid: int) -> Process | None:
    """The process, or None when it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    # The name is in brackets and may hold brackets and spaces of its own.
    fields = text[text.rindex(b")") + 2 :].split()
    ticks = sum(int(fields[index]) for index in (11, 12, 13, 14))
    return Process(
        pid=pid,
        state=fields[0].decode(),
        threads=int(fields[17]),
        cpu=ticks / TICKS,
        memory=int(fields[21]) * PAGE,
        started=int(fields[19]),
    )


def parent(pid: int) -> int | None:
    try:
        text = (PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return int(text[text.rindex(b")") + 2 :].split()[1])


def is_first_of_namespace(pid: int, uid: int | None) -> bool:
    """Whether ``pid`` is the first process of a pid namespace below ours, and runs as ``uid`` where one is given."""
    try:
        text = (PROC / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return False
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}
    numbers = fields.get("NSpid", [])
    return len(numbers) > 1 and numbers[-1] == "1" and uid in (None, int(fields["Uid"][0]))


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_bytes().split())
    return found


def tree(root: int) -> list[Process]:
    """The process and all its descendants, parents first."""
    found: list[Process] = []
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in seen:
            continue
        seen.add(pid)
        process = read(pid)
        if process is None or process.state in GONE:
            continue
        found.append(process)
        waiting += children(pid)
    return found


def use(processes: Iterable[Process]) -> Use:
    listed = list(processes)
    return Use(
        tasks=sum(process.threads for process in listed),
        cpu=sum(process.cpu for process in listed),
        memory=sum(process.memory for process in listed),
    )


def shared_out(pids: Iterable[int]) -> int:
    """Bytes in memory with shared pages counted once between their users (PSS). Dearer than resident sums."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in (PROC / str(pid) / "smaps_rollup").read_bytes().splitlines():
                if line.startswith(b"Pss:"):
                    total += int(line.split()[1]) * 1024
                    break
    return total


def members(workspace: Path, mounted_at: str) -> list[int]:
    """Every process whose mount table shows ``workspace`` at ``mounted_at``, whoever started it."""
    return [pid for pid in _all() if _shows(pid, workspace, mounted_at)]


def _all() -> Iterator[int]:
    return (int(each.name) for each in PROC.iterdir() if each.name.isdigit())


def _shows(pid: int, workspace: Path, mounted_at: str) -> bool:
    # The table names paths from the root of their file system, so a state directory on a mount of its own appears
    # shortened: compare the last two names, of which the first is unique to this bottle on this host.
    tail = b"/" + os.fsencode(workspace.parent.name) + b"/" + os.fsencode(workspace.name)
    try:
        table = (PROC / str(pid) / "mountinfo").read_bytes()
    except OSError:
        return False
    return any(
        len(fields) > 4 and fields[4] == mounted_at.encode() and fields[3].endswith(tail)
        for fields in (line.split() for line in table.splitlines())
    )


def send(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
