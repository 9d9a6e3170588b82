"""System packages: what apt said, read strictly, and what may be laid under this host's programs.

Only what is not there may come: the host's own files lie on top, so a package that needs another version of something
installed would find the old one. That is refused by name, never half done.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from boatwright import errors

CODE = "packages"
MOST_BYTES = 2 << 30
"""Of archives, as they are fetched."""
_INSTALL = re.compile(r"Inst (\S+) (?:\[(\S+)\] )?\((\S+) [^()]*\)")
_REMOVE = re.compile(r"Remv (\S+)")
_URI = re.compile(
    r"'[^']*' ([A-Za-z0-9][A-Za-z0-9+.~%_-]*\.deb) ([0-9]{1,12}) (SHA256|SHA512):([0-9a-f]{64,128})"
)
_PIN = re.compile(r"([a-z0-9][a-z0-9+.-]*(?::[a-z0-9-]+)?)=([A-Za-z0-9.+~:-]+)")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/@]*@")
IMAGE = "or build them into an image and name it: environment: {image: REF} in .boatwright.yml"


@dataclass(frozen=True, slots=True)
class Archive:
    """One ``.deb`` as the host's signed lists know it. ``digest`` is its algorithm, a colon, and hexadecimal digits."""

    file: str
    size: int
    digest: str


def installed(status: str) -> frozenset[str]:
    """The packages that are whole on this host, from dpkg's own status file."""
    found: set[str] = set()
    for block in status.split("\n\n"):
        lines = block.splitlines()
        if "Status: install ok installed" in lines or "Status: hold ok installed" in lines:
            found.update(line.removeprefix("Package: ") for line in lines[:1] if line.startswith("Package: "))
    return frozenset(found)


def pins(simulated: str, names: Sequence[str], there: frozenset[str]) -> tuple[str, ...]:
    """What has to come, each as ``name=version``: what ``apt-get --simulate install`` would add.

    Raises ``errors.Parked`` where it would change what is there, or would take something else for a name.
    """
    added: dict[str, str] = {}
    for line in simulated.splitlines():
        removed = _REMOVE.match(line)
        if removed:
            raise _parked(f"{_listed(names)} cannot stand beside {removed[1]} of this host", names)
        found = _INSTALL.match(line)
        if found and found[2]:
            raise _parked(
                f"{_listed(names)} would need {found[1]} {found[3]}, and this host has {found[2]}",
                names,
                f"bring this host up to date: apt-get install --only-upgrade {found[1].partition(':')[0]}",
            )
        if found:
            added[found[1]] = found[3]
    unknown = [name for name in names if name not in there and name not in added]
    if unknown:
        raise _parked(f"{unknown[0]} is no package of this host's sources", names, "apt-get update")
    return tuple(sorted(_pin(name, version) for name, version in added.items()))


def _pin(name: str, version: str) -> str:
    pin = f"{name}={version}"
    if not _PIN.fullmatch(pin):
        raise _parked(f"apt names a package in a way that is not its own: {pin[:80]!r}", (name,))
    return pin


def archives(said: str, pinned: Sequence[str]) -> tuple[Archive, ...]:
    """What ``apt-get download --print-uris`` said, in the order of file names; where they lie is not kept.

    Raises ``errors.Parked`` where there is not one with a strong digest for each pin, or they are too large.
    """
    found = [_URI.fullmatch(line.strip()) for line in said.splitlines() if line.startswith("'")]
    made = sorted(
        (Archive(f[1], int(f[2]), f"{f[3].lower()}:{f[4]}") for f in found if f), key=lambda a: a.file
    )
    if len(made) != len(pinned) or len({each.file for each in made}) != len(made) or None in found:
        raise _parked(
            "this host's package lists give no archive with a SHA-256 digest for each package", pinned
        )
    size = sum(each.size for each in made)
    if size > MOST_BYTES:
        raise _parked(
            f"the packages are {size >> 20:,} MiB to fetch; at most {MOST_BYTES >> 20:,} are taken", pinned
        )
    return tuple(made)


def key(pinned: Iterable[str], found: Iterable[Archive]) -> str:
    """The name of the tree these archives make: the same archives, the same name."""
    said = "\0".join([*pinned, *(f"{each.file} {each.digest}" for each in found)])
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def wish(names: Sequence[str], status: str, machine: str) -> str:
    """The name under which what ``names`` meant is remembered: as long as this host's own packages stay as they are."""
    said = "\0".join([machine, hashlib.sha256(status.encode()).hexdigest(), *names])
    return hashlib.sha256(said.encode()).hexdigest()[:24]


def refused(said: str, names: Sequence[str]) -> errors.Parked:
    """What apt itself said against it, without the credentials an address may hold."""
    lines = [line.strip() for line in said.splitlines() if line.startswith(("E: ", "Err:"))]
    why = (lines or [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"])[0]
    plain = _ADDRESS.sub("", why.removeprefix("E: "))[:300]
    return _parked(f"{_listed(names)} could not be fetched: {plain}", names, "apt-get update, on this host")


def moved(names: Sequence[str]) -> errors.Parked:
    """The tree that was used before is gone, and what the same versions are today is something else."""
    return _parked(
        f"{_listed(names)} were laid out before, are gone, and this host's sources now give other archives for them",
        names,
        "boatwright gc --kind packages --days 0, to forget what they meant",
    )


def cannot(what: str, why: str, remedy: str, names: Sequence[str]) -> errors.Parked:
    """This host cannot lay packages under its programs: what it lacks, by name."""
    return _parked(
        f"{_listed(names)} cannot be laid into a bottle here: {what}. {why}",
        names,
        *([] if remedy.startswith("or ") else [remedy]),
        f"install them on this host: apt-get install {' '.join(names)}",
    )


def _listed(names: Sequence[str]) -> str:
    return f"system_packages {', '.join(names[:6])}{' …' if len(names) > 6 else ''}"


def _parked(sentence: str, names: Sequence[str], *moves: str) -> errors.Parked:
    return errors.Parked(sentence, code=CODE, subject=names[0] if names else "", next_moves=(*moves, IMAGE))
