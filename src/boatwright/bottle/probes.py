"""The escape probes: every known way out of a bottle is tried on this machine, with bait laid out on the host's side.

``boatwright bottle verify`` prints the table. A way that is open and dangerous fails it; five are open by nature and
give nothing away that matters; the host's duties are done for real (:mod:`boatwright.bottle.duties`). Numbers 1 to 65
are those of the catalogue that was measured before there was any code; later ones were added since.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from boatwright.bottle import duties, inside
from boatwright.bottle.protocol import Bind, BottleSpec
from boatwright.rules import plain
from boatwright.values.process import Limit, Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.host import HostBackend, HostBottle


class Kind(StrEnum):
    DANGEROUS = "dangerous"  # must be shut
    BENIGN = "benign"  # may be open: gives away nothing that helps
    LIMIT = "limit"  # must be ended by the named limit
    HOST = "host's side"  # nothing a bottle can shut; our own code must not fall for it


class Outcome(StrEnum):
    SHUT = "shut"
    OPEN = "open"
    FAILED = "could not be tried"


@dataclass(frozen=True, slots=True)
class Probe:
    number: int
    what: str
    kind: Kind = Kind.DANGEROUS
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe on this machine. ``fine`` is what verify asks for: shut, or open where that is benign."""

    probe: Probe
    outcome: Outcome
    detail: str = ""

    @property
    def fine(self) -> bool:
        if self.outcome is Outcome.OPEN:
            return self.probe.kind is Kind.BENIGN
        return self.outcome is not Outcome.FAILED


PROBES: tuple[Probe, ...] = (
    Probe(1, "read the host's password hashes"),
    Probe(2, "read a private key of the host"),
    Probe(3, "list a home directory of the host"),
    Probe(4, "find a secret of the host in its own environment"),
    Probe(5, "find a secret of the host in another process's environment"),
    Probe(6, "read how bwrap was started"),
    Probe(7, "reach a cloud's metadata service"),
    Probe(8, "send a datagram out"),
    Probe(9, "reach a port on the host's loopback"),
    Probe(10, "reach an abstract socket of the host"),
    Probe(11, "reach a socket file of the host (container engine, message bus, key agent)"),
    Probe(12, "make a vsock socket, which no network namespace holds"),
    Probe(13, "reach a host listener over vsock"),
    Probe(14, "make a raw ICMP socket"),
    Probe(15, "make a packet socket"),
    Probe(16, "make a kernel crypto socket"),
    Probe(17, "see processes of the host"),
    Probe(18, "trace the first process of the bottle", Kind.BENIGN, "its own bwrap, same uid, inside"),
    Probe(19, "signal a process of the host"),
    Probe(20, "mount a file system"),
    Probe(21, "make a user namespace of its own"),
    Probe(22, "mount inside a namespace of its own"),
    Probe(23, "remount the root writable"),
    Probe(24, "use the host's session keyring"),
    Probe(25, "add a key to a keyring"),
    Probe(26, "load a BPF program"),
    Probe(27, "open performance counters"),
    Probe(28, "handle page faults in user space"),
    Probe(29, "use io_uring"),
    Probe(30, "open files by handle"),
    Probe(31, "read the kernel's messages from /dev/kmsg"),
    Probe(32, "read the kernel's messages by syslog"),
    Probe(33, "trigger a magic system request"),
    Probe(34, "write the core pattern, which names a program that root runs"),
    Probe(35, "read the kernel's memory"),
    Probe(36, "learn the kernel's addresses"),
    Probe(37, "list /sys"),
    Probe(38, "move between control groups"),
    Probe(39, "read a disk of the host"),
    Probe(40, "make a device file"),
    Probe(41, "open /dev/kvm"),
    Probe(42, "gain by a set-uid program"),
    Probe(43, "see set-uid programs", Kind.BENIGN, "they give nothing: no_new_privs and nosuid"),
    Probe(44, "run without a system call filter"),
    Probe(45, "hold a capability"),
    Probe(46, "write to the system's directories"),
    Probe(47, "write to a home directory of the host"),
    Probe(48, "hard-link a file of the host into the workspace"),
    Probe(49, "change a repository of the host that is shown to it"),
    Probe(50, "make the host follow a link in the workspace", Kind.HOST),
    Probe(51, "make the host's git run planted code", Kind.HOST),
    Probe(52, "fill the disk", Kind.LIMIT),
    Probe(53, "fill memory through /tmp"),
    Probe(54, "fill memory through /dev/shm"),
    Probe(55, "fork without end", Kind.LIMIT),
    Probe(56, "take memory without end", Kind.LIMIT),
    Probe(57, "type into the host's terminal"),
    Probe(58, "use a descriptor left open"),
    Probe(59, "start the host's core dump helper"),
    Probe(60, "replace the wire"),
    Probe(61, "learn paths of the host from the mount table", Kind.BENIGN, "the names in it say nothing"),
    Probe(62, "read the kernel's command line", Kind.BENIGN, "names disks; an empty file lies over it"),
    Probe(63, "attach shared memory of the host"),
    Probe(64, "enter another namespace"),
    Probe(65, "change its root directory"),
    Probe(66, "upset the host by names no file should have", Kind.HOST),
    Probe(67, "slip a .git in under another spelling", Kind.HOST),
    Probe(68, "write outside when an archive of it is thawed", Kind.HOST),
    Probe(69, "take the port where the wire is found", Kind.BENIGN, "its own loopback; no key comes there"),
    Probe(70, "set the host's clock"),
    Probe(71, "command a terminal, or forge a line of a log, by what it prints", Kind.HOST),
    Probe(72, "make the host visit a submodule", Kind.HOST),
)
CATALOGUE = range(1, 66)

