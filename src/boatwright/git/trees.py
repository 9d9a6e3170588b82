"""Reading and making trees, in our gitdir only: no work tree, no external diff, no driver."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from boatwright import errors
from boatwright.git import names
from boatwright.git.gitdir import Gitdir, with_index
from boatwright.git.run import Call, git

LINK, GITLINK, EXECUTABLE, FILE = "120000", "160000", "100755", "100644"
DIFF_BYTES = 4 << 20
_DIFF = ("--no-ext-diff", "--no-textconv", "--no-color", "--full-index", "--ignore-submodules=none")


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf of a tree. ``path`` keeps bytes that are not UTF-8 as surrogates (``names.shown`` is for
    people)."""

    path: str
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Change:
    """What one path is to base and head. Modes are git's (``000000``: not there); lines are None where
    binary.

    ``status`` is A, M, D, T (kind changed) or R; a rename's old path is ``renamed_from`` and is gone in head.
    """

    path: str
    old_mode: str
    new_mode: str
    status: str
    added: int | None
    deleted: int | None
    binary: bool
    renamed_from: str | None
    old_oid: str
    new_oid: str


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge made of trees alone. With conflicts the tree holds markers and is of no use but to show
    them."""

    tree: str
    conflicts: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not self.conflicts


class Trees(Gitdir):
    def entries(self, oid: str) -> list[Entry]:
        """Every file, link and gitlink below a commit or tree, in git's order."""
        return [_entry(record) for record in self.listing(oid).split(b"\x00") if record]

    def listing(self, oid: str) -> bytes:
        """A commit or tree the way ``update-index -z --index-info`` reads it back, and ``entries`` is made
        from."""
        return self.run("ls-tree", "-r", "-z", "--full-tree", names.oid(oid)).out

    def paths(self, oid: str) -> list[str]:
        return [entry.path for entry in self.entries(oid)]

    def changed(self, base: str, head: str, *, renames: bool = True, counts: bool = True) -> list[Change]:
        """What head changes against base (commits or trees), by path. Without ``counts`` no file is read: no
        lines, and nothing is known of ``binary``."""
        options = ["-M" if renames else "--no-renames", *(["--numstat"] if counts else [])]
        ran = self.run("diff-tree", "-r", "-z", "--raw", *options, *_DIFF, names.oid(base), names.oid(head))
        return _changes(ran.out, counts=counts)

    def diff_text(self, base: str, head: str, cap: int = DIFF_BYTES) -> str:
        """The patch for reading; cut after ``cap`` bytes with a last line that says so."""
        call = Call(cap=cap, truncate=True)
        ran = self.run("diff-tree", "-r", "-p", "-M", *_DIFF, names.oid(base), names.oid(head), call=call)
        text = ran.out.decode("utf-8", "replace")
        return f"{text}\n[the diff is longer; cut after {cap} bytes]\n" if ran.truncated else text

    def entry(self, oid: str, path: str) -> Entry | None:
        """The leaf (or tree, mode 040000) at ``path``; None when there is none."""
        if any(part in {"", ".", ".."} for part in path.split("/")):
            return None
        out = self.run("ls-tree", "-z", "--full-tree", names.oid(oid), "--", path).out
        found = [_entry(record) for record in out.split(b"\x00") if record]
        return next((entry for entry in found if entry.path == path), None)

    def read(self, oid: str, path: str, cap: int = 1 << 20) -> bytes | None:
        """The bytes of a file at a commit (of a link: its target); None when it is no file there.

        ``errors.BadInput`` when it is larger than ``cap`` bytes.
        """
        entry = self.entry(oid, path)
        if entry is None or entry.mode not in {FILE, EXECUTABLE, LINK}:
            return None
        if int(self.line("cat-file", "-s", entry.oid)) > cap:
            raise errors.BadInput(
                f"{names.shown(path)} is larger than {cap} bytes.", subject=names.shown(path)
            )
        return self.run("cat-file", "blob", entry.oid).out

    def read_many(
        self, oids: list[str], cap: int = 64 << 20, *, kinds: tuple[str, ...] = ("blob",)
    ) -> dict[str, bytes]:
        """The bytes of several blobs by id, in one process; ids that are not here or no blobs are left
        out. ``kinds``: other objects, too."""
        if not oids:
            return {}
        order = "".join(f"{names.oid(oid)}\n" for oid in oids).encode()
        return _batch(self.run("cat-file", "--batch", call=Call(stdin=order, cap=cap)).out, kinds)

    def compose(self, base: str, take: Mapping[str, str | None]) -> str:
        """A tree: ``base`` with each path of ``take`` in the form it has at that commit.

        None, or a commit that lacks the path, takes the path out. A file may replace a directory and the
        other way round. Made in a temporary index; nothing is checked out.
        """
        wanted: dict[str, Entry | None] = dict.fromkeys(take)
        for commit in sorted({commit for commit in take.values() if commit}):
            there = {entry.path: entry for entry in self.entries(commit)}
            wanted.update({path: there.get(path) for path, source in take.items() if source == commit})
        gone = b"".join(f"0 {names.NOTHING}\t".encode() + names.raw(path) + b"\x00" for path in wanted)
        put = b"".join(_index_line(entry) for entry in wanted.values() if entry)
        with self.index(base) as call:
            self.run("update-index", "-z", "--replace", "--index-info", call=replace(call, stdin=gone + put))
            return self.line("write-tree", call=call)

    @contextmanager
    def index(self, tree: str | None = None) -> Iterator[Call]:
        """A call on a temporary index, filled from ``tree``."""
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix="index-") as directory:
            call = with_index(Path(directory) / "index")
            if tree:
                self.run("read-tree", names.oid(tree), call=call)
            yield call

    def merge(self, head: str, other: str) -> Merge:
        """Merge two commits without a work tree. ``errors.MissingPart`` when this host's git cannot."""
        if not _can_merge(self.path):
            raise errors.MissingPart(
                "This host's git cannot merge without a work tree.",
                subject="git",
                next_moves=("install git 2.38 or newer",),
            )
        arguments = (
            "merge-tree",
            "--write-tree",
            "-z",
            "--name-only",
            "--no-messages",
            names.oid(head),
            names.oid(other),
        )
        ran = self.run(*arguments, call=Call(ok=(0, 1)))
        tree, *conflicts = [names.text(part) for part in ran.out.split(b"\x00") if part]
        if ran.code == 1 and not conflicts:
            raise errors.Conflict(f"{head[:12]} and {other[:12]} cannot be merged.", subject=other)
        return Merge(tree=tree, conflicts=tuple(dict.fromkeys(conflicts)))


