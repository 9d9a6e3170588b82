"""One program as ``podman run``: a fresh container around a bottle's two directories, shut like the bubblewrap line.

The program's streams are not the engine's. They travel as descriptors 3, 4 and 5 to a shell that is the container's
first process and gives them to the program: nothing in between copies, buffers or loses a byte, and the order of what
is printed on both stays. The engine's own words go where bwrap's status goes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle import launcher
from boatwright.bottle.containers import skeleton
from boatwright.bottle.containers.engine import BOTTLE_LABEL, KEY_LABEL, Engine
from boatwright.bottle.line import FORWARDER, SMALL, TEMPORARY, WIRE, Opened
from boatwright.bottle.protocol import HOME, WORKSPACE, Bind
from boatwright.bottle.toolchain import Toolchain
from boatwright.bottle.uids import refuse_root
from boatwright.values.process import Limits

HANDED = 'exec "$@" 3<&0 4>&1 5>&2 </dev/null >/dev/null 2>/proc/self/fd/'
"""The program's three streams aside for the container; the engine itself reads nothing and speaks to us."""
FIRST = '(exec "$@" <&3 >&4 2>&5 3<&- 4>&- 5>&-); exit $?'
"""The container's first process. It stays: a first process is deaf to signals, and who has lost its parent needs one."""
MASKED = ("/sys", "/proc/cmdline", "/proc/kcore", "/proc/kallsyms", "/proc/sysrq-trigger", "/proc/kmsg")


