"""The two small steps around bwrap: giving up power before it, taking on limits after it.

Both are programs that every Linux has (``setpriv`` and ``prlimit`` of util-linux); where they are missing, a few
lines of Python and of shell do the same. Each replaces itself, so the process tree stays as deep as without them
and the death of our own process still reaches the bottle.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from boatwright.bottle.uids import refuse_root
from boatwright.values.process import Limits

SYSTEM = "/usr/bin:/bin:/usr/sbin:/sbin"
FILES = 4_096
"""Open files of one process."""
AHEAD = 1 << 30
"""Bytes that one process gets at least past the limit of its tree: a quarter of a second's growth at the worst, in
which even a busy host looks (``watchdog.GROWTH``)."""
SLACK = 5
"""Seconds of cpu that one process gets past the limit of its tree, so that the watchdog names the limit first."""

DROP = """
import ctypes, os, sys
uid = int(sys.argv[1])
prctl = ctypes.CDLL(None, use_errno=True).prctl
def must(option, value=0):
    if prctl(option, value, 0, 0, 0):
        sys.exit("boatwright: cannot give up privileges: " + os.strerror(ctypes.get_errno()))
if uid != os.geteuid():
    with open("/proc/sys/kernel/cap_last_cap") as last:
        for capability in range(int(last.read()) + 1):
            must(24, capability)
    must(47, 4)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
must(38, 1)
os.execv(sys.argv[2], sys.argv[2:])
"""
"""24 is PR_CAPBSET_DROP, 47 with 4 clears the ambient set, 38 is PR_SET_NO_NEW_PRIVS."""

LIMIT = (
    "ulimit -u $1 2>/dev/null || ulimit -p $1; ulimit -n $2; ulimit -t $3;"
    ' ulimit -d $(($4 / 1024)); ulimit -f $(($5 / 512)); shift 5; exec "$@"'
)


@cache
def _system(name: str) -> str | None:
    return shutil.which(name, path=SYSTEM)


def drop(program: Path, uid: int) -> tuple[str, ...]:
    """What stands before bwrap so that it runs as ``uid``, in no group, without capabilities or the way back to them."""
    refuse_root(uid)
    if os.geteuid() != 0:
        # A set-uid bwrap would make root of us for a moment; no_new_privs makes it an ordinary program.
        if not program.stat().st_mode & stat.S_ISUID:
            return ()
        setpriv = _system("setpriv")
        return (setpriv, "--no-new-privs", "--") if setpriv else _own(uid)
    setpriv = _system("setpriv")
    if setpriv is None:
        return _own(uid)
    return (
        setpriv, "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set=-all", "--inh-caps=-all",
        "--ambient-caps=-all", "--no-new-privs", "--",
    )  # fmt: skip


def _own(uid: int) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", DROP, str(uid))


def limit(command: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """``command`` behind the limits of one process, set inside the user namespace, where processes count per bottle.

    They are walls behind the limits of the tree, at a distance at which the watchdog or the control group has seen
    and named who runs into them.
    """
    processes = within(resource.RLIMIT_NPROC, 4 * limits.pids + 4_096)
    files = within(resource.RLIMIT_NOFILE, FILES)
    cpu = within(resource.RLIMIT_CPU, limits.cpu_seconds + SLACK)
    data = within(resource.RLIMIT_DATA, behind(limits.memory_bytes))
    size = within(resource.RLIMIT_FSIZE, limits.disk_bytes)
    if _system("prlimit") is None:
        return ("/bin/sh", "-c", LIMIT, "sh", *map(str, (processes, files, cpu, data, size)), *command)
    return (
        "prlimit", f"--nproc={processes}", f"--nofile={files}", f"--cpu={cpu}", f"--data={data}",
        f"--fsize={size}", "--", *command,
    )  # fmt: skip


def behind(limit: int) -> int:
    """Above the limit of the tree: whoever passes that is named for it before this wall is met."""
    return limit + max(limit // 4, AHEAD)


def within(kind: int, wanted: int) -> int:
    """``wanted``, or the hard limit we live under ourselves when that is lower: nobody may raise it."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
