"""A small package source on disk, and an apt that knows nothing else: the host's own apt, set up by ``APT_CONFIG``.

    source = Source(root)
    source.add("greeting", {"usr/bin/greeting": b"#!/bin/sh\\necho hello\\n"}, depends="words")
    environment = source.publish()

Archives are written member by member, so that a hostile one can be, too.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CONF = """\
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc "{root}/etc";
Dir::Etc::sourcelist "{root}/etc/sources.list";
Dir::Etc::sourceparts "-";
APT::Sandbox::User "root";
APT::Architecture "amd64";
"""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive: any name, kind and mode. ``target`` is what a link leads to."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    target: str = ""

    def info(self) -> tarfile.TarInfo:
        made = tarfile.TarInfo(self.name)
        made.type, made.mode, made.size, made.linkname = self.kind, self.mode, len(self.content), self.target
        return made


def link(name: str, target: str) -> Member:
    return Member(name, kind=tarfile.SYMTYPE, target=target)


@dataclass(slots=True)
class Source:
    """Archives and their list below ``root``."""

    root: Path
    _listed: dict[str, str] = field(default_factory=dict)
    _there: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        name: str,
        files: Mapping[str, bytes] | list[Member],
        *,
        version: str = "1.0",
        depends: str = "",
    ) -> Path:
        """An archive of that package, listed in place of any other of the name. Files below ``bin`` are programs."""
        members = (
            files
            if isinstance(files, list)
            else [Member(path, said, 0o755 if "bin/" in path else 0o644) for path, said in files.items()]
        )
        control = (
            f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: nobody <n@localhost>\n"
        )
        control += f"Depends: {depends}\n" if depends else ""
        control += f"Description: {name}\n"
        path = self.root / "pool" / f"{name}_{version}_amd64.deb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_archive(control, members))
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        facts = f"Filename: pool/{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
        self._listed[name] = control.replace("Description:", f"{facts}Description:")
        return path

    def installed(self, name: str, version: str = "1.0") -> None:
        """Have dpkg say that the host has it."""
        self._there[name] = (
            f"Package: {name}\nStatus: install ok installed\nMaintainer: nobody <n@localhost>\n"
            f"Architecture: amd64\nVersion: {version}\nDescription: {name}\n"
        )

    def publish(self) -> dict[str, str]:
        """Write list and settings, and have apt read them; the variables that make the host's apt this one."""
        for name in ("state/lists/partial", "cache/archives/partial", "etc", "pool"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        (self.root / "status").write_text("\n".join(self._there.values()))
        (self.root / "Packages").write_text("\n".join(self._listed.values()))
        (self.root / "etc" / "sources.list").write_text(f"deb [trusted=yes] file:{self.root} ./\n")
        conf = self.root / "apt.conf"
        conf.write_text(_CONF.format(root=self.root))
        environment = {"APT_CONFIG": str(conf)}
        subprocess.run(
            ["apt-get", "--quiet=2", "update"], check=True, capture_output=True, stdin=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **environment},
        )  # fmt: skip
        return environment


def _archive(control: str, members: Sequence[Member]) -> bytes:
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": _tar([Member("./control", control.encode())]),
        "data.tar": _tar(members),
    }
    said = b"!<arch>\n"
    for name, content in parts.items():
        said += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        said += content + b"\n" * (len(content) % 2)
    return said


def _tar(members: Sequence[Member]) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for each in members:
            tar.addfile(each.info(), io.BytesIO(each.content))
    return held.getvalue()
