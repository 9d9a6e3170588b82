"""The list of system calls a bottle may not make, as a classic BPF program, without a native library.

A deny list, because coding agents and test suites use nearly everything else. It closes what namespaces leave
open: sockets that belong to no network namespace (vsock), keyrings, io_uring, typing into the host's terminal,
new namespaces, and kernel interfaces with a long history of holes. Numbers are those of the kernel's own tables for
x86_64 and for the generic table that aarch64 uses.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from boatwright import errors

# Classic BPF (linux/bpf_common.h) and seccomp (linux/seccomp.h).
LOAD_WORD = 0x20
JUMP_EQUAL = 0x15
JUMP_AT_LEAST = 0x35
JUMP_ANY_BIT = 0x45
AND = 0x54
RETURN = 0x06
ALLOW = 0x7FFF0000
KILL = 0x80000000
ERRNO = 0x00050000

# Offsets in struct seccomp_data.
NUMBER = 0
ARCHITECTURE = 4


def argument(index: int) -> int:
    """Offset of the low half of a call's argument; little-endian on both machines we know."""
    return 16 + 8 * index


NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
TERMINAL_REQUESTS = (0x5412, 0x541C)  # TIOCSTI types into a terminal, TIOCLINUX does more to a console
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6; AF_NETLINK is let through for NETLINK_ROUTE only
NETLINK, NETLINK_ROUTE = 16, 0
PERSONALITIES = (0, 0xFFFFFFFF)  # plain Linux, and asking which one it is
FILE_TYPE = 0xF000
DEVICES = (0x2000, 0x6000)  # character and block; FIFOs and sockets are ordinary work

CORE_LIMIT = 4  # RLIMIT_CORE: ours is one byte, which keeps even a piped core dump from starting; it stays so
PRETEND = 0  # refused with error 0: the program believes it set it, and goes on

Instruction = tuple[int, int, int, int]
"""(code, jump if true, jump if false, constant)"""


@dataclass(frozen=True, slots=True)
class Machine:
    """One architecture: its audit name, where its second ABI begins, and its call numbers."""

    audit: int
    second_abi: int | None
    denied: Mapping[str, int]
    special: Mapping[str, int]


_NEW = {  # the same number everywhere, from 424 on
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433, "mount_setattr": 442, "quotactl_fd": 443,
    "statmount": 457, "listmount": 458, "open_tree_attr": 467,
}  # fmt: skip

MACHINES: Mapping[str, Machine] = {
    "x86_64": Machine(
        audit=0xC000003E,
        second_abi=0x40000000,  # x32
        denied=_NEW | {
            "uselib": 134, "ustat": 136, "sysfs": 139, "vhangup": 153, "modify_ldt": 154, "pivot_root": 155,
            "_sysctl": 156, "chroot": 161, "acct": 163, "settimeofday": 164, "mount": 165, "umount2": 166,
            "swapon": 167, "swapoff": 168, "reboot": 169, "sethostname": 170, "setdomainname": 171, "iopl": 172,
            "ioperm": 173, "create_module": 174, "init_module": 175, "delete_module": 176, "get_kernel_syms": 177,
            "query_module": 178, "quotactl": 179, "nfsservctl": 180, "syslog": 103, "lookup_dcookie": 212,
            "clock_settime": 227, "vserver": 236, "kexec_load": 246, "add_key": 248, "request_key": 249,
            "keyctl": 250, "unshare": 272, "perf_event_open": 298, "name_to_handle_at": 303,
            "open_by_handle_at": 304, "setns": 308, "kcmp": 312, "finit_module": 313, "kexec_file_load": 320,
            "bpf": 321, "userfaultfd": 323,
        },
        special={
            "ioctl": 16, "socket": 41, "socketpair": 53, "clone": 56, "mknod": 133, "personality": 135,
            "setrlimit": 160, "mknodat": 259, "prlimit64": 302, "clone3": 435,
        },
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        second_abi=None,
        denied=_NEW | {
            "lookup_dcookie": 18, "umount2": 39, "mount": 40, "pivot_root": 41, "nfsservctl": 42, "chroot": 51,
            "vhangup": 58, "quotactl": 60, "acct": 89, "unshare": 97, "kexec_load": 104, "init_module": 105,
            "delete_module": 106, "clock_settime": 112, "syslog": 116, "reboot": 142, "sethostname": 161,
            "setdomainname": 162, "settimeofday": 170, "add_key": 217, "request_key": 218, "keyctl": 219,
            "swapon": 224, "swapoff": 225, "perf_event_open": 241, "name_to_handle_at": 264,
            "open_by_handle_at": 265, "setns": 268, "kcmp": 272, "finit_module": 273, "bpf": 280,
            "userfaultfd": 282, "kexec_file_load": 294,
        },
        special={
            "ioctl": 29, "mknodat": 33, "personality": 92, "setrlimit": 164, "socket": 198, "socketpair": 199,
            "clone": 220, "prlimit64": 261, "clone3": 435,
        },
    ),
}  # fmt: skip


