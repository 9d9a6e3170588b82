"""The filter, run call by call through a small BPF machine, for each architecture it knows."""

from __future__ import annotations

import errno
import platform
import struct

import pytest

from boatwright import errors
from boatwright.bottle import seccomp
from boatwright.bottle.seccomp import ALLOW, KILL, MACHINES

ALLOWED = "allowed"
KILLED = "killed"
PRETENDED = "pretended"


def judge(machine: str, number: int, *arguments: int, audit: int | None = None) -> str:
    """What the filter says of one call: allowed, killed, pretended, or the name of an errno."""
    known = MACHINES[machine]
    padded = (*arguments, *([0] * (6 - len(arguments))))
    masked = [each & 0xFFFF_FFFF_FFFF_FFFF for each in padded]
    data = struct.pack(
        "<iIQ6Q", number if number < 1 << 31 else number - (1 << 32), audit or known.audit, 0, *masked
    )
    code = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    answer = interpret(code, data)
    if answer == ALLOW:
        return ALLOWED
    if answer == KILL:
        return KILLED
    assert answer & 0xFFFF0000 == 0x00050000, hex(answer)
    return errno.errorcode[answer & 0xFFFF] if answer & 0xFFFF else PRETENDED


def interpret(code: list[tuple[int, ...]], data: bytes) -> int:
    """Classic BPF as the kernel runs it: one accumulator, forward jumps only."""
    at = accumulator = 0
    for _ in range(len(code) + 1):
        operation, true, false, constant = code[at]
        at += 1
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, constant)
        elif operation == 0x54:
            accumulator &= constant
        elif operation == 0x15:
            at += true if accumulator == constant else false
        elif operation == 0x35:
            at += true if accumulator >= constant else false
        elif operation == 0x45:
            at += true if accumulator & constant else false
        elif operation == 0x06:
            return constant
        else:
            raise AssertionError(f"unknown operation {operation:#x}")
    raise AssertionError("the program does not end")


MACHINE = pytest.mark.parametrize("machine", sorted(MACHINES))
CLONE_THREAD = 0x3D0F00  # what a C library passes to make a thread
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK = 1, 2, 10, 16, 17, 38, 40


@MACHINE
@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("clone", (CLONE_THREAD,), ALLOWED),
        ("clone", (17,), ALLOWED),  # fork
        ("clone", (0x10000000 | 17,), "EPERM"),  # a user namespace
        ("clone", (0x00020000,), "EPERM"),  # a mount namespace
        ("clone", (0x40000000,), "EPERM"),  # a network namespace
        ("clone", (0x02000000,), "EPERM"),  # a cgroup namespace
        ("clone3", (), "ENOSYS"),
        ("ioctl", (0, 0x5401), ALLOWED),  # TCGETS
        ("ioctl", (0, 0x5412), "EPERM"),  # TIOCSTI
        ("ioctl", (0, 0x541C), "EPERM"),  # TIOCLINUX
        ("ioctl", (0, 0xFFFFFFFF_00005412), "EPERM"),  # the kernel reads the low half only: so do we
        ("socket", (AF_UNIX, 1, 0), ALLOWED),
        ("socket", (AF_INET, 1, 6), ALLOWED),
        ("socket", (AF_INET6, 2, 17), ALLOWED),
        ("socket", (AF_NETLINK, 3, 0), ALLOWED),  # what lists the addresses of this host
        ("socket", (AF_NETLINK, 3, 12), "EPROTONOSUPPORT"),  # netfilter
        ("socket", (AF_PACKET, 3, 0), "EAFNOSUPPORT"),
        ("socket", (AF_ALG, 5, 0), "EAFNOSUPPORT"),
        ("socket", (AF_VSOCK, 1, 0), "EAFNOSUPPORT"),
        ("socket", (0xFFFFFFFF_00000028, 1, 0), "EAFNOSUPPORT"),
        ("socketpair", (AF_UNIX, 1, 0), ALLOWED),
        ("socketpair", (30, 1, 0), "EAFNOSUPPORT"),
        ("personality", (0,), ALLOWED),
        ("personality", (0xFFFFFFFF,), ALLOWED),
        ("personality", (0x0040000,), "EPERM"),  # ADDR_NO_RANDOMIZE
        ("mknodat", (-100, 0, 0o010644), ALLOWED),  # a FIFO
        ("mknodat", (-100, 0, 0o140644), ALLOWED),  # a socket
        ("mknodat", (-100, 0, 0o100644), ALLOWED),
        ("mknodat", (-100, 0, 0o060644), "EPERM"),  # a block device
        ("mknodat", (-100, 0, 0o020644), "EPERM"),  # a character device
        ("setrlimit", (7, 1), ALLOWED),
        ("setrlimit", (4, 1), PRETENDED),
        ("prlimit64", (0, 7, 1, 0), ALLOWED),
        ("prlimit64", (0, 4, 0, 1), ALLOWED),  # only asks
        ("prlimit64", (0, 4, 1, 0), PRETENDED),
        ("prlimit64", (0, 4, 0x7FFF_0000_0000, 0), PRETENDED),
    ],
)
def test_calls_judged_by_their_arguments(
    machine: str, name: str, arguments: tuple[int, ...], answer: str
) -> None:
    assert judge(machine, MACHINES[machine].special[name], *arguments) == answer


