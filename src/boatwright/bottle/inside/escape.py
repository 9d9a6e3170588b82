"""Tries to get out of the bottle it runs in. Reads its bait as JSON from stdin, prints one JSON object per probe.

Each probe returns a short word of what it got when the way is open, and nothing when it is shut. No probe writes
to anything that is not its own, whatever it finds open. Standard library only: handed in as a file.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import socket
import stat
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
TRUTH = "reached"
Bait = dict[str, Any]
PROBES: dict[int, Callable[[Bait], str]] = {}


def number(x86: int, generic: int) -> int:
    return x86 if X86 else generic


def probe(which: int) -> Callable[[Callable[[Bait], str]], Callable[[Bait], str]]:
    def register(function: Callable[[Bait], str]) -> Callable[[Bait], str]:
        PROBES[which] = function
        return function

    return register


def call(name: str, *arguments: Any) -> int:
    """A C function; its errno, 0 when it went well."""
    ctypes.set_errno(0)
    answer = getattr(libc, name)(*arguments)
    return 0 if answer >= 0 else ctypes.get_errno()


def system(which: int, *arguments: Any) -> int:
    """A system call by number; its errno, 0 when it went well."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return call("syscall", ctypes.c_long(which), *wide)


def readable(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return TRUTH if file.read(1) else ""
    except OSError:
        return ""


def openable(path: str, flags: int) -> str:
    try:
        os.close(os.open(path, flags))
    except OSError:
        return ""
    return TRUTH


def connects(family: int, address: Any, kind: int = socket.SOCK_STREAM) -> str:
    try:
        with socket.socket(family, kind) as wire:
            wire.settimeout(2)
            wire.connect(address)
    except OSError:
        return ""
    return TRUTH


def creates(family: int, kind: int, protocol: int = 0) -> str:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError:
        return ""
    return "socket made"


def status(field: str) -> str:
    with open("/proc/self/status") as file:
        return next(line.split()[1] for line in file if line.startswith(field + ":"))


def everywhere(name: str) -> Iterator[bytes]:
    """The bytes of /proc/*/name for every process that can be seen."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/{name}", "rb") as file:
                yield file.read()
        except OSError:
            continue


@probe(1)
def shadow(bait: Bait) -> str:
    return readable("/etc/shadow")


@probe(2)
def ssh_key(bait: Bait) -> str:
    return readable(bait["key"]) or ("directory" if os.path.isdir("/root/.ssh") else "")


@probe(3)
def host_home(bait: Bait) -> str:
    for home in ("/root", bait["home"]):
        if os.path.isdir(home):
            return home
    return "others" if set(os.listdir("/home")) - {"agent"} else ""


@probe(4)
def secret_in_environment(bait: Bait) -> str:
    return "found" if bait["secret"] in "".join(os.environ.values()) else ""


@probe(5)
def secret_of_others(bait: Bait) -> str:
    return "found" if any(bait["secret"].encode() in each for each in everywhere("environ")) else ""


@probe(6)
def arguments_of_bwrap(bait: Bait) -> str:
    with open("/proc/1/cmdline", "rb") as file:
        seen = file.read()
    return "paths" if bait["state"].encode() in seen or b"\0--bind\0" in seen else ""


@probe(7)
def metadata_service(bait: Bait) -> str:
    return connects(socket.AF_INET, ("169.254.169.254", 80))


@probe(8)
def udp_out(bait: Bait) -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.sendto(b"x", ("192.0.2.53", 53))
    except OSError:
        return ""
    return "sent"


@probe(9)
def host_loopback(bait: Bait) -> str:
    return connects(socket.AF_INET, ("127.0.0.1", bait["tcp"]))


@probe(10)
def host_abstract_socket(bait: Bait) -> str:
    return connects(socket.AF_UNIX, "\0" + bait["abstract"])


@probe(11)
def host_socket_file(bait: Bait) -> str:
    places = (bait["socket"], "/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket")
    return next((place for place in places if connects(socket.AF_UNIX, place)), "")


@probe(12)
def vsock(bait: Bait) -> str:
    return creates(40, socket.SOCK_STREAM)


@probe(13)
def vsock_to_host(bait: Bait) -> str:
    return connects(40, (1, bait["tcp"])) if creates(40, socket.SOCK_STREAM) else ""


@probe(14)
def raw_icmp(bait: Bait) -> str:
    return creates(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)


@probe(15)
def packet(bait: Bait) -> str:
    return creates(17, socket.SOCK_RAW, 0x0300)


@probe(16)
def kernel_crypto(bait: Bait) -> str:
    return creates(38, socket.SOCK_SEQPACKET)


@probe(17)
def host_processes(bait: Bait) -> str:
    return "seen" if any(bait["marker"].encode() in each for each in everywhere("cmdline")) else ""


@probe(18)
def trace_first_process(bait: Bait) -> str:
    return "" if call("ptrace", 0x4206, 1, None, None) else "attached"


@probe(19)
def signal_host_process(bait: Bait) -> str:
    try:
        os.kill(bait["pid"], 0)
    except OSError:
        return ""
    return TRUTH


@probe(20)
def mount(bait: Bait) -> str:
    return "" if call("mount", b"none", b"/tmp", b"tmpfs", 0, None) else "mounted"


@probe(21)
def nested_user_namespace(bait: Bait) -> str:
    return in_child(lambda: call("unshare", 0x10000000) == 0)


@probe(22)
def mount_in_nested(bait: Bait) -> str:
    return in_child(
        lambda: call("unshare", 0x10020000) == 0 and call("mount", b"none", b"/tmp", b"tmpfs", 0, None) == 0
    )


@probe(23)
def remount_root(bait: Bait) -> str:
    return "" if call("mount", b"none", b"/", None, 0x1020, None) else "remounted"


@probe(24)
def session_keyring(bait: Bait) -> str:
    return "" if system(number(250, 219), 0, -3, 0) else "named"


@probe(25)
def add_key(bait: Bait) -> str:
    return "" if system(number(248, 217), b"user", b"probe", b"x", 1, -2) else "added"


@probe(26)
def bpf(bait: Bait) -> str:
    return reached(system(number(321, 280), 5, ctypes.create_string_buffer(128), 128))


@probe(27)
def perf(bait: Bait) -> str:
    attributes = ctypes.create_string_buffer(struct.pack("<IIQ", 1, 128, 0), 128)
    return "opened" if system(number(298, 241), attributes, 0, -1, -1, 0) == 0 else ""


@probe(28)
def userfaultfd(bait: Bait) -> str:
    return "opened" if system(number(323, 282), 1) == 0 else ""


@probe(29)
def io_uring(bait: Bait) -> str:
    return reached(system(425, 1, ctypes.create_string_buffer(120)))


@probe(30)
def open_by_handle(bait: Bait) -> str:
    return reached(system(number(304, 265), -100, ctypes.create_string_buffer(64), 0))


@probe(31)
def kernel_messages(bait: Bait) -> str:
    return openable("/dev/kmsg", os.O_RDONLY)


@probe(32)
def syslog(bait: Bait) -> str:
    return "read" if call("klogctl", 3, ctypes.create_string_buffer(64), 64) == 0 else ""


@probe(33)
def sysrq(bait: Bait) -> str:
    return openable("/proc/sysrq-trigger", os.O_WRONLY)


@probe(34)
def core_pattern(bait: Bait) -> str:
    return openable("/proc/sys/kernel/core_pattern", os.O_WRONLY)


@probe(35)
def kernel_memory(bait: Bait) -> str:
    return readable("/proc/kcore")


@probe(36)
def kernel_addresses(bait: Bait) -> str:
    try:
        with open("/proc/kallsyms") as file:
            return "shown" if any(line.split()[0].strip("0") for line in file) else ""
    except OSError:
        return ""


@probe(37)
def system_tree(bait: Bait) -> str:
    return "listed" if os.path.isdir("/sys") and os.listdir("/sys") else ""


@probe(38)
def control_groups(bait: Bait) -> str:
    return openable("/sys/fs/cgroup/cgroup.procs", os.O_WRONLY)


@probe(39)
def raw_disk(bait: Bait) -> str:
    with open("/proc/partitions") as file:
        names = [line.split()[3] for line in file.readlines()[2:]]
    return next((name for name in names if openable(f"/dev/{name}", os.O_RDONLY)), "")


@probe(40)
def make_block_device(bait: Bait) -> str:
    return made_device(stat.S_IFBLK) or made_device(stat.S_IFCHR)


@probe(41)
def kvm(bait: Bait) -> str:
    return openable("/dev/kvm", os.O_RDWR)


@probe(42)
def set_uid_gains(bait: Bait) -> str:
    return "" if status("NoNewPrivs") == "1" else "not set"


@probe(43)
def set_uid_files(bait: Bait) -> str:
    for name in os.listdir("/usr/bin"):
        try:
            if os.lstat(f"/usr/bin/{name}").st_mode & stat.S_ISUID:
                return name
        except OSError:
            continue
    return ""


@probe(44)
def no_seccomp(bait: Bait) -> str:
    return "" if status("Seccomp") == "2" else "no filter"


@probe(45)
def capabilities(bait: Bait) -> str:
    return "".join(status(name).strip("0") for name in ("CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"))


@probe(46)
def write_etc(bait: Bait) -> str:
    return next((place for place in ("/etc", "/usr", "/", "/run") if made_file(place)), "")


@probe(47)
def write_home(bait: Bait) -> str:
    return next((place for place in (bait["home"], "/root") if made_file(place)), "")


@probe(48)
def link_host_file(bait: Bait) -> str:
    for source in ("/etc/services", "/usr/bin/env", "/etc/passwd"):
        try:
            os.link(source, "/workspace/.probe-link")
        except OSError:
            continue
        os.unlink("/workspace/.probe-link")
        return source
    return ""


@probe(49)
def corrupt_shown_repository(bait: Bait) -> str:
    attempts: tuple[Callable[[], object], ...] = (
        lambda: os.open("/shown/object", os.O_WRONLY),
        lambda: os.chmod("/shown/object", 0o666),
        lambda: os.link("/shown/object", "/workspace/.probe-object"),
        lambda: os.unlink("/shown/object"),
    )
    for attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        return "changed"
    return ""


@probe(53)
def fill_tmp(bait: Bait) -> str:
    return fills("/tmp", 300)


@probe(54)
def fill_shm(bait: Bait) -> str:
    return fills("/dev/shm", 300)


@probe(57)
def type_into_terminal(bait: Bait) -> str:
    for request in (0x5412, 0x541C):
        try:
            fcntl.ioctl(0, request, b"\n")
        except OSError as error:
            if error.errno == errno.EPERM:
                continue
        return "ioctl reached"
    return openable("/dev/tty", os.O_RDWR)


@probe(58)
def inherited_descriptors(bait: Bait) -> str:
    held = []
    for name in os.listdir("/proc/self/fd"):
        try:
            held.append((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the listing's own
    return ", ".join(
        target for descriptor, target in held if descriptor > 2 and not target.startswith("/proc/")
    )


@probe(59)
def core_helper(bait: Bait) -> str:
    with open("/proc/sys/kernel/core_pattern") as file:
        helper = file.read().startswith("|")
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A limit of exactly one byte is the kernel's word for: no dump, not even to a helper.
    return (
        "started for a crash in here" if helper and resource.getrlimit(resource.RLIMIT_CORE)[0] != 1 else ""
    )


@probe(60)
def replace_wire(bait: Bait) -> str:
    attempts: tuple[Callable[[], object], ...] = (
        lambda: os.unlink("/run/boatwright/wire.sock"),
        lambda: os.rename("/run/boatwright/wire.sock", "/run/boatwright/other"),
        lambda: os.mkdir("/run/boatwright/new"),
        lambda: os.rename("/run/boatwright", "/run/other"),
    )
    for attempt in attempts:
        try:
            attempt()
        except OSError:
            continue
        return "replaced"
    return ""


@probe(61)
def host_paths(bait: Bait) -> str:
    with open("/proc/self/mountinfo") as file:
        return "mountinfo" if bait["state"] in file.read() else ""


@probe(62)
def kernel_command_line(bait: Bait) -> str:
    return readable("/proc/cmdline")


@probe(63)
def shared_memory(bait: Bait) -> str:
    libc.shmat.restype = ctypes.c_void_p
    return "" if libc.shmat(bait["shm"], None, 0o10000) in (None, ctypes.c_void_p(-1).value) else "attached"


@probe(64)
def enter_namespace(bait: Bait) -> str:
    try:
        descriptor = os.open("/proc/1/ns/net", os.O_RDONLY)
    except OSError:
        return ""
    return "" if call("setns", descriptor, 0) else "entered"


@probe(65)
def change_root(bait: Bait) -> str:
    return "" if call("chroot", b"/") else "changed"


@probe(69)
def wire_port(bait: Bait) -> str:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mine:
            mine.bind(("127.0.0.1", 8080))
            mine.listen()
    except OSError:
        return ""
    return "taken, by the bottle from itself"


@probe(70)
def host_clock(bait: Bait) -> str:
    """Times no clock can take: who may set it is told that they are wrong, everybody else is shut out first."""
    wrong = struct.pack("<qq", 0, 2_000_000_000)
    setting = (
        system(number(227, 112), 0, ctypes.create_string_buffer(wrong, 16)),
        system(number(164, 170), ctypes.create_string_buffer(wrong, 16), None),
        system(number(159, 171), ctypes.create_string_buffer(struct.pack("<I", 0x4000), 256)),
    )
    return next(filter(None, map(reached, setting)), "")


def reached(code: int) -> str:
    """Open when the call exists and refuses for a reason of its own."""
    return "" if code in (errno.EPERM, errno.ENOSYS, errno.EACCES) else errno.errorcode.get(code, "done")


def in_child(attempt: Callable[[], bool]) -> str:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if attempt() else 1)
    return TRUTH if os.waitpid(pid, 0)[1] == 0 else ""


def made_file(place: str) -> str:
    path = os.path.join(place, ".boatwright-probe")
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    except OSError:
        return ""
    os.unlink(path)
    return TRUTH


def made_device(kind: int) -> str:
    try:
        os.mknod("/tmp/.probe-device", kind | 0o600, os.makedev(1, 3))
    except OSError:
        return ""
    os.unlink("/tmp/.probe-device")
    return "made"


def fills(place: str, megabytes: int) -> str:
    path = os.path.join(place, ".probe-fill")
    chunk = b"\0" * (1 << 20)
    try:
        with open(path, "wb", buffering=0) as file:
            for _ in range(megabytes):
                if file.write(chunk) < len(chunk):
                    return ""
    except OSError:
        return ""
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return f"{megabytes} MB"


def main() -> None:
    bait = json.load(sys.stdin)
    for which, function in sorted(PROBES.items()):
        try:
            got = function(bait)
        except Exception as error:  # noqa: BLE001 - a probe that breaks must not read as a door that is shut
            print(json.dumps({"probe": which, "error": f"{type(error).__name__}: {error}"}), flush=True)
            continue
        print(json.dumps({"probe": which, "got": got}), flush=True)


if __name__ == "__main__":
    main()