def program(machine: str | None = None) -> bytes:
    """The filter for this machine (or the named one), ready for ``bwrap --seccomp``.

    Raises ``errors.MissingPart`` for an architecture without a table: a bottle is never made without its filter.
    """
    name = machine or platform.machine()
    known = MACHINES.get(name)
    if known is None:
        raise errors.MissingPart(
            f"no table of system calls for the architecture {name}, so a bottle cannot be closed here",
            subject=name,
            next_moves=(f"run on one of: {', '.join(MACHINES)}",),
        )
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in assemble(known))


def assemble(machine: Machine) -> list[Instruction]:
    """The whole program: architecture, second ABI, calls judged by argument, calls denied outright, allow."""
    code = [_load(ARCHITECTURE), (JUMP_EQUAL, 1, 0, machine.audit), (RETURN, 0, 0, KILL), _load(NUMBER)]
    if machine.second_abi is not None:
        code += [(JUMP_AT_LEAST, 0, 1, machine.second_abi), _refuse(errno.ENOSYS)]
    judged = _judged()
    for name, number in sorted(machine.special.items(), key=lambda item: item[1]):
        block = judged[name]
        code += [(JUMP_EQUAL, 0, len(block), number), *block]
    for number in sorted(machine.denied.values()):
        code += [(JUMP_EQUAL, 0, 1, number), _refuse(errno.EPERM)]
    return [*code, (RETURN, 0, 0, ALLOW)]


def _judged() -> dict[str, list[Instruction]]:
    device = [(AND, 0, 0, FILE_TYPE), *_unless(DEVICES, errno.EPERM)]
    return {
        # The C library falls back to clone when clone3 is unknown; its flags lie in memory, where BPF cannot look.
        "clone3": [_refuse(errno.ENOSYS)],
        "clone": [_load(argument(0)), (JUMP_ANY_BIT, 0, 1, NEW_NAMESPACES), _refuse(errno.EPERM), _allow()],
        "ioctl": [_load(argument(1)), *_unless(TERMINAL_REQUESTS, errno.EPERM)],
        "socket": [_load(argument(0)), *_only(FAMILIES), *_netlink()],
        "socketpair": [_load(argument(0)), *_only((1,)), _refuse(errno.EAFNOSUPPORT)],
        "personality": [_load(argument(0)), *_only(PERSONALITIES), _refuse(errno.EPERM)],
        "setrlimit": [_load(argument(0)), *_unless((CORE_LIMIT,), PRETEND)],
        "prlimit64": [
            _load(argument(1)),
            (JUMP_EQUAL, 1, 0, CORE_LIMIT),
            _allow(),
            _load(argument(2)),  # a pointer: nothing is set when both halves are zero
            (JUMP_EQUAL, 0, 2, 0),
            _load(argument(2) + 4),
            (JUMP_EQUAL, 1, 0, 0),
            _refuse(PRETEND),
            _allow(),
        ],
        "mknod": [_load(argument(1)), *device],
        "mknodat": [_load(argument(2)), *device],
    }


def _netlink() -> list[Instruction]:
    return [
        (JUMP_EQUAL, 1, 0, NETLINK),
        _refuse(errno.EAFNOSUPPORT),
        _load(argument(2)),
        *_only((NETLINK_ROUTE,)),
        _refuse(errno.EPROTONOSUPPORT),
    ]


def _only(values: tuple[int, ...]) -> list[Instruction]:
    """Allow when the loaded word is one of these, else go on."""
    return [step for value in values for step in ((JUMP_EQUAL, 0, 1, value), _allow())]


def _unless(values: tuple[int, ...], code: int) -> list[Instruction]:
    """Refuse when the loaded word is one of these, else allow."""
    return [*(step for value in values for step in ((JUMP_EQUAL, 0, 1, value), _refuse(code))), _allow()]


def _load(offset: int) -> Instruction:
    return (LOAD_WORD, 0, 0, offset)


def _refuse(code: int) -> Instruction:
    return (RETURN, 0, 0, ERRNO | code)


def _allow() -> Instruction:
    return (RETURN, 0, 0, ALLOW)
