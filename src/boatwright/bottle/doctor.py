"""What this host lacks to make a bottle: the case by its name, and the one command that fixes it.

The proof is a real start of the hardened line with ``true`` in it, remembered for this boot, this bwrap and this
uid. Only when it fails are the known causes asked for, one by one; a cause is never guessed from a version or a name.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.bottle import binary, line
from boatwright.bottle.backends.host import HostBackend, Task
from boatwright.bottle.protocol import BottleSpec, Missing
from boatwright.bottle.store import Place, give

if TYPE_CHECKING:
    from boatwright.bottle.backends.bubblewrap import Bubblewrap

PROFILE = """\
# Lets this one program make user namespaces, which Ubuntu otherwise keeps from unprivileged programs.
abi <abi/4.0>,
include <tunables/global>

profile boatwright-bwrap {path} flags=(unconfined) {{
  userns,
  include if exists <local/boatwright-bwrap>
}}
"""
PROFILE_PLACE = "/etc/apparmor.d/boatwright-bwrap"
_PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Kernel:
    """Where the kernel tells; a parameter so that each case can be shown without having it."""

    sys: Path = Path("/proc/sys")
    boot: Path = Path("/proc/sys/kernel/random/boot_id")
    containers: tuple[Path, ...] = (Path("/.dockerenv"), Path("/run/.containerenv"))

    def number(self, name: str) -> int | None:
        try:
            return int((self.sys / name).read_text())
        except (OSError, ValueError):
            return None


def no_state(root: Path, error: OSError) -> Missing:
    """The state directory cannot be made, whichever backend wants it."""
    return Missing(
        "a state directory",
        f"{root} cannot be made: {error.strerror}",
        "set BOATWRIGHT_STATE to a directory you may write to",
    )


def missing(backend: Bubblewrap, kernel: Kernel | None = None) -> Sequence[Missing]:
    """Everything that stands between this host and a bottle, the most basic first; empty when a bottle can be made."""
    kernel = kernel or Kernel()
    try:
        bwrap = backend.bwrap
        backend.state.create()
    except (errors.MissingPart, errors.Refused) as error:
        return [Missing(error.subject or "bwrap", str(error), " | ".join(error.next_moves))]
    except OSError as error:
        return [no_state(backend.state.root, error)]
    if not binary.reachable(backend.state.bottles, backend.uid_range[0], want=stat.S_IXOTH):
        return [_out_of_reach(backend)]
    said = trial(backend, kernel)
    found = [] if said is None else list(diagnose(bwrap.path, said, kernel))
    return [*found, *python(backend)]


def diagnose(bwrap: Path, said: str, kernel: Kernel) -> Iterator[Missing]:
    """Why a bottle could not be made, from what the kernel says of itself; ``said`` is bwrap's own last line."""
    if kernel.number("kernel/unprivileged_userns_clone") == 0:
        yield Missing(
            "user namespaces",
            "this kernel keeps them from ordinary users (kernel.unprivileged_userns_clone is 0)",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        )
    elif kernel.number("user/max_user_namespaces") == 0:
        yield Missing(
            "user namespaces",
            "this kernel allows none (user.max_user_namespaces is 0)",
            "sudo sysctl -w user.max_user_namespaces=15000",
        )
    elif kernel.number("kernel/apparmor_restrict_unprivileged_userns") == 1:
        yield Missing(
            "user namespaces for bwrap",
            "AppArmor keeps user namespaces from programs without a profile"
            " (kernel.apparmor_restrict_unprivileged_userns is 1)",
            profile_remedy(bwrap),
        )
    elif any(mark.exists() for mark in kernel.containers):
        yield Missing(
            "user namespaces in this container",
            f"the container's own rules forbid them: {said}",
            "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined"
            " --security-opt systempaths=unconfined, or run boatwright on the host",
        )
    else:
        yield Missing(
            "a working bwrap", f"a trial bottle did not start: {said}", "boatwright doctor --verbose"
        )