@functools.cache
def _can_merge(git_dir: Path) -> bool:
    """Flags are probed, not versions."""
    return "--write-tree" in git(git_dir, "merge-tree", "-h", call=Call(ok=(0, 129))).out.decode()


def _entry(record: bytes) -> Entry:
    about, _, path = record.partition(b"\t")
    mode, _, oid = about.decode().split(" ")
    return Entry(path=names.text(path), mode=mode, oid=oid)


def _index_line(entry: Entry) -> bytes:
    return f"{entry.mode} {entry.oid}\t".encode() + names.raw(entry.path) + b"\x00"


def _batch(out: bytes, kinds: tuple[str, ...]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    at = 0
    while at < len(out):
        end = out.index(b"\n", at)
        words = out[at:end].decode().split(" ")
        at = end + 1
        if len(words) != 3:  # "<oid> missing"
            continue
        size = int(words[2])
        if words[1] in kinds:
            found[words[0]] = out[at : at + size]
        at += size + 1
    return found


def _changes(out: bytes, *, counts: bool) -> list[Change]:
    """``diff-tree --raw --numstat -z``: first all raw records, then all counts, in the same order."""
    parts = iter(out.split(b"\x00"))
    changes: list[Change] = []
    lines: list[tuple[int | None, int | None]] = []
    for part in parts:
        if part.startswith(b":"):
            changes.append(_raw_record(part, parts))
        elif part:
            added, deleted, path = part.split(b"\t", 2)
            lines.append((_count(added), _count(deleted)))
            if not path:  # a rename: old and new path follow
                next(parts), next(parts)
    if not counts:
        return changes
    return [
        replace(change, added=added, deleted=deleted, binary=added is None)
        for change, (added, deleted) in zip(changes, lines, strict=True)
    ]


def _raw_record(part: bytes, parts: Iterator[bytes]) -> Change:
    old_mode, new_mode, old_oid, new_oid, status = part[1:].decode().split(" ")
    first = names.text(next(parts))
    renamed = status[0] in "RC"
    return Change(
        path=names.text(next(parts)) if renamed else first,
        old_mode=old_mode,
        new_mode=new_mode,
        status=status[0],
        added=None,
        deleted=None,
        binary=False,
        renamed_from=first if renamed else None,
        old_oid=old_oid,
        new_oid=new_oid,
    )


def _count(digits: bytes) -> int | None:
    return None if digits == b"-" else int(digits)
