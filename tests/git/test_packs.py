"""Packs from outside: all or nothing; packs and bundles to outside: what was asked and nothing else."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
import zlib
from datetime import UTC, datetime

import pytest

from boatwright.git import names
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.packs import BadPack, PackCaps

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ANN = Author("Ann", "ann@example.org")
KINDS = {"commit": 1, "tree": 2, "blob": 3}


def pack(*objects: tuple[str, bytes]) -> bytes:
    """A pack of whole objects, written by hand so that it can hold what git would not write."""
    out = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    for kind, body in objects:
        size = len(body)
        byte = KINDS[kind] << 4 | size & 15
        size >>= 4
        while size:
            out += bytes([byte | 0x80])
            byte, size = size & 0x7F, size >> 7
        out += bytes([byte]) + zlib.compress(body)
    return out + hashlib.sha1(out).digest()


def oid(kind: str, body: bytes) -> str:
    return hashlib.sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest()


def tree(*entries: tuple[str, str, str]) -> bytes:
    return b"".join(
        f"{mode} ".encode() + name.encode() + b"\0" + bytes.fromhex(at) for mode, name, at in entries
    )


BLOB = b"content\n"
B = oid("blob", BLOB)


def everything(mirror: Mirror) -> set[str]:
    out = mirror.run("cat-file", "--batch-check", "--batch-all-objects").out.decode()
    return {line.split()[0] for line in out.splitlines()}


def leftovers(mirror: Mirror) -> list[str]:
    return [path.name for path in mirror.scratch.iterdir()]


def test_a_good_pack_is_taken(mirror):
    good = tree(("100644", "a", B))
    mirror.unpack(pack(("blob", BLOB), ("tree", good)), want=oid("tree", good))
    assert mirror.read(oid("tree", good), "a") == BLOB
    mirror.unpack(pack(("blob", BLOB), ("tree", good)))  # a redo
    assert leftovers(mirror) == []


def test_a_pack_may_lean_on_what_is_here(mirror):
    head = mirror.fetch()
    there = mirror.entry(head, "README").oid
    leaning = tree(("100644", "README", there))
    mirror.unpack(pack(("tree", leaning)), want=oid("tree", leaning))
    assert mirror.read(oid("tree", leaning), "README") == b"hello\n"


LINKED = oid("blob", b"/etc/passwd")
BAD = {
    "no pack": b"hello, I am no pack at all",
    "nothing": b"",
    "cut": pack(("blob", BLOB * 1_000))[:-30],
    "wrong sum": pack(("blob", BLOB))[:-1] + b"\0",
    "dot git": pack(("blob", BLOB), ("tree", tree(("100644", ".git", B)))),
    "dot GIT": pack(("blob", BLOB), ("tree", tree(("100644", ".GIT", B)))),
    "short name of .git": pack(("blob", BLOB), ("tree", tree(("100644", "git~1", B)))),
    "dot dot": pack(("blob", BLOB), ("tree", tree(("100644", "..", B)))),
    "slash": pack(("blob", BLOB), ("tree", tree(("100644", "a/b", B)))),
    "twice": pack(("blob", BLOB), ("tree", tree(("100644", "a", B), ("100755", "a", B)))),
    "mode": pack(("blob", BLOB), ("tree", tree(("104755", "a", B)))),
    "missing blob": pack(("tree", tree(("100644", "a", "1" * 40)))),
    "tree as blob": pack(("blob", BLOB), ("tree", tree(("40000", "a", B)))),
    "null id": pack(("tree", tree(("100644", "a", "0" * 40)))),
    "gitmodules is a link": pack(("blob", b"/etc/passwd"), ("tree", tree(("120000", ".gitmodules", LINKED)))),
    "garbage tree": pack(("tree", b"\0\1\2garbage")),
    "garbage commit": pack(("commit", b"garbage")),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_pack_is_refused_and_leaves_nothing(mirror, kind):
    mirror.fetch()
    before = everything(mirror)
    with pytest.raises(BadPack):
        mirror.unpack(BAD[kind])
    assert everything(mirror) == before
    assert leftovers(mirror) == []


def test_a_pack_without_what_was_promised_is_refused(mirror):
    with pytest.raises(BadPack):
        mirror.unpack(pack(("blob", BLOB)), want="1" * 40)
    assert not mirror.has(B)


def test_caps(mirror, tmp_path):
    with pytest.raises(BadPack, match="objects, the limit is 1"):
        mirror.unpack(pack(("blob", BLOB), ("blob", b"other")), caps=PackCaps(objects=1))
    (tmp_path / "pack").write_bytes(pack(("blob", os.urandom(5_000))))
    with pytest.raises(BadPack, match="bytes, the limit is 1000"):
        mirror.unpack(tmp_path / "pack", caps=PackCaps(size=1_000))


def test_a_kill_during_unpack_leaves_no_half_state(mirror, tmp_path, state):
    """The unpacking process and its git are killed at the moment the checked pack is complete but not yet
    moved in."""
    mirror.fetch()
    before = everything(mirror)
    (tmp_path / "pack").write_bytes(pack(("blob", BLOB)))
    program = textwrap.dedent(f"""
        import os, pathlib, signal
        from boatwright.git.mirror import Mirror
        Mirror._move_in = lambda self, directory: os.kill(os.getpid(), signal.SIGKILL)
        Mirror(pathlib.Path({str(mirror.path)!r})).unpack(pathlib.Path({str(tmp_path / "pack")!r}))
    """)
    died = subprocess.run([sys.executable, "-c", program], check=False)
    assert died.returncode == -signal.SIGKILL
    assert everything(mirror) == before
    assert len(leftovers(mirror)) == 1
    again = Mirror.open(state, "theirs-00000000", mirror.source)
    assert leftovers(again) == []
    again.unpack(tmp_path / "pack")
    assert again.has(B)


def test_open_does_not_sweep_what_is_in_use(mirror, state):
    with mirror._quarantine() as directory:
        Mirror.open(state, "theirs-00000000")
        assert directory.exists()


def test_a_kept_pack_brings_a_work_ref_back(mirror, repo, state):
    base = mirror.fetch()
    new = mirror.compose(base, {"README": None})
    step = mirror.commit_tree(new, [base], "step 1", ANN, WHEN)
    kept = mirror.pack_of([step], [base])
    other = Mirror.open(state, "elsewhere", repo.path)
    other.fetch()
    other.unpack(kept, want=step)
    assert other.parents(step) == (base,)
    assert other.tree_of(step) == new


def inside(pack, tmp_path) -> dict[str, str]:
    """Kind by id of what a pack holds, read by a repository that has nothing else."""
    target = tmp_path / "alone.git"
    subprocess.run(["git", "init", "-q", "--bare", str(target)], check=True)
    with pack.open("rb") as stream:
        subprocess.run(
            ["git", "index-pack", "--stdin"], cwd=target, check=True, stdin=stream, capture_output=True
        )
    listed = subprocess.run(
        ["git", "cat-file", "--batch-check", "--batch-all-objects"],
        cwd=target,
        check=True,
        capture_output=True,
        text=True,
    )
    return {line.split()[0]: line.split()[1] for line in listed.stdout.splitlines()}


def test_a_history_holds_what_was_asked_and_nothing_else(mirror, repo, tmp_path):
    root = repo.git("rev-parse", "HEAD")
    first = repo.commit({"first": "1\n"})
    repo.git("tag", "-a", "secret-tag", "-m", "x")
    later = repo.commit({"later": "secret\n"})
    mirror.fetch()
    step = mirror.commit_tree(mirror.compose(first, {"README": None}), [later], "work", ANN, WHEN)
    mirror.set_work("ex-1", step)
    with mirror.history([first], also=[mirror.tree_of(step)]) as kept:
        found = inside(kept, tmp_path)
    assert {at for at, kind in found.items() if kind == "commit"} == {root, first}
    assert "tag" not in found.values()
    assert mirror.entry(later, "later").oid not in found
    assert mirror.tree_of(step) in found
    assert leftovers(mirror) == []


def test_a_history_can_end_at_once(mirror, repo, tmp_path):
    repo.commit({"old": "only in the past\n"})
    head = repo.commit({"old": None})
    mirror.fetch()
    with mirror.history([head], grafts=[head]) as kept:
        found = inside(kept, tmp_path)
    assert [at for at, kind in found.items() if kind == "commit"] == [head]
    assert {mirror.entry(head, "README").oid, mirror.tree_of(head)} < set(found)
    assert len(found) == 1 + 3 + 3  # the commit, three trees, three files


def test_maintaining_drops_nothing(mirror, repo):
    base = mirror.fetch()
    loose = mirror.commit_tree(mirror.tree_of(base), [base], "held by no ref", ANN, WHEN)
    mirror.unpack(pack(("blob", BLOB)))
    before = everything(mirror)
    mirror.maintain()
    assert everything(mirror) == before
    assert mirror.has(loose)
    assert mirror.ref(names.base(base)) == base