def profile(bwrap: Path) -> str:
    """An AppArmor profile that lets exactly this bwrap make user namespaces."""
    return PROFILE.format(path=bwrap)


def profile_remedy(bwrap: Path) -> str:
    """The profile and the one line that installs it."""
    return (
        f"{profile(bwrap)}\nSave the profile above as boatwright-bwrap, then:\n"
        f"sudo install -m 644 boatwright-bwrap {PROFILE_PLACE} && sudo apparmor_parser -r {PROFILE_PLACE}"
    )


def _out_of_reach(backend: Bubblewrap) -> Missing:
    root = backend.state.root
    shut = next(
        (each for each in reversed(root.absolute().parents) if not each.stat().st_mode & stat.S_IXOTH), root
    )
    return Missing(
        "a state directory that bottles can reach",
        f"bottles run under uids of their own, and {shut} lets none of them pass to {root}",
        f"chmod o+x {shut} | set BOATWRIGHT_STATE to a directory such as /var/lib/boatwright",
    )


def python(backend: HostBackend) -> Iterator[Missing]:
    """A bottle works without Python, but neither a wire nor a Python repository does."""
    if backend.toolchain.python is None:
        yield Missing(
            "a Python for bottles",
            "no python3 that a bottle's uid can read",
            "apt-get install python3 python3-venv",
        )
    elif not _has_venv(Path(backend.toolchain.python)):
        yield Missing(
            "Python's venv module",
            f"{backend.toolchain.python} comes without venv or ensurepip",
            "apt-get install python3-venv",
        )


def _has_venv(python: Path) -> bool:
    """Whether the standard library beside ``python`` holds venv and ensurepip; looked up, not run."""
    found = python.resolve()
    library = found.parent.parent / "lib" / found.name  # /usr/bin/python3.11 → /usr/lib/python3.11
    if not library.is_dir():
        return True  # laid out differently: preparing an environment will tell
    return all((library / name / "__init__.py").is_file() for name in ("venv", "ensurepip"))


def trial(backend: Bubblewrap, kernel: Kernel | None = None, *, lower: bool = False) -> str | None:
    """None when a trial bottle starts, else what bwrap said. A success is remembered until the next boot.

    ``lower``: with a directory that lies under its /usr, as system packages do.
    """
    uid, bwrap = backend.uid_range[-1], backend.bwrap
    told = f"{boot(kernel)} {bwrap.digest} {bwrap.path} {uid}{' lower' if lower else ''}"
    memory = backend.state.run / f"bwrap-works-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if memory.exists():
        return None
    said = _try(backend, uid, lower)
    if said is None:
        memory.touch(mode=0o600)
    return said


def boot(kernel: Kernel | None = None) -> str:
    """A word for this boot of the machine: what worked once works until the next."""
    kernel = kernel or Kernel()
    try:
        return kernel.boot.read_text().strip()
    except OSError:
        return str(Path("/proc/1").stat().st_ctime_ns)


def _try(backend: Bubblewrap, uid: int, lower: bool) -> str | None:
    with tempfile.TemporaryDirectory(dir=backend.state.bottles, prefix=".trial-") as name:
        root = Path(name)
        root.chmod(0o711)
        place = Place(root, uid, BottleSpec("trial", "doctor"))
        for each in (place.workspace, place.home):
            each.mkdir(mode=0o700)
            give(each, uid)
        trying = backend.line(place, Task(("true",), cwd=PurePosixPath("/")))
        if lower:
            usr = root / "usr"
            usr.mkdir(mode=0o755)
            usr.chmod(0o755)
            trying = dataclasses.replace(trying, packages=usr)
        reader, writer = os.pipe()
        try:
            with line.opened(trying, status=writer) as opened:
                done = subprocess.run(
                    opened.argv,
                    pass_fds=opened.descriptors,
                    env={},
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=_PATIENCE,
                    check=False,
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        finally:
            os.close(reader)
            os.close(writer)
    if done.returncode == 0:
        return None
    return (done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"])[
        -1
    ][:300]
