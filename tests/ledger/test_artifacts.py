"""Artifacts: by digest, whole or not there, collected only when nobody needs them."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.ledger.artifacts import KINDS, ArtifactStore

NOW = datetime.now(UTC)


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "artifacts")


def age(store: ArtifactStore, digest: str, days: float) -> None:
    moment = (NOW - timedelta(days=days)).timestamp()
    os.utime(store.path(digest), (moment, moment))


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_bytes_come_back_by_their_digest(store: ArtifactStore, tmp_path: Path) -> None:
    digest = store.put("transcript", b"aye")
    name = hashlib.sha256(b"aye").hexdigest()
    assert digest == f"sha256:{name}"
    assert store.get(digest) == b"aye"
    path = store.path(digest)
    assert path == tmp_path / "artifacts" / "transcript" / name[:2] / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert store.exists(digest)
    assert store.put("transcript", b"aye") == digest
    assert files(tmp_path) == [path]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) + 1])
def test_a_file_is_kept_like_its_bytes(store: ArtifactStore, tmp_path: Path, size: int) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(size))
    digest = store.put_file("pack", source)
    assert store.get(digest) == source.read_bytes()
    assert store.put_file("pack", source) == digest
    assert len(files(tmp_path / "artifacts")) == 1
    assert store.sizes()["pack"] == size


def test_what_is_not_there_is_named(store: ArtifactStore, tmp_path: Path) -> None:
    unknown = "sha256:" + "0" * 64
    assert not store.exists(unknown)
    with pytest.raises(errors.NotFound, match="0000"):
        store.get(unknown)
    for wrong in ("0" * 64, "sha256:../../etc/passwd", "sha256:" + "G" * 64, "sha256:" + "0" * 64 + "\n"):
        with pytest.raises(errors.BadInput, match="is not a digest"):
            store.get(wrong)
    (tmp_path / "link").symlink_to("/etc/passwd")
    for source in (tmp_path / "nothing", tmp_path, tmp_path / "link"):
        with pytest.raises(errors.NotFound, match=source.name):
            store.put_file("log", source)
    with pytest.raises(ValueError, match="whale"):
        store.put("whale", b"")


def test_a_damaged_file_is_not_believed_and_can_be_put_again(store: ArtifactStore) -> None:
    digest = store.put("plan", b"right")
    store.path(digest).write_bytes(b"wrong")
    with pytest.raises(errors.StoreUnavailable, match="no longer holds"):
        store.get(digest)
    store.put("plan", b"right")
    assert store.get(digest) == b"right"


def test_many_may_put_the_same_at_once(store: ArtifactStore, tmp_path: Path) -> None:
    data = os.urandom(1 << 16)
    with ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(lambda _: store.put("report", data), range(32)))
    assert len(digests) == 1
    assert len(files(tmp_path)) == 1


def test_gc_removes_what_is_old_and_unwanted(store: ArtifactStore, tmp_path: Path) -> None:
    kept, young, old, again = (store.put("log", data * 10) for data in (b"k", b"y", b"o", b"a"))
    other = store.put("freeze", b"f" * 10)
    for digest in (kept, old, again, other):
        age(store, digest, days=10)
    store.put("log", b"a" * 10)  # put again: an event will name it
    left = tmp_path / "artifacts" / "log" / "unfinished" / "left-by-a-kill"
    left.write_bytes(b"x" * 5)
    os.utime(left, (0, 0))
    limit = NOW - timedelta(days=5)
    assert store.gc({kept}, limit, dry_run=True) == 25
    assert store.exists(old)
    assert store.gc({kept}, limit, kinds=("log",)) == 15
    assert [store.exists(digest) for digest in (kept, young, old, again, other)] == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert not left.exists()
    assert store.gc({kept}, limit) == 10
    assert store.gc({kept}, limit) == 0
    assert store.sizes() == {kind: 30 if kind == "log" else 0 for kind in KINDS}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 kB, where we may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this user may not mount a small disk; the file size limit stands in for it below")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_nothing_half_written(small_disk: Path) -> None:
    store = ArtifactStore(small_disk / "artifacts")
    digest = store.put("log", b"small")
    with pytest.raises(errors.StoreUnavailable, match="the disk is full") as caught:
        store.put("log", b"x" * 1_000_000)
    assert caught.value.next_moves
    assert [path.name for path in files(small_disk)] == [digest.removeprefix("sha256:")]
    assert store.get(digest) == b"small"


def test_a_file_that_may_not_grow_leaves_nothing_half_written(store: ArtifactStore, tmp_path: Path) -> None:
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        try:
            store.put("log", b"x" * 1_000_000)
        except errors.StoreUnavailable as error:
            os._exit(0 if "may not grow" in str(error) and not files(tmp_path) else 2)
        except BaseException:  # noqa: BLE001 - the edge of this process
            os._exit(3)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
