"""Freezing a bottle to a file and thawing it: workspace and HOME as tar and zstd, made and unpacked inside a bottle.

The host never walks what a bottle wrote: tar runs inside, sees the ids of the inside, and what a hostile archive
names lands inside. The file begins with a frame that zstd skips and that holds our manifest, so it is also an
ordinary ``.tar.zst``. One digest covers manifest and content.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import platform
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import zstandard

from boatwright import errors
from boatwright.values.clock import Clock
from boatwright.values.process import Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.host import HostBottle

SKIPPED = 0x184D2A50
"""A zstd skippable frame (RFC 8878 §3.1.2): this magic, a length, bytes that decoders pass over."""
HEADER = 4_096
FORMAT = 1
LEVEL = 3
_CHUNK = 1 << 20
_VERSIONS = "python3 --version 2>&1; node --version 2>&1; tar --version 2>&1 | head -n 1"
_PACK = (
    "tar",
    "--create",
    "--sparse",
    "--numeric-owner",
    "--file=-",
    "--directory=/",
    "workspace",
    "home/agent",
)
_UNPACK = (
    "tar",
    "--extract",
    "--preserve-permissions",
    "--no-same-owner",
    "--file=-",
    "--directory=/",
    "workspace",
    "home/agent",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself. ``tar_bytes`` is its size unpacked."""

    slug: str
    backend: str
    architecture: str
    toolchain: dict[str, str]
    created: str
    tar_bytes: int
    sha256: str = ""
    format: int = FORMAT

    def packed(self) -> bytes:
        return json.dumps(dataclasses.asdict(self), sort_keys=True).encode()

    def digest(self) -> hashlib._Hash:
        """The beginning of the archive's digest: everything said here but the digest itself."""
        return hashlib.sha256(dataclasses.replace(self, sha256="").packed())


async def freeze(bottle: HostBottle, path: Path, *, clock: Clock) -> Manifest:
    """Write ``bottle``, which must not be running, to ``path``; there is either a whole archive or none."""
    toolchain = await _toolchain(bottle)
    fresh = path.with_name(f".{path.name}-{os.urandom(4).hex()}")
    try:
        with _storing(fresh), _create(fresh) as file:
            file.write(bytes(HEADER))
            manifest = Manifest(
                slug=bottle.slug,
                backend=bottle.backend,
                architecture=platform.machine(),
                toolchain=toolchain,
                created=clock.now().isoformat(),
                tar_bytes=await _pack(bottle, file),
            )
            manifest = await asyncio.to_thread(_seal, file, manifest)
        with _storing(path):
            fresh.rename(path)
    finally:
        fresh.unlink(missing_ok=True)
    return manifest


def check(path: Path, *, backend: str) -> Manifest:
    """The manifest of a sound archive for this machine. Raises ``errors.Refused`` with the remedy, else."""
    with _reading(path), path.open("rb") as file:
        manifest = _read_manifest(file, path)
        digest = manifest.digest()
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            digest.update(chunk)
    if digest.hexdigest() != manifest.sha256:
        raise errors.Refused(
            f"{path.name} was changed after it was written: its digest does not match",
            subject=str(path),
            next_moves=("use another copy of the archive", "start again from the last saved step"),
        )
    for what, frozen, here in (
        ("backend", manifest.backend, backend),
        ("architecture", manifest.architecture, platform.machine()),
    ):
        if frozen != here:
            raise errors.Refused(
                f"{path.name} was frozen on {what} {frozen}; this is {here}",
                subject=str(path),
                next_moves=(f"thaw it where the {what} is {frozen}", "start again from the last saved step"),
            )
    return manifest


async def thaw(bottle: HostBottle, path: Path, manifest: Manifest) -> None:
    """Unpack a checked archive into the fresh ``bottle``."""
    here = await _toolchain(bottle)
    for name, frozen in manifest.toolchain.items():
        if name in {"python", "node"} and _line(frozen, name) != _line(here.get(name, ""), name):
            raise errors.Refused(
                f"{path.name} was frozen with {name} {frozen}; this host has {here.get(name) or 'none'}",
                subject=str(path),
                next_moves=(f"install {name} {frozen}", "start again from the last saved step"),
            )
    reader, writer = os.pipe()
    pump = asyncio.create_task(asyncio.to_thread(_unpack_into, path, writer, manifest.tar_bytes))
    try:
        done = await bottle.exec(_UNPACK, stdin=reader, limits=_limits(bottle.spec.limits), tools=True)
    finally:
        os.close(reader)
        await asyncio.gather(pump, return_exceptions=True)
    pump.result()
    if not done.ok:
        raise errors.StoreUnavailable(
            f"{path.name} could not be unpacked: {done.text().strip()[-300:] or done.limit}",
            subject=str(path),
            next_moves=("free some disk space and thaw again",),
        )


