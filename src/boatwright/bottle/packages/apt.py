"""This host's apt, asked as its operator set it up, and kept from changing anything but a scratch directory.

It resolves against the host's own package lists, fetches with the host's own network and credentials, and holds what
came to the digests of its signed lists. Nothing is installed, so nothing of a package runs on the host.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import pwd
import shlex
import shutil
import signal
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.rules import packages as rules
from boatwright.rules.packages import Archive

PROGRAMS = ("apt-get", "apt-config", "dpkg-deb")
_PASSED = (
    "APT_CONFIG", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
)  # fmt: skip
_UNLOCKED = ("-o", "Debug::NoLocking=true")
"""An ordinary user may not take dpkg's lock, and nothing of dpkg's is written."""
_ASK, _FETCH = 120.0, 1_800.0
"""Seconds that apt may take to answer, and to fetch."""


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Apt:
    """The host's apt-get and apt-config, with the few variables of the host they are started with."""

    get: Path
    config: Path
    environment: Mapping[str, str]

    async def status(self) -> str:
        """What is installed on this host, as dpkg wrote it down. Empty where it wrote nothing."""
        said = await self._run(self.config, "shell", "STATUS", "Dir::State::status/f", patience=_ASK)
        named = dict(word.split("=", 1) for word in shlex.split(said.out) if "=" in word)
        try:
            return await asyncio.to_thread(Path(named["STATUS"]).read_text, "utf-8", "replace")
        except (KeyError, OSError):
            return ""

    async def pins(self, names: Sequence[str], there: frozenset[str]) -> tuple[str, ...]:
        """What would have to come beside what is there, each as ``name=version``."""
        said = await self._run(
            self.get, *_UNLOCKED, "--simulate", "--yes", "--no-remove", "--no-install-recommends", "install", "--",
            *names, patience=_ASK,
        )  # fmt: skip
        if said.code != 0:
            raise rules.refused(said.err, names)
        return rules.pins(said.out, names, there)

    async def archives(self, pins: Sequence[str], scratch: Path) -> tuple[Archive, ...]:
        """Which archives those are, and how large. ``scratch`` is an empty directory."""
        said = await self._run(
            self.get, *_UNLOCKED, "--print-uris", "download", "--", *pins, patience=_ASK, cwd=scratch
        )
        if said.code != 0:
            raise rules.refused(said.err, pins)
        return rules.archives(said.out, pins)

    async def fetch(self, pins: Sequence[str], archives: Sequence[Archive], into: Path) -> None:
        """The archives as files of ``into``, each held to its digest."""
        _lend(into)
        said = await self._run(
            self.get, *_UNLOCKED, "--quiet=2", "download", "--", *pins, patience=_FETCH, cwd=into
        )
        if said.code != 0:
            raise rules.refused(said.err, pins)
        await asyncio.to_thread(_hold, archives, into)

    async def _run(self, program: Path, *arguments: str, patience: float, cwd: Path = Path("/")) -> Said:
        """Run to the end; killed with all it started when the caller gives up, or time is up."""
        process = await asyncio.create_subprocess_exec(
            program, *arguments, cwd=cwd, env=self.environment, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        try:
            out, err = await asyncio.wait_for(process.communicate(), patience)
        except TimeoutError:
            return Said(1, "", f"E: {program.name} did not end within {patience:.0f} seconds")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.shield(process.wait())
        return Said(process.returncode or 0, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


def find(environment: Mapping[str, str]) -> Apt | None:
    """The host's apt; None where a part of it is missing."""
    search = environment.get("PATH", os.defpath)
    get, config, deb = (shutil.which(name, path=search) for name in PROGRAMS)
    if not (get and config and deb):
        return None
    passed = {name: environment[name] for name in _PASSED if environment.get(name)}
    clean = {"PATH": search, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive", "HOME": "/nonexistent"}
    return Apt(Path(get), Path(config), {**clean, **passed})


def _lend(into: Path) -> None:
    """As root, apt fetches as a user of its own where that one may write."""
    with contextlib.suppress(KeyError):
        if os.geteuid() == 0:
            os.chown(into, pwd.getpwnam("_apt").pw_uid, 0)


def _hold(archives: Sequence[Archive], into: Path) -> None:
    """Take the directory back, and hold every file in it to what the lists say."""
    if os.geteuid() == 0:
        os.chown(into, 0, 0)
    for each in archives:
        if _digest(into / each.file, each) != each.digest:
            raise errors.Parked(
                f"the package archive {each.file} is not what this host's package lists say it is",
                code=rules.CODE,
                subject=each.file,
                next_moves=("apt-get update, on this host", rules.IMAGE),
            )


def _digest(path: Path, archive: Archive) -> str:
    """Its digest by the same algorithm; empty for what is no file of that size. It becomes ours, and readable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size != archive.size:
            return ""
        if os.geteuid() == 0:
            os.fchown(descriptor, 0, 0)
        os.fchmod(descriptor, 0o644)
        algorithm = archive.digest.partition(":")[0]
        return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"