@dataclass(frozen=True, slots=True)
class ContainerLine:
    """Everything that decides how one program is started in a container. ``stage`` holds its root and its pid."""

    engine: Engine
    toolchain: Toolchain
    name: str
    slug: str
    key: str
    stage: Path
    uid: int
    workspace: Path
    home: Path
    cwd: PurePosixPath
    environment: Mapping[str, str]
    limits: Limits
    seccomp: Path
    binds: Sequence[Bind] = ()
    wire: Path | None = None
    forwarder: bytes | None = None
    capabilities: Sequence[str] = ()
    grouped: bool = False
    """Whether this host lets a container have a control group with limits of its own."""
    command: Sequence[str] = field(default=("true",))
    image: str = ""
    """The id of the image that is its root; empty: the host's /usr on a skeleton."""

    @property
    def program(self) -> Path:
        return self.engine.path

    @property
    def root(self) -> Path:
        return self.stage / "root"

    @property
    def pidfile(self) -> Path:
        return self.stage / "pid"

    @contextlib.contextmanager
    def opened(self, *, status: int) -> Iterator[Opened]:
        refuse_root(self.uid)
        # High, so that the shell's own redirections never meet it.
        words = fcntl.fcntl(status, fcntl.F_DUPFD_CLOEXEC, 10)
        try:
            argv = ("/bin/sh", "-c", f"{HANDED}{words}", "sh", *_dies_with_us(), *self.arguments())
            yield Opened(argv, (words,), self.engine.environment)
        finally:
            os.close(words)

    def arguments(self) -> tuple[str, ...]:
        """The engine's command line."""
        return (
            *self.engine.command, "run", "--rm", "--pull", "never", "--name", self.name, "--pidfile", str(self.pidfile),
            "--label", f"{BOTTLE_LABEL}={self.slug}", "--label", f"{KEY_LABEL}={self.key}",
            *_SHUT, *self._who(), *self._filter(), *self._limits(), *self._environment(), *self._mounts(),
            "--workdir", str(self.cwd), *self._root(), "-c", FIRST, "sh", *self._inner(),
        )  # fmt: skip

    def _root(self) -> tuple[str, ...]:
        if self.image:
            return ("--image-volume", "ignore", "--no-healthcheck", "--entrypoint", "/bin/sh", self.image)
        return ("--unsetenv-all", "--rootfs", str(self.root), "/bin/sh")

    def _who(self) -> Iterator[str]:
        yield from ("--user", f"{self.uid}:{self.uid}" if os.geteuid() == 0 else f"{self.uid}:{os.getegid()}")
        if os.geteuid() != 0:
            yield from ("--userns", "keep-id")
        yield from ("--cap-drop", "all")
        for each in self.capabilities:
            yield from ("--cap-add", each.removeprefix("CAP_"))

    def _filter(self) -> Iterator[str]:
        yield from ("--security-opt", "no-new-privileges", "--security-opt", f"seccomp={self.seccomp}")
        yield from ("--security-opt", "label=disable", "--security-opt", f"mask={':'.join(MASKED)}")

    def _limits(self) -> Iterator[str]:
        own = self.limits
        walls = (
            ("nproc", resource.RLIMIT_NPROC, 4 * own.pids + 4_096),
            ("nofile", resource.RLIMIT_NOFILE, launcher.FILES),
            ("cpu", resource.RLIMIT_CPU, own.cpu_seconds + launcher.SLACK),
            ("data", resource.RLIMIT_DATA, launcher.behind(own.memory_bytes)),
            ("fsize", resource.RLIMIT_FSIZE, own.disk_bytes),
            ("core", resource.RLIMIT_CORE, 1),
        )
        for name, kind, wanted in walls:
            value = launcher.within(kind, wanted)
            yield from ("--ulimit", f"{name}={value}:{value}")
        if self.grouped:  # behind the limits of the bottle's own group, which names what fires
            yield from ("--pids-limit", str(4 * own.pids + 4_096))
            yield from ("--memory", str(launcher.behind(own.memory_bytes)))
        else:
            yield from ("--pids-limit", "-1")

    def _environment(self) -> Iterator[str]:
        base = {
            **({} if self.image else {"PATH": self.toolchain.path}),
            "HOME": str(HOME),
            "USER": "agent",
            "LOGNAME": "agent",
            "SHELL": "/bin/sh",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "TMPDIR": "/tmp",  # noqa: S108 - the bottle's own
        }
        for name, value in {**base, **self.environment}.items():
            yield from ("--env", f"{name}={value}")

    def _mounts(self) -> Iterator[str]:
        room = max(SMALL, min(TEMPORARY, self.limits.memory_bytes // 4))
        yield from ("--tmpfs", f"/tmp:rw,nosuid,nodev,size={room},mode=1777", "--shm-size", str(SMALL))  # noqa: S108
        for source, target, mode in self._volumes():
            yield from _volume(source, target, mode)

    def _volumes(self) -> Iterator[tuple[Path, PurePosixPath, str]]:
        for source, target in self._shown():
            yield source, target, "ro"
        yield self.home, HOME, "rw"
        yield self.workspace, WORKSPACE, "rw"
        if self.wire is not None:
            yield self.wire, WIRE, "ro"
        for bind in self.binds:
            yield bind.source, bind.target, "rw" if bind.writable else "ro"

    def lay(self) -> None:
        """Make the stage and, on it, the root that the container starts on."""
        self.stage.mkdir(mode=0o700, parents=True)
        shown = () if self.image else [(source, target) for source, target, _ in self._volumes()]
        skeleton.lay(self.root, self.toolchain, self.uid, self.forwarder, shown)

    def _shown(self) -> Iterator[tuple[Path, PurePosixPath]]:
        """The host's programs; over an image only our own files."""
        if not self.image:
            yield from ((each.source, each.target) for each in self.toolchain.binds if each.source.exists())
            return
        for name in skeleton.files(self.uid):
            yield self.root / "etc" / name, PurePosixPath("/etc") / name
        if self.forwarder is not None:
            yield self.root / str(FORWARDER).lstrip("/"), FORWARDER

    def _inner(self) -> tuple[str, ...]:
        if self.wire is None or self.forwarder is None:
            return tuple(self.command)
        python = "python3" if self.image else self.toolchain.python or "python3"
        return (python, "-I", "-S", str(FORWARDER), "--", *self.command)


_SHUT = (
    "--network", "none", "--no-hosts", "--hostname", "bottle", "--ipc", "private", "--uts", "private",
    "--cgroupns", "private", "--read-only", "--read-only-tmpfs=false", "--http-proxy=false", "--passwd=false",
    "--systemd", "false", "--sdnotify", "ignore", "--log-driver", "none", "--preserve-fds", "3",
)  # fmt: skip


def _volume(source: Path, target: PurePosixPath, mode: str) -> tuple[str, str]:
    if not source.exists():
        raise errors.MissingPart(
            f"the bottle could not be made: {source} is not on this host", subject=str(source)
        )
    if ":" in f"{source}{target}":
        raise errors.Refused(
            f"a container engine cannot bind a path with a colon in it: {source} at {target}",
            subject=str(source),
            next_moves=("use a directory without one", "set backend: bubblewrap in settings.yml"),
        )
    return ("--volume", f"{source}:{target}:{mode},nosuid,nodev,rbind,rprivate")


def _dies_with_us() -> tuple[str, ...]:
    """Has the kernel end the engine's client when our process ends; the container itself has a ``Lifeline``."""
    setpriv = shutil.which("setpriv", path=launcher.SYSTEM)
    return (setpriv, "--pdeathsig", "KILL", "--") if setpriv else ()