@MACHINE
def test_every_denied_call_is_refused(machine: str) -> None:
    for name, number in MACHINES[machine].denied.items():
        assert judge(machine, number, 1, 2, 3) == "EPERM", name


ORDINARY = {
    "x86_64": {"read": 0, "write": 1, "mmap": 9, "fork": 57, "vfork": 58, "execve": 59, "openat": 257, "ptrace": 101,
               "getrandom": 318, "statx": 332, "pidfd_open": 434, "openat2": 437, "landlock_create_ruleset": 444},
    "aarch64": {"read": 63, "write": 64, "mmap": 222, "execve": 221, "openat": 56, "ptrace": 117, "getrandom": 278,
                "statx": 291, "pidfd_open": 434, "openat2": 437, "landlock_create_ruleset": 444},
}  # fmt: skip


@MACHINE
def test_ordinary_work_is_allowed(machine: str) -> None:
    for name, number in ORDINARY[machine].items():
        assert judge(machine, number) == ALLOWED, name


@MACHINE
def test_another_architecture_is_killed(machine: str) -> None:
    assert judge(machine, 0, audit=0x40000003) == KILLED  # i386 on x86_64: its numbers mean other calls


def test_the_second_abi_of_x86_does_not_exist() -> None:
    assert judge("x86_64", 0x40000000) == "ENOSYS"
    assert judge("x86_64", 0x40000000 + 165) == "ENOSYS"
    assert judge("x86_64", 0xFFFFFFFF) == "ENOSYS"


def test_mknod_of_x86() -> None:
    number = MACHINES["x86_64"].special["mknod"]
    assert judge("x86_64", number, 0, 0o010644) == ALLOWED
    assert judge("x86_64", number, 0, 0o060644) == "EPERM"


@MACHINE
def test_the_program_is_well_formed(machine: str) -> None:
    """Within the kernel's limit, jumps forward and inside, ends in a return: what its verifier asks."""
    code = list(struct.iter_unpack("<HBBI", seccomp.program(machine)))
    assert len(code) < 4096
    for at, (operation, true, false, _) in enumerate(code):
        if operation & 7 == 5:
            assert at + 1 + max(true, false) < len(code)
    assert code[-1][0] == seccomp.RETURN


def test_both_machines_deny_the_same_but_for_what_only_one_has() -> None:
    x86, arm = (set(MACHINES[each].denied) | set(MACHINES[each].special) for each in ("x86_64", "aarch64"))
    assert arm <= x86
    old = {"uselib", "ustat", "sysfs", "modify_ldt", "_sysctl", "iopl", "ioperm", "create_module", "get_kernel_syms",
           "query_module", "vserver", "mknod"}  # fmt: skip
    assert x86 - arm == old


def test_an_unknown_architecture_is_a_missing_part() -> None:
    with pytest.raises(errors.MissingPart, match="pdp11"):
        seccomp.program("pdp11")


def test_this_machine_is_known() -> None:
    assert seccomp.program() == seccomp.program(platform.machine())