_BOMBS: dict[int, tuple[Limit, Limits, str]] = {
    52: (
        Limit.DISK,
        Limits(wall_seconds=60, disk_bytes=16 << 20),
        "while :; do dd if=/dev/zero of=f$((n += 1)) bs=1M count=4 2>/dev/null || exit 1; done",
    ),
    55: (
        Limit.PIDS,
        Limits(wall_seconds=60, pids=48),
        "while :; do sleep 60 & done",
    ),
    56: (
        Limit.MEMORY,
        Limits(wall_seconds=60, memory_bytes=192 << 20),
        'python3 -I -S -c "kept = []\nwhile True: kept.append(bytearray(8 << 20))"',
    ),
}


async def run(backend: HostBackend, show: duties.Show = plain.name) -> list[ProbeResult]:
    """Every probe against a bottle of ``backend``, in the order of the table. Leaves nothing behind.

    ``show`` is how the words of a bottle get onto a terminal: it is one of the things that are tried.
    """
    slug = f"verify-{os.urandom(6).hex()}"
    bottle = await backend.create(BottleSpec(slug, "verify"))
    try:
        with _bait(bottle) as bait:
            tried = await _try(bottle, bait)
            for number, (limit, limits, script) in _BOMBS.items():
                tried[number] = await _bomb(bottle, limit, limits, script)
            desk = duties.Desk(backend, bottle, bait.place, bait.told["secret"], show)
            for number, got in (await duties.run(desk)).items():
                tried[number] = _both(tried.get(number), got)
        return [_result(probe, tried.get(probe.number)) for probe in PROBES]
    finally:
        await asyncio.shield(asyncio.ensure_future(backend.destroy(slug)))


def _both(inside: tuple[Outcome, str] | None, got: str | None) -> tuple[Outcome, str]:
    """A way that is tried from both sides is shut where both found it so."""
    if inside is not None and inside[0] is not Outcome.SHUT:
        return inside
    if got is None:
        return Outcome.FAILED, "the host's side gave no answer"
    return (Outcome.OPEN if got else Outcome.SHUT), got


def _result(probe: Probe, tried: tuple[Outcome, str] | None) -> ProbeResult:
    outcome, detail = tried or (Outcome.FAILED, "it gave no answer")
    return ProbeResult(probe, outcome, detail)


@dataclass(frozen=True, slots=True)
class Bait:
    """What is laid out in ``place``: ``told`` goes inside, ``binds`` show the two directories a bottle may see."""

    place: Path
    told: dict[str, Any]
    binds: tuple[Bind, ...]


