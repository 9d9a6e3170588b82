"""What a bottle sees of the host: /usr, a few harmless files of /etc, and toolchains that live elsewhere.

Nothing here may show a home directory, a key or a socket. A toolchain outside /usr (nvm, pyenv, a tarball in /opt)
is bound read-only under a neutral name, and only when the bottle's uid can reach it: root's home stays shut.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from boatwright.bottle.binary import reachable
from boatwright.bottle.protocol import Bind

MERGED = ("bin", "lib", "lib64", "sbin", "lib32", "libx32")
CONFIGURATION = (
    "/etc/alternatives", "/etc/ca-certificates", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d",
    "/etc/localtime", "/etc/mime.types", "/etc/pki/ca-trust/extracted", "/etc/pki/tls/certs", "/etc/protocols",
    "/etc/services", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
)  # fmt: skip
SYSTEM_PYTHONS = (Path("/usr/bin/python3"), Path("/usr/local/bin/python3"))
OPT = PurePosixPath("/opt")


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Read-only binds, links and the search path they make; ``python`` is the interpreter's path inside."""

    binds: tuple[Bind, ...]
    links: tuple[tuple[str, str], ...]
    path: str
    python: str | None
    node: str | None


def survey(environment: Mapping[str, str], uid: int) -> Toolchain:
    """What this host offers to a bottle that runs as ``uid``."""
    links, roots = _roots()
    binds = [
        *roots,
        *(Bind(Path(each), PurePosixPath(each)) for each in CONFIGURATION if Path(each).exists()),
    ]
    python, python_bind = _python(environment, uid)
    node, node_bind = _elsewhere("node", environment, uid)
    extra = [bind for bind in (node_bind, python_bind) if bind is not None]
    path = [str(bind.target / "bin") for bind in extra]
    return Toolchain(
        binds=(*binds, *extra),
        links=links,
        path=":".join([*path, "/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"]),
        python=python,
        node=node,
    )


def _roots() -> tuple[tuple[tuple[str, str], ...], list[Bind]]:
    links: list[tuple[str, str]] = []
    binds = [Bind(Path("/usr"), PurePosixPath("/usr"))]
    for name in MERGED:
        place = Path("/") / name
        if place.is_symlink():
            links.append((str(place.readlink()), str(place)))
        elif place.is_dir():
            binds.append(Bind(place, PurePosixPath(place)))
    if Path("/nix/store").is_dir():
        binds.append(Bind(Path("/nix/store"), PurePosixPath("/nix/store")))
    return tuple(links), binds


def _python(environment: Mapping[str, str], uid: int) -> tuple[str | None, Bind | None]:
    for each in SYSTEM_PYTHONS:
        if each.exists():
            return str(each), None
    return _elsewhere("python3", environment, uid)


def _elsewhere(name: str, environment: Mapping[str, str], uid: int) -> tuple[str | None, Bind | None]:
    """A program of the host: its path inside, and the bind of its prefix when it does not live under /usr."""
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is None:
        return None, None
    program = Path(found).resolve()
    if program.is_relative_to("/usr"):
        # The name on PATH may be a link in a home; inside there is only what it leads to.
        return (str(found) if Path(found).is_relative_to("/usr") else str(program)), None
    prefix = program.parent.parent
    safe = program.parent.name == "bin" and len(prefix.parts) > 2 and prefix != Path.home()
    if not safe or not reachable(program, uid, want=stat.S_IXOTH):
        return None, None
    target = OPT / name
    return str(target / "bin" / program.name), Bind(prefix, target)
