"""The root of a container that has no image: empty directories and four files of ours, on which the host's /usr is shown.

Made for one program and removed with it. It is read-only inside; what a bottle may write is bound into it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from boatwright.bottle.line import FORWARDER, HOSTS, SWITCH
from boatwright.bottle.protocol import HOME
from boatwright.bottle.toolchain import Toolchain

DIRECTORIES = ("dev", "etc", "home/agent", "opt", "proc", "run", "sys", "usr", "workspace")
ENGINES_OWN = PurePosixPath("/run/.containerenv")
"""What podman shows in every container, an empty file."""

Shown = tuple[Path, PurePosixPath]
"""What is bound into a container: its source and its target."""


def lay(
    root: Path, toolchain: Toolchain, uid: int, forwarder: bytes | None, shown: Iterable[Shown] = ()
) -> None:
    """Make the tree at ``root`` for programs that run as ``uid``, with a place for everything that is ``shown``.

    A place that is not there is made by the runtime, as a user that an ordinary user's container has and nobody else is:
    its owner could not remove it.
    """
    root.mkdir(parents=True)
    for name in DIRECTORIES:
        (root / name).mkdir(parents=True)
    (root / "tmp").mkdir()
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    (root / "tmp").chmod(0o1777)  # the tmpfs that is mounted there takes its mode from here
    for target, place in toolchain.links:
        (root / place.lstrip("/")).symlink_to(target)
    for name, content in files(uid).items():
        write(root / "etc" / name, content)
    if forwarder is not None:
        write(root / str(FORWARDER).lstrip("/"), forwarder)
    for source, point in points(shown):
        _place(root / str(point).lstrip("/"), is_directory=source.is_dir())


def points(shown: Iterable[Shown]) -> list[Shown]:
    """Those that are bound onto the root itself, not onto what another bind shows."""
    wanted = [*shown, (Path(os.devnull), ENGINES_OWN)]
    targets = {target for _, target in wanted}
    return [(source, target) for source, target in wanted if targets.isdisjoint(target.parents)]


def _place(path: Path, *, is_directory: bool) -> None:
    if path.exists():
        return
    for each in reversed([*path.parents] if not is_directory else [path, *path.parents]):
        if not each.exists():
            each.mkdir()
            each.chmod(0o755)
    if not is_directory:
        write(path, b"")


def files(uid: int) -> dict[str, bytes]:
    """What /etc says of people and names: the bottle's user is called agent, whatever its number."""
    return {
        "passwd": b"root:x:0:0:root:/:/usr/sbin/nologin\n"
        + f"agent:x:{uid}:{uid}:agent:{HOME}:/bin/sh\n".encode()
        + b"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
        "group": f"root:x:0:\nagent:x:{uid}:\nnogroup:x:65534:\n".encode(),
        "hosts": HOSTS,
        "nsswitch.conf": SWITCH,
    }


def write(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o644)
