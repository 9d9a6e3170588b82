"""The program that makes containers (podman), as argument lists: where it is, with which runtime, what it is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boatwright import errors

SYSTEM = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSED = (
    "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "DBUS_SESSION_BUS_ADDRESS", "CONTAINERS_CONF",
    "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF",
)  # fmt: skip
"""What an engine finds its own configuration by. Never what points it at another machine."""
BOTTLE_LABEL, KEY_LABEL = "boatwright.bottle", "boatwright.key"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine of this host. ``runtime`` is the OCI runtime's name, empty for the engine's own choice."""

    name: str
    path: Path
    runtime: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> tuple[str, ...]:
        chosen = ("--runtime", self.runtime) if self.runtime else ()
        return (str(self.path), "--log-level", "error", *chosen)

    def ask(self, *arguments: str, patience: float = _PATIENCE) -> subprocess.CompletedProcess[str]:
        """Run one of its commands to the end; what it says and how it ended. Blocks."""
        try:
            return subprocess.run(
                [*self.command, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                env=dict(self.environment),
                cwd="/",
                timeout=patience,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise errors.MissingPart(
                f"{self.name} did not answer: {problem}",
                subject=str(self.path),
                next_moves=("boatwright doctor",),
            ) from problem

    def removal(self, name: str) -> tuple[str, ...]:
        """The command that ends one container, whatever state it is in, and leaves nothing of it."""
        return (*self.command, "rm", "--force", "--ignore", "--time", "0", name)

    def remove_all(self, key: str) -> None:
        """End every container of the bottle with this key, whoever started it."""
        found = self.ask("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={KEY_LABEL}={key}")
        for name in found.stdout.split():
            self.ask("rm", "--force", "--ignore", "--time", "0", name)


def find(name: str, runtime: str, environment: Mapping[str, str]) -> Engine:
    """The engine of that name on this host's PATH. Raises ``errors.MissingPart`` without it, or its runtime.

    No runtime named: runc where there is one, because it also runs where control groups are mounted the old way.
    """
    search = environment.get("PATH", os.defpath) + ":" + SYSTEM
    path = shutil.which(name, path=search)
    if path is None:
        raise errors.MissingPart(
            f"no {name} on this host, so no container can be made",
            subject=name,
            next_moves=(f"apt-get install {name} runc", "set backend: bubblewrap in settings.yml"),
        )
    if runtime and shutil.which(runtime, path=search) is None:
        raise errors.MissingPart(
            f"the container runtime '{runtime}' is not on this host",
            subject=runtime,
            next_moves=(f"install {runtime}", "change container.runtime in settings.yml"),
        )
    chosen = runtime or ("runc" if shutil.which("runc", path=search) else "")
    passed = {each: environment[each] for each in PASSED if environment.get(each)}
    return Engine(name, Path(path), chosen, {"PATH": search, "LANG": "C.UTF-8", **passed})


def plain(said: Sequence[str] | str) -> str:
    """The last line of what an engine said, without its ornaments."""
    lines = said.strip().splitlines() if isinstance(said, str) else list(said)
    return lines[-1].removeprefix("Error: ")[:300] if lines else ""
