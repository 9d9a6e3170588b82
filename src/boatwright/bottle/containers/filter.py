"""The list of ``bottle.seccomp`` in the form container runtimes read (OCI runtime specification, ``linux.seccomp``).

One list for every backend: the names and the judged arguments come from there. Rules of one call are alternatives,
and a rule compares each argument once, so what BPF says in a line is spelled out here: a family is refused by its
number, and a personality that is neither plain Linux nor a question by a set bit that is followed by a clear one.
"""

from __future__ import annotations

import errno
import json
import platform
from collections.abc import Iterable, Iterator
from typing import Any

from boatwright import errors
from boatwright.bottle import seccomp

ARCHITECTURES = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}
_FAMILIES = 46
"""One more than the largest address family any kernel knows; everything from here on is refused in one rule."""
_BITS = 32

Rule = dict[str, Any]


def profile(machine: str | None = None) -> bytes:
    """The profile for this machine (or the named one). Raises ``errors.MissingPart`` for one without a table."""
    name = machine or platform.machine()
    known = seccomp.MACHINES.get(name)
    if known is None:
        raise errors.MissingPart(
            f"no table of system calls for the architecture {name}, so a bottle cannot be closed here",
            subject=name,
            next_moves=(f"run on one of: {', '.join(ARCHITECTURES)}",),
        )
    judged = [rule for call in known.special for rule in _JUDGED[call]]
    return json.dumps(
        {
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": [ARCHITECTURES[name]],
            "syscalls": [*judged, _refuse(sorted(known.denied))],
        }
    ).encode()


def _refuse(calls: Iterable[str], *arguments: Rule, code: int = errno.EPERM) -> Rule:
    return {"names": list(calls), "action": "SCMP_ACT_ERRNO", "errnoRet": code, "args": list(arguments)}


def _equal(index: int, value: int) -> Rule:
    return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}


def _masked(index: int, mask: int, value: int) -> Rule:
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _other(index: int, value: int) -> Rule:
    return {"index": index, "value": value, "op": "SCMP_CMP_NE"}


def _from(index: int, value: int) -> Rule:
    return {"index": index, "value": value, "op": "SCMP_CMP_GE"}


def _namespaces() -> Iterator[Rule]:
    for bit in range(_BITS):
        if seccomp.NEW_NAMESPACES >> bit & 1:
            yield _refuse(["clone"], _masked(0, 1 << bit, 1 << bit))


def _families(call: str, allowed: Iterable[int]) -> Iterator[Rule]:
    for family in set(range(_FAMILIES)).difference(allowed):
        yield _refuse([call], _equal(0, family), code=errno.EAFNOSUPPORT)
    yield _refuse([call], _from(0, _FAMILIES), code=errno.EAFNOSUPPORT)


def _personalities() -> Iterator[Rule]:
    """Every word but all zeros and all ones has, going round, a set bit followed by a clear one."""
    for bit in range(_BITS):
        here, after = 1 << bit, 1 << (bit + 1) % _BITS
        yield _refuse(["personality"], _masked(0, here | after, here))


def _devices(call: str, index: int) -> list[Rule]:
    return [_refuse([call], _masked(index, seccomp.FILE_TYPE, kind)) for kind in seccomp.DEVICES]


_JUDGED: dict[str, list[Rule]] = {
    "clone3": [_refuse(["clone3"], code=errno.ENOSYS)],
    "clone": list(_namespaces()),
    "ioctl": [_refuse(["ioctl"], _masked(1, 0xFFFFFFFF, each)) for each in seccomp.TERMINAL_REQUESTS],
    "socket": [
        *_families("socket", (*seccomp.FAMILIES, seccomp.NETLINK)),
        _refuse(
            ["socket"],
            _equal(0, seccomp.NETLINK),
            _other(2, seccomp.NETLINK_ROUTE),
            code=errno.EPROTONOSUPPORT,
        ),
    ],
    "socketpair": list(_families("socketpair", (1,))),
    "personality": list(_personalities()),
    "setrlimit": [_refuse(["setrlimit"], _equal(0, seccomp.CORE_LIMIT), code=seccomp.PRETEND)],
    "prlimit64": [
        _refuse(["prlimit64"], _equal(1, seccomp.CORE_LIMIT), _other(2, 0), code=seccomp.PRETEND),
    ],
    "mknod": _devices("mknod", 1),
    "mknodat": _devices("mknodat", 2),
}
