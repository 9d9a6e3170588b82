"""Backend: run processes in a bottle (an isolated place whose only way out is the wire, if it has one).

A bottle is a pair of directories (workspace, HOME), a uid, limits and perhaps a wire. It holds no process of
its own: each ``exec`` makes a fresh set of namespaces around the same directories, so there is nothing in memory to lose
when a worker dies, and killing an exec kills its whole tree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from boatwright.bottle.terminal import Terminal
from boatwright.values.process import ExecResult, Limits

WORKSPACE = PurePosixPath("/workspace")
HOME = PurePosixPath("/home/agent")
WIRE_URL = "http://127.0.0.1:8080"
"""Where a wired bottle finds the gateway, whatever the backend."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path shown inside, read-only unless ``writable``."""

    source: Path
    target: PurePosixPath
    writable: bool = False


@dataclass(frozen=True, slots=True)
class BottleSpec:
    """What a bottle is made of. ``wire`` is the host directory holding ``wire.sock``; None is no wire at all."""

    slug: str
    purpose: str
    limits: Limits = field(default_factory=Limits)
    wire: Path | None = None
    binds: tuple[Bind, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    backend: str = ""
    """The backend that makes it; empty: the default one. Filled in when it is made."""
    image: str = ""
    """The id of the image its programs come from (container backend); empty: this host's own."""
    packages: str = ""
    """The key of the tree of system packages that lies under this host's /usr (bubblewrap backend); empty: none."""
    uid_of: str = ""
    """Slug of a bottle whose uid this one shares, in namespaces of its own: the step saver must be able to read files
    the agent made mode 600. Empty: a uid of its own where the host can give one."""


@dataclass(frozen=True, slots=True)
class Root:
    """Where the programs of a bottle come from: this host (no ``image``), or an image of the container backend.

    ``path`` is its search path, ``python`` and ``shell`` are paths inside, ``name`` is what people call it.
    """

    backend: str = ""
    image: str = ""
    name: str = "this host's programs"
    path: str = ""
    python: str | None = None
    shell: str = "/bin/sh"
    packages: str = ""
    """The key of the tree of system packages that lies under this host's programs; empty: none."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that belong to it."""


OnOutput = Callable[[bytes], None]


class Bottle(Protocol):
    @property
    def slug(self) -> str: ...

    @property
    def spec(self) -> BottleSpec: ...

    @property
    def workspace(self) -> Path:
        """The host's path of the workspace. Untrusted: never a gitdir, never followed, never opened by name."""
        ...

    @property
    def home(self) -> Path: ...

    async def exec(
        self,
        argv: Sequence[str],
        *,
        cwd: PurePosixPath = WORKSPACE,
        environment: Mapping[str, str] | None = None,
        stdin: bytes | Path | None = None,
        limits: Limits | None = None,
        binds: Sequence[Bind] = (),
        separate_stdout: bool = False,
        on_output: OnOutput | None = None,
        terminal: Terminal | None = None,
        tools: bool = False,
    ) -> ExecResult:
        """Run ``argv`` inside until its whole process tree is gone.

        With a ``terminal`` that is its stdin, stdout, stderr and the terminal it controls; no output is kept.
        ``tools``: with this host's programs even where the bottle has an image, for work of ours.

        Output is streamed to ``on_output`` as it comes. Cancellation of the awaiting task kills the tree. A limit
        that fires kills the tree and is named in the result. Never raises for what the program does; raises
        ``errors.MissingPart`` when the bottle cannot be made.
        """
        ...

    async def stop(self) -> None:
        """Kill whatever runs in it, whoever started it; the files stay."""
        ...

    async def pause(self) -> None:
        """Stop every process of the bottle where it is (cgroup freezer, else SIGSTOP until none runs)."""
        ...

    async def unpause(self) -> None: ...


class Backend(Protocol):
    @property
    def name(self) -> str: ...

    def missing(self) -> Sequence[Missing]:
        """What this host lacks to run a bottle; empty when it can. Cheap enough to ask before every run."""
        ...

    async def create(self, spec: BottleSpec) -> Bottle:
        """Make the directories and give them to the bottle's uid. The same slug again returns the bottle as it is."""
        ...

    async def open(self, slug: str) -> Bottle | None:
        """The bottle of that slug, after a restart of everything; None when there is none."""
        ...

    async def destroy(self, slug: str) -> None:
        """Kill what runs in it and remove its directories. Idempotent."""
        ...

    async def freeze(self, slug: str, archive: Path) -> None:
        """Stop it and write workspace, HOME and a manifest to ``archive`` (tar + zstd); the bottle remains."""
        ...

    async def thaw(self, spec: BottleSpec, archive: Path) -> Bottle:
        """A new bottle from an archive; ``errors.Refused`` with the remedy when backend or machine differ."""
        ...


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing a host lacks, the case by name, and the command that fixes it."""

    what: str
    why: str
    remedy: str


Progress = Callable[[str], Awaitable[None]]