async def _try(bottle: HostBottle, bait: Bait) -> dict[int, tuple[Outcome, str]]:
    source = inside.program("escape")
    done = await bottle.exec(
        ("python3", "-I", "-S", "-c", source),
        stdin=json.dumps(bait.told).encode(),
        binds=bait.binds,
        separate_stdout=True,
        limits=Limits(wall_seconds=120),
    )
    found: dict[int, tuple[Outcome, str]] = {}
    for line in done.stdout.splitlines():
        told = json.loads(line)
        if "error" in told:
            found[told["probe"]] = (Outcome.FAILED, told["error"])
        else:
            found[told["probe"]] = (Outcome.OPEN if told["got"] else Outcome.SHUT, told["got"])
    return found


async def _bomb(bottle: HostBottle, limit: Limit, limits: Limits, script: str) -> tuple[Outcome, str]:
    done = await bottle.exec(("/bin/sh", "-c", script), limits=limits)
    await bottle.exec(("/bin/sh", "-c", "rm -f f*"))
    if done.limit is limit:
        return Outcome.SHUT, f"ended by the limit '{limit}'"
    return Outcome.OPEN, f"ended by {done.limit or f'exit code {done.exit_code}'}"


@contextlib.contextmanager
def _bait(bottle: HostBottle) -> Iterator[Bait]:
    """Lay out what a bottle must not reach: sockets, a process, a key, a secret, shared memory, an open directory."""
    token = os.urandom(8).hex()
    with contextlib.ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="bait-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        place.chmod(0o711)
        (place / "home").mkdir(mode=0o755)
        _file(place / "home" / "key", token)
        shown, wire = place / "shown", place / "wire"
        shown.mkdir(mode=0o755)
        _file(shown / "object", token)
        wire.mkdir(mode=0o755)
        _listening(stack, socket.AF_UNIX, str(wire / "wire.sock"))
        _listening(stack, socket.AF_UNIX, str(place / "host.sock"))
        _listening(stack, socket.AF_UNIX, f"\0{token}")
        loopback = _listening(stack, socket.AF_INET, ("127.0.0.1", 0))
        process = _process(stack, token)
        _open_directory(stack)
        told = {
            "abstract": token,
            "home": str(place / "home"),
            "key": str(place / "home" / "key"),
            "marker": token,
            "pid": process,
            "secret": token,
            "shm": _shared_memory(stack),
            "socket": str(place / "host.sock"),
            "state": str(bottle.place.root.parent.parent),
            "tcp": loopback.getsockname()[1],
        }
        yield Bait(
            place, told, (Bind(shown, PurePosixPath("/shown")), Bind(wire, PurePosixPath("/run/boatwright")))
        )


def _file(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o644)


def _listening(stack: contextlib.ExitStack, family: int, address: Any) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    stack.callback(made.close)
    made.bind(address)
    made.listen()
    if family == socket.AF_UNIX and not address.startswith("\0"):
        Path(address).chmod(0o666)
    return made


def _process(stack: contextlib.ExitStack, token: str) -> int:
    """A process of the host that carries the token in its arguments and in its environment."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", "read -r _", token], stdin=subprocess.PIPE, env={"BAIT": token}, close_fds=True
    )
    stack.callback(process.wait)
    stack.callback(process.communicate)
    return process.pid


def _open_directory(stack: contextlib.ExitStack) -> None:
    """A descriptor of the host's root that a careless start would hand on."""
    descriptor = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    stack.callback(os.close, descriptor)
    os.set_inheritable(descriptor, True)


def _shared_memory(stack: contextlib.ExitStack) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    made = int(libc.shmget(0, 4096, 0o1666))  # IPC_PRIVATE, IPC_CREAT
    if made >= 0:
        stack.callback(libc.shmctl, made, 0, None)  # IPC_RMID
    return made


def verdict(results: Sequence[ProbeResult]) -> bool:
    """Whether this machine's bottles hold."""
    return len(results) == len(PROBES) and all(each.fine for each in results)
