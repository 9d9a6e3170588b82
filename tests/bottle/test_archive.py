"""Freezing and thawing: the same files again, or a sentence that says why not."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import struct
from pathlib import Path

import pytest
import zstandard

from boatwright import errors
from boatwright.bottle import archive
from boatwright.bottle.backends.host import HostBackend, HostBottle
from boatwright.bottle.protocol import BottleSpec

FILL = """
set -e
echo one > file; chmod 640 file
mkdir -p deep/er; echo two > deep/er/file; ln -s ../file deep/link; ln -s /etc/passwd out
echo three > private; chmod 000 private
mkdir shut; echo four > shut/file; chmod 000 shut
printf '#!/bin/sh\\necho ran\\n' > tool; chmod +x tool
touch "$(printf 'new\\nline')"
mkdir ~/.agent; echo session > ~/.agent/state
truncate -s 64M sparse
"""
SHOW = """
set -e
chmod 700 shut; chmod 600 private
cat file deep/er/file deep/link private shut/file ~/.agent/state; ./tool; readlink out
stat -c '%s' sparse; test -e "$(printf 'new\\nline')" && echo newline
stat -c '%a' file
"""
SHOWN = "one\ntwo\none\nthree\nfour\nsession\nran\n/etc/passwd\n67108864\nnewline\n640\n"


@pytest.fixture
async def frozen(backend: HostBackend, bottle: HostBottle) -> Path:
    filled = await bottle.exec(["sh", "-c", FILL])
    assert filled.ok, filled
    path = backend.state.artifacts / "frozen.tar.zst"
    await backend.freeze("b", path)
    return path


async def test_thawed_is_as_it_was_frozen(backend: HostBackend, frozen: Path) -> None:
    thawed = await backend.thaw(BottleSpec("again", "test"), frozen)
    result = await thawed.exec(["sh", "-c", SHOW])
    assert result.text() == SHOWN
    left = await backend.open("b")
    assert left is not None, "the frozen bottle remains"


async def test_a_frozen_bottle_survives_its_destruction(backend: HostBackend, frozen: Path) -> None:
    await backend.destroy("b")
    thawed = await backend.thaw(BottleSpec("b", "test"), frozen)
    assert (await thawed.exec(["sh", "-c", SHOW])).text() == SHOWN


async def test_the_archive_is_an_ordinary_one_with_our_manifest(frozen: Path, backend: HostBackend) -> None:
    manifest = archive.check(frozen, backend=backend.name)
    assert (manifest.slug, manifest.backend, manifest.architecture) == ("b", backend.name, os.uname().machine)
    assert manifest.toolchain["python"].startswith("3.")
    with frozen.open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True).read()
    assert len(plain) == manifest.tar_bytes
    assert b"workspace/deep/er/file" in plain
    assert frozen.stat().st_mode & 0o777 == 0o600
    assert frozen.stat().st_size < 1 << 20, "holes stay holes"
    assert not [each for each in frozen.parent.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize("where", [200, -1])
async def test_an_altered_archive_is_refused(backend: HostBackend, frozen: Path, where: int) -> None:
    content = bytearray(frozen.read_bytes())
    content[where] ^= 1
    frozen.write_bytes(content)
    with pytest.raises(errors.Refused) as refused:
        await backend.thaw(BottleSpec("again", "test"), frozen)
    assert refused.value.next_moves
    assert await backend.open("again") is None


@pytest.mark.parametrize("content", [b"", b"no archive", bytes(5000)])
async def test_what_is_no_archive_is_refused(backend: HostBackend, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(errors.Refused, match="not an archive"):
        await backend.thaw(BottleSpec("again", "test"), tmp_path / "x")
    with pytest.raises(errors.NotFound):
        await backend.thaw(BottleSpec("again", "test"), tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"architecture": "pdp11"}, "frozen on architecture pdp11"),
        ({"backend": "another"}, "frozen on backend another"),
        ({"toolchain": {"python": "2.7.18"}}, "frozen with python 2.7.18"),
        ({"toolchain": {"node": "4.0.0"}}, "frozen with node 4.0.0"),
    ],
)
async def test_a_mismatch_is_refused_with_the_remedy(
    backend: HostBackend, frozen: Path, change: dict[str, object], sentence: str
) -> None:
    _rewrite(frozen, change)
    with pytest.raises(errors.Refused, match=sentence) as refused:
        await backend.thaw(BottleSpec("again", "test"), frozen)
    assert refused.value.next_moves
    assert await backend.open("again") is None, "nothing half thawed is left"


def _rewrite(path: Path, change: dict[str, object]) -> None:
    """An archive that says something else of itself, rightly sealed."""
    content = path.read_bytes()
    manifest = archive.Manifest(**json.loads(content[8 : archive.HEADER]) | change)
    digest = manifest.digest()
    digest.update(content[archive.HEADER :])
    sealed = dataclasses.replace(manifest, sha256=digest.hexdigest()).packed()
    header = struct.pack("<II", archive.SKIPPED, archive.HEADER - 8) + sealed.ljust(archive.HEADER - 8)
    path.write_bytes(header + content[archive.HEADER :])


async def test_an_archive_that_lies_about_its_size_is_refused(backend: HostBackend, frozen: Path) -> None:
    _rewrite(frozen, {"tar_bytes": 10_000})
    with pytest.raises(errors.StoreUnavailable, match="could not be unpacked"):
        await backend.thaw(BottleSpec("again", "test"), frozen)
    assert await backend.open("again") is None


async def test_thawing_over_a_bottle_is_refused(backend: HostBackend, frozen: Path) -> None:
    with pytest.raises(errors.Conflict, match="there is a bottle named b"):
        await backend.thaw(BottleSpec("b", "test"), frozen)


async def test_a_full_disk_leaves_no_archive(
    backend: HostBackend, bottle: HostBottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bottle.exec(["sh", "-c", "head -c 3000000 /dev/urandom > noise"])
    create = archive._create

    class Full:
        def __init__(self, path: Path) -> None:
            self._file = create(path)
            self._left = 1_000_000

        def write(self, content: bytes) -> int:
            self._left -= len(content)
            if self._left < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self._file.write(content)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

    monkeypatch.setattr(archive, "_create", Full)
    with pytest.raises(errors.StoreUnavailable, match="No space left"):
        await backend.freeze("b", backend.state.artifacts / "a")
    assert list(backend.state.artifacts.iterdir()) == []


async def test_freezing_what_is_not_there(backend: HostBackend, tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        await backend.freeze("nobody", tmp_path / "a")
