"""What this host lacks to make a container: asked of the engine by a real start, then of the known causes one by one."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.bottle import doctor
from boatwright.bottle.backends.host import Task
from boatwright.bottle.containers import engine
from boatwright.bottle.containers.line import ContainerLine
from boatwright.bottle.protocol import BottleSpec, Missing
from boatwright.bottle.store import Place, give

if TYPE_CHECKING:
    from boatwright.bottle.backends.container import Container

SUBORDINATE = (Path("/etc/subuid"), Path("/etc/subgid"))
_PATIENCE = 60.0
_WORDS = 4_096


def missing(backend: Container) -> Sequence[Missing]:
    """Everything that stands between this host and a bottle in a container; empty when one can be made."""
    try:
        made = backend.engine
        backend.state.create()
    except (errors.MissingPart, errors.Refused) as error:
        return [Missing(error.subject or "podman", str(error), " | ".join(error.next_moves))]
    except OSError as error:
        return [doctor.no_state(backend.state.root, error)]
    said = _probe(backend, made)
    found = [] if said is None else list(diagnose(said, made, rootless=os.geteuid() != 0))
    return [*found, *doctor.python(backend)]


def diagnose(
    said: str, made: engine.Engine, *, rootless: bool, subordinate: Sequence[Path] = SUBORDINATE
) -> Iterator[Missing]:
    """Why a container could not be made, from what this host has; ``said`` is the engine's own last line."""
    search = made.environment.get("PATH", os.defpath)
    if rootless and shutil.which("newuidmap", path=search) is None:
        yield Missing(
            "newuidmap",
            f"an ordinary user's containers need newuidmap and newgidmap: {said}",
            "apt-get install uidmap",
        )
    elif rootless and not all(_named(file) for file in subordinate):
        yield Missing(
            "subordinate ids",
            f"{' and '.join(map(str, subordinate))} give this user no ids for containers: {said}",
            f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {getpass.getuser()}"
            f" | {made.path} system migrate",
        )
    elif rootless and "invalid argument" in said:
        # Said of giving a file away to an id that the user namespace has not.
        yield Missing(
            "subordinate ids in use",
            f"{made.name} still runs with the ids this user had before: {said}",
            f"{made.path} system migrate",
        )
    elif "cgroup" in said and made.runtime in {"", "crun"}:
        yield Missing(
            "a runtime for this host's control groups",
            f"they are mounted the old way, which {made.runtime or 'the default runtime'} does not take: {said}",
            "apt-get install runc | set container.runtime to runc in settings.yml",
        )
    else:
        yield Missing(
            f"a working {made.name}",
            f"a trial container did not start with the runtime {made.runtime or 'of its choice'}: {said}",
            f"{made.path} info | set backend: bubblewrap in settings.yml",
        )


def _named(file: Path) -> bool:
    try:
        who = (getpass.getuser(), str(os.getuid()))
        return any(line.partition(":")[0] in who for line in file.read_text().splitlines())
    except OSError:
        return False


def _probe(backend: Container, made: engine.Engine) -> str | None:
    """None when a trial container starts, else what the engine said. A success is remembered until the next boot."""
    status = made.path.stat()
    told = f"{doctor.boot()} {made.path} {status.st_mtime_ns} {made.runtime} {os.geteuid()}"
    memory = backend.state.run / f"container-works-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if memory.exists():
        return None
    said = _try(backend)
    if said is None:
        memory.touch(mode=0o600)
    return said


def _try(backend: Container) -> str | None:
    with tempfile.TemporaryDirectory(dir=backend.state.bottles, prefix=".trial-") as name:
        root = Path(name)
        place = Place(root, backend.uid_range[-1], BottleSpec("trial", "doctor"))
        for each in (place.workspace, place.home):
            each.mkdir(mode=0o700)
            give(each, place.uid)
        trial = backend.line(place, Task(("true",), cwd=PurePosixPath("/")))
        trial.lay()
        return _start(trial)


def _start(trial: ContainerLine) -> str | None:
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        with trial.opened(status=writer) as opened:
            done = subprocess.run(
                opened.argv,
                pass_fds=opened.descriptors,
                env=dict(opened.environment),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_PATIENCE,
                check=False,
            )
        if done.returncode == 0:
            return None
        try:
            words = os.read(reader, _WORDS).decode("utf-8", "replace")
        except BlockingIOError:
            words = ""
        return engine.plain(words) or f"exit code {done.returncode}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        os.close(reader)
        os.close(writer)
