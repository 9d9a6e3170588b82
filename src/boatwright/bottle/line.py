"""The hardened line: one bottle as arguments and descriptors of bwrap.

Every argument travels through ``--args`` so that nothing of the host shows in the command line inside; every
file of ours is handed over as data on a descriptor, so that no path of ours is bound.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from boatwright.bottle import launcher
from boatwright.bottle.binary import Bwrap
from boatwright.bottle.protocol import HOME, WORKSPACE, Bind
from boatwright.bottle.toolchain import Toolchain
from boatwright.bottle.uids import refuse_root
from boatwright.values.process import Limits

UID = GID = 1000
"""Who the bottle's processes are inside; outside they are the bottle's own uid."""
WIRE = PurePosixPath("/run/boatwright")
FORWARDER = PurePosixPath("/run/forwarder.py")
USR = PurePosixPath("/usr")
SMALL, TEMPORARY = 64 << 20, 256 << 20

PASSWD = (
    b"root:x:0:0:root:/:/usr/sbin/nologin\n"
    b"agent:x:1000:1000:agent:/home/agent:/bin/sh\n"
    b"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
)
GROUP = b"root:x:0:\nagent:x:1000:\nnogroup:x:65534:\n"
HOSTS = b"127.0.0.1 localhost bottle\n::1 localhost\n"
SWITCH = b"passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"


_Data = Callable[[bytes, str], str]
"""Opens bytes as a descriptor the child inherits and gives its number."""


@dataclass(frozen=True, slots=True)
class Line:
    """Everything that decides how one process is started in a bottle."""

    bwrap: Bwrap
    toolchain: Toolchain
    uid: int
    workspace: Path
    home: Path
    cwd: PurePosixPath
    environment: Mapping[str, str]
    limits: Limits
    seccomp: bytes
    binds: Sequence[Bind] = ()
    packages: Path | None = None
    """A directory that lies under the host's /usr: what both have is the host's."""
    wire: Path | None = None
    forwarder: bytes | None = None
    capabilities: Sequence[str] = ()
    """Kept inside, in the bottle's own user namespace only, for a program of ours that runs nothing of the bottle's."""
    command: Sequence[str] = field(default=("true",))

    @property
    def program(self) -> Path:
        """What makes the bottle, for people who look for it when it does not start."""
        return self.bwrap.path

    def opened(self, *, status: int) -> contextlib.AbstractContextManager[Opened]:
        return opened(self, status=status)


@dataclass(frozen=True, slots=True)
class Opened:
    """A line with its descriptors open: the argv to start, what it must inherit, and the starter's own variables."""

    argv: tuple[str, ...]
    descriptors: tuple[int, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def opened(line: Line, *, status: int) -> Iterator[Opened]:
    """The argv of ``line``; its descriptors close when the block ends. ``status`` takes bwrap's JSON status."""
    refuse_root(line.uid)
    with contextlib.ExitStack() as stack:
        held: list[int] = []

        def data(content: bytes, name: str) -> str:
            descriptor = _memory(content, name)
            stack.callback(os.close, descriptor)
            held.append(descriptor)
            return str(descriptor)

        arguments = [
            *_namespaces(line),
            "--json-status-fd", str(status),
            "--seccomp", data(line.seccomp, "seccomp"),
            *_environment(line),
            *_root(line),
            *_data("/etc/passwd", data(PASSWD, "passwd")),
            *_data("/etc/group", data(GROUP, "group")),
            *_data("/etc/hosts", data(HOSTS, "hosts")),
            *_data("/etc/nsswitch.conf", data(SWITCH, "nsswitch")),
            *_kernel(data(b"", "cmdline")),
            *_writable(line),
            *_wire(line, data),
            *_binds(line.binds),
            "--remount-ro", "/", "--chdir", str(line.cwd),
        ]  # fmt: skip
        packed = data(b"".join(os.fsencode(each) + b"\0" for each in arguments), "args")
        argv = (
            *launcher.drop(line.bwrap.path, line.uid),
            str(line.bwrap.path),
            "--args",
            packed,
            "--",
            *_inner(line),
        )
        yield Opened(argv, (*held, status))


def _namespaces(line: Line) -> list[str]:
    closed = ["--disable-userns"] if line.bwrap.closes_user_namespaces else []
    return [
        "--unshare-all", "--unshare-user", "--uid", str(UID), "--gid", str(GID), *closed, "--cap-drop", "ALL",
        *(part for each in line.capabilities for part in ("--cap-add", each)),
        "--die-with-parent", "--new-session", "--hostname", "bottle", "--clearenv",
    ]  # fmt: skip


def _environment(line: Line) -> Iterator[str]:
    base = {
        "PATH": line.toolchain.path,
        "HOME": str(HOME),
        "USER": "agent",
        "LOGNAME": "agent",
        "SHELL": "/bin/sh",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "TMPDIR": "/tmp",  # noqa: S108 - the bottle's own
    }
    for name, value in {**base, **line.environment}.items():
        yield from ("--setenv", name, value)


def _root(line: Line) -> Iterator[str]:
    yield from ("--size", str(SMALL), "--tmpfs", "/", "--dir", "/etc", "--perms", "0755", "--dir", "/run")
    for bind in line.toolchain.binds:
        if line.packages is not None and bind.target == USR:
            # The later source lies on top: nothing that was fetched stands in for a program of the host.
            yield from (
                "--overlay-src",
                str(line.packages),
                "--overlay-src",
                str(bind.source),
                "--ro-overlay",
                str(USR),
            )
        else:
            yield from ("--ro-bind-try", str(bind.source), str(bind.target))
    for target, place in line.toolchain.links:
        yield from ("--symlink", target, place)


def _kernel(empty: str) -> list[str]:
    # The kernel's own command line names the host's disks and more; an empty file lies over it.
    return [
        "--proc", "/proc", "--ro-bind-data", empty, "/proc/cmdline",
        "--dev", "/dev", "--size", str(SMALL), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",  # noqa: S108 - its own
    ]  # fmt: skip


def _writable(line: Line) -> list[str]:
    room = max(SMALL, min(TEMPORARY, line.limits.memory_bytes // 4))
    return [
        "--perms", "1777", "--size", str(room), "--tmpfs", "/tmp",  # noqa: S108 - its own
        "--bind", str(line.home), str(HOME), "--bind", str(line.workspace), str(WORKSPACE),
    ]  # fmt: skip


def _wire(line: Line, data: _Data) -> list[str]:
    """The directory, not the socket: a proxy that restarts makes a new socket, and a bound file would stay dead."""
    if line.wire is None or line.forwarder is None:
        return []
    return [
        "--ro-bind", str(line.wire), str(WIRE),
        *_data(str(FORWARDER), data(line.forwarder, "forwarder")),
    ]  # fmt: skip


def _binds(binds: Sequence[Bind]) -> Iterator[str]:
    for bind in binds:
        yield from ("--bind" if bind.writable else "--ro-bind", str(bind.source), str(bind.target))


def _inner(line: Line) -> tuple[str, ...]:
    command = tuple(line.command)
    if line.wire is not None and line.forwarder is not None:
        command = (line.toolchain.python or "python3", "-I", "-S", str(FORWARDER), "--", *command)
    return launcher.limit(command, line.limits)


def _data(place: str, descriptor: str) -> list[str]:
    return ["--perms", "0644", "--ro-bind-data", descriptor, place]


def _memory(content: bytes, name: str) -> int:
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