async def _pack(bottle: HostBottle, file: IO[bytes]) -> int:
    """Tar what is inside through zstd into ``file``; the bytes before compression."""
    packer = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compressobj()
    size = 0

    def take(chunk: bytes) -> None:
        nonlocal size
        size += len(chunk)
        file.write(packer.compress(chunk))

    # Files that the bottle shut against itself are part of it: the reader may read them, and runs nothing.
    done = await bottle.exec(
        _PACK,
        sink=take,
        limits=_limits(bottle.spec.limits),
        capabilities=("CAP_DAC_READ_SEARCH",),
        tools=True,
    )
    file.write(packer.flush())
    if not done.ok:
        raise errors.StoreUnavailable(
            f"the bottle {bottle.slug} could not be archived: {done.text().strip()[-300:] or done.limit}",
            subject=bottle.slug,
            next_moves=("try again",),
        )
    return size


def _limits(own: Limits) -> Limits:
    """Room for our own tar: as long as it takes, the bottle's disk, little else."""
    return dataclasses.replace(
        own, wall_seconds=3_600.0, cpu_seconds=3_600, memory_bytes=1 << 30, output_bytes=64 << 10
    )


def _seal(file: IO[bytes], manifest: Manifest) -> Manifest:
    file.flush()
    digest = manifest.digest()
    file.seek(HEADER)
    with os.fdopen(os.dup(file.fileno()), "rb") as again:
        again.seek(HEADER)
        for chunk in iter(lambda: again.read(_CHUNK), b""):
            digest.update(chunk)
    manifest = dataclasses.replace(manifest, sha256=digest.hexdigest())
    file.seek(0)
    file.write(struct.pack("<II", SKIPPED, HEADER - 8) + manifest.packed().ljust(HEADER - 8))
    file.flush()
    os.fsync(file.fileno())
    return manifest


def _read_manifest(file: IO[bytes], path: Path) -> Manifest:
    header = file.read(HEADER)
    try:
        magic, length = struct.unpack("<II", header[:8])
        found: dict[str, Any] = json.loads(header[8:])
        if (magic, length) != (SKIPPED, HEADER - 8) or found["format"] != FORMAT:
            raise ValueError("another format")
        return Manifest(**found)
    except (ValueError, KeyError, TypeError, struct.error) as error:
        raise errors.Refused(
            f"{path.name} is not an archive of a bottle that this release can read",
            subject=str(path),
            next_moves=("thaw it with the release that froze it", "start again from the last saved step"),
        ) from error


def _unpack_into(path: Path, writer: int, tar_bytes: int) -> None:
    left = tar_bytes
    with open(writer, "wb") as out, path.open("rb") as file, contextlib.suppress(BrokenPipeError):
        file.seek(HEADER)
        for chunk in zstandard.ZstdDecompressor().read_to_iter(file, read_size=_CHUNK):
            left -= len(chunk)
            if left < 0:
                return  # more than it says of itself: tar sees a cut archive and fails
            out.write(chunk)


async def _toolchain(bottle: HostBottle) -> dict[str, str]:
    said = (await bottle.exec(("/bin/sh", "-c", _VERSIONS), limits=_limits(bottle.spec.limits))).text()
    patterns = {"python": r"^Python (\S+)", "node": r"^v(\d\S*)", "tar": r"tar\D* ([\d.]+)$"}
    found = {name: re.search(pattern, said, re.M) for name, pattern in patterns.items()}
    return {name: match[1] for name, match in found.items() if match}


def _line(version: str, name: str) -> str:
    """The part of a version that compiled things depend on: 3.11 for Python, 20 for Node."""
    return ".".join(version.split(".")[: 2 if name == "python" else 1])


def _create(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.StoreUnavailable(
            f"the archive could not be written to {path.parent}: {error.strerror}",
            subject=str(path),
            next_moves=("free some disk space and freeze again",),
        ) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise errors.NotFound(f"there is no archive at {path}", subject=str(path)) from error
