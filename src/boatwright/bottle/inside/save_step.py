"""The step saver: runs in a wireless bottle that sees the agent's workspace read-only and has nothing of the
host.

One JSON line, then the ignore rules and the listing of the parent's tree, come in on stdin; one JSON line
goes out. Its own gitdir (index and objects) lies in its own workspace and is kept between steps, so that an
unchanged file costs a stat. Nothing in the agent's workspace is believed: not its ``.git``, not its
.gitignore, not its attributes. Standard library only; it must run on any Python 3.8 or newer the host has.
"""

# ruff: noqa: PTH103, PTH108, PTH110, PTH118, PTH120, PTH123
# (paths are bytes and relative to a descriptor; pathlib knows neither)
from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

ATTRIBUTES = "* -text -filter -ident -working-tree-encoding -eol -diff -merge\n"
NOTES_MAX = 100
NESTED_MAX = 500
WALK_MAX = 300_000
ZERO = "0" * 40
KINDS = {"commit": 1, "tree": 2, "blob": 3}
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
HFS_IGNORED = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.quotePath=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.fileMode=true",
    "core.symlinks=true",
    "core.autocrlf=false",
    "core.ignoreCase=false",
    "core.precomposeUnicode=false",
    "core.fsync=none",
    "core.protectNTFS=true",
    "core.protectHFS=true",
    "core.looseCompression=1",
    "core.bigFileThreshold=16m",
    "gc.auto=0",
    "safe.bareRepository=explicit",
    "submodule.recurse=false",
)


class SaveError(Exception):
    """The step cannot be saved; the text is for the host."""


class Git:
    """git on a gitdir of ours and a work tree we do not trust."""

    def __init__(self, tree: str, state: str) -> None:
        self.tree = tree
        self.dir = os.path.join(state, "saver.git")
        self.ignore = os.path.join(state, "ignore")

    def run(self, *arguments: str, stdin: bytes = b"", **environment: str) -> tuple[bytes, str]:
        code, out, complaint = self.call(arguments, stdin, environment)
        if code != 0:
            raise SaveError(f"git {arguments[0]}: {complaint.strip()[-400:]}")
        return out, complaint

    def call(
        self, arguments: Iterable[str], stdin: bytes, environment: dict[str, str]
    ) -> tuple[int, bytes, str]:
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_DIR": self.dir,
            "GIT_WORK_TREE": self.tree,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_NO_LAZY_FETCH": "1",
        }
        argv = ["git"] + [part for setting in SETTINGS for part in ("-c", setting)] + list(arguments)
        done = subprocess.run(
            argv, input=stdin, env={**env, **environment}, cwd=environment.get("GIT_WORK_TREE", self.tree),
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")

    def prepare(self, ignore: bytes) -> None:
        """Make the gitdir if it is not there; take away what a killed run left."""
        for part in ("info", "objects", "refs"):
            os.makedirs(os.path.join(self.dir, part), exist_ok=True)
        write(os.path.join(self.dir, "HEAD"), b"ref: refs/heads/none\n")
        write(os.path.join(self.dir, "config"), b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
        write(os.path.join(self.dir, "info", "attributes"), ATTRIBUTES.encode())
        write(self.ignore, ignore)
        remove(os.path.join(self.dir, "index.lock"))

    def has_tree(self, tree: str) -> bool:
        return self.call(("cat-file", "-e", tree + "^{tree}"), b"", {})[0] == 0

    def knows(self, tree: str) -> bool:
        return os.path.exists(os.path.join(self.dir, "index")) and self.has_tree(tree)

    def restart(self, listing: bytes, tree: str) -> None:
        """An index from the host's listing of the parent: its blobs stay with the host, only names and ids
        are needed."""
        remove(os.path.join(self.dir, "index"))
        self.run("update-index", "-z", "--index-info", stdin=listing)
        made = self.run("write-tree", "--missing-ok")[0].decode().strip()
        self.call(
            ("update-index", "-q", "--refresh"), b"", {}
        )  # one look at every file, so that later ones cost a stat
        if made != tree:
            raise SaveError(f"the listing makes tree {made}, not {tree}")


class Notes:
    """What could not be stored, for people: kind and path, capped but counted."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self.total = 0

    def add(self, kind: str, path: bytes, size: int = 0) -> None:
        self.total += 1
        if len(self.found) < NOTES_MAX:
            self.found.append({"kind": kind, "path": os.fsdecode(path), "size": size})


class Sorter:
    """Decides path by path what becomes of it: stored, taken out, or left as it was with a note."""

    def __init__(self, tree: str, file_bytes: int, notes: Notes) -> None:
        self.root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        self.file_bytes = file_bytes
        self.notes = notes
        self.store: list[bytes] = []
        self.drop: list[bytes] = []
        self.directories: list[bytes] = []
        self._plain: dict[bytes, bool] = {b"": True}

    def take(self, path: bytes) -> None:
        if any(means_git(part) for part in path.split(b"/")):
            self.notes.add("git_entry", path)
            return
        if not self._reached_plainly(os.path.dirname(path)):
            self.drop.append(path)
            return
        try:
            found = os.lstat(path, dir_fd=self.root)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                self.drop.append(path)
            else:
                self.notes.add("unreadable", path)
            return
        self._by_kind(path, found)

    def _by_kind(self, path: bytes, found: os.stat_result) -> None:
        if stat.S_ISLNK(found.st_mode):
            self.store.append(path)
        elif stat.S_ISDIR(found.st_mode):
            self.directories.append(path)
        elif not stat.S_ISREG(found.st_mode):
            self.drop.append(path)
        elif found.st_size > self.file_bytes:
            self.notes.add("too_large", path, found.st_size)
        elif not self._readable(path):
            self.notes.add("unreadable", path)
        else:
            self.store.append(path)

    def _readable(self, path: bytes) -> bool:
        try:
            os.close(os.open(path, READING, dir_fd=self.root))
        except OSError:
            return False
        return True

    def content(self, path: bytes, mode: str) -> bytes:
        """The bytes to be stored for a path; ``SaveError`` when it is not what the index took it for."""
        try:
            if mode == "120000":
                return os.readlink(path, dir_fd=self.root)
            with open(os.open(path, READING, dir_fd=self.root), "rb") as stream:
                return stream.read(self.file_bytes + 1)
        except OSError as error:
            raise SaveError(
                f"a file changed while it was being saved: {os.strerror(error.errno or 0)}"
            ) from error

    def _reached_plainly(self, directory: bytes) -> bool:
        """Whether no part of the way is a link: what lies behind a link is not in the tree."""
        known = self._plain.get(directory)
        if known is None:
            known = self._reached_plainly(os.path.dirname(directory)) and self._no_link(directory)
            self._plain[directory] = known
        return known

    def _no_link(self, directory: bytes) -> bool:
        try:
            return not stat.S_ISLNK(os.lstat(directory, dir_fd=self.root).st_mode)
        except OSError:
            return True  # not there: lstat of what lies in it will say so


def means_git(part: bytes) -> bool:
    """Whether git would refuse the name because some file system takes it for ``.git``."""
    if b"git" not in part.lower() and part.isascii():
        return False
    text = HFS_IGNORED.sub("", part.decode("utf-8", "surrogateescape")).lower()
    for piece in text.split("\\"):
        name = piece.split(":")[0].rstrip(". ")
        if name in {".git", "git~1"}:
            return True
    return False


def listed(git: Git, notes: Notes) -> tuple[set[bytes], list[bytes]]:
    """Changed, removed and new paths, and the directories that are repositories of their own."""
    out, complaint = git.run("ls-files", "-z", "-m", "-d", "-o", "--exclude-from=" + git.ignore)
    paths = {path for path in out.split(b"\0") if path}
    shut(complaint, b"", notes)
    nested = sorted(path for path in paths if path.endswith(b"/"))
    return {path for path in paths if not path.endswith(b"/")}, nested


def walk_nested(git: Git, nested: list[bytes], unanchored: bytes, notes: Notes) -> Iterator[bytes]:
    """The files of repositories inside the workspace, theirs inside them too; never their ``.git``.

    Each is listed as if it were a work tree of its own, against an empty index.
    """
    ignore, empty = git.ignore + ".nested", git.ignore + ".index"
    write(ignore, unanchored)
    todo, seen = list(nested), 0
    while todo:
        directory = todo.pop()
        seen += 1
        if seen > NESTED_MAX:
            raise SaveError(f"more than {NESTED_MAX} repositories inside the workspace")
        notes.add("repository", directory.rstrip(b"/"))
        inside = os.path.join(os.fsencode(git.tree), directory)
        remove(empty)
        code, out, complaint = git.call(
            ("ls-files", "-z", "-o", "--exclude-from=" + ignore), b"",
            {"GIT_WORK_TREE": os.fsdecode(inside), "GIT_INDEX_FILE": empty},
        )  # fmt: skip
        shut(complaint, directory, notes)
        if code != 0:
            notes.add("unreadable", directory.rstrip(b"/"))
            continue
        for path in out.split(b"\0"):
            if path.endswith(b"/"):
                todo.append(directory + path)
            elif path:
                yield directory + path


def shut(complaint: str, prefix: bytes, notes: Notes) -> None:
    """Directories git could not open."""
    for name in re.findall(r"could not open directory '(.*)': Permission denied", complaint):
        notes.add("unreadable", prefix + os.fsencode(name).rstrip(b"/"))


def strange(tree: str, skip: set[str], notes: Notes) -> None:
    """Note what no tree can hold (pipes, sockets, devices): git passes over them without a word."""
    todo, seen = [os.fsencode(tree)], 0
    cut = len(todo[0]) + 1
    pruned = {os.fsencode(name) for name in skip} | {b".git"}
    while todo and seen < WALK_MAX:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue  # noted by the listing
        seen += len(entries)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in pruned:
                    todo.append(entry.path)
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                notes.add("special", entry.path[cut:])


def settle_directories(git: Git, sorter: Sorter) -> None:
    """A directory where the index has a leaf: a submodule of the base stays, anything else gave way."""
    if not sorter.directories:
        return
    kept = set()
    for record in git.run("ls-files", "-s", "-z")[0].split(b"\0"):
        if record.startswith(b"160000 "):
            kept.add(record.split(b"\t", 1)[1])
    sorter.drop.extend(path for path in sorter.directories if path not in kept)


def update(git: Git, sorter: Sorter) -> None:
    # Out first: a directory that became a file leaves room for it.
    if sorter.drop:
        gone = b"".join(b"0 " + ZERO.encode() + b"\t" + path + b"\0" for path in sorter.drop)
        git.run("update-index", "-z", "--index-info", stdin=gone)
    if sorter.store:
        paths = b"".join(path + b"\0" for path in sorter.store)
        git.run("update-index", "-z", "--info-only", "--add", "--remove", "--replace", "--stdin", stdin=paths)


class Pack:
    """A pack of whole objects, written straight from the files: no object is stored twice, nothing is
    compared.

    What a file holds must hash to what the index says, so a file that changes meanwhile is found out.
    """

    def __init__(self, path: str) -> None:
        remove(path)
        self._stream = open(path, "w+b")  # noqa: SIM115 - closed by finish
        self._stream.write(b"PACK" + (2).to_bytes(4, "big") + b"\0\0\0\0")
        self._objects = 0

    def add(self, kind: str, oid: str, body: bytes) -> None:
        if hashlib.sha1(f"{kind} {len(body)}\0".encode() + body).hexdigest() != oid:
            raise SaveError("a file changed while it was being saved")
        self._stream.write(head(KINDS[kind], len(body)) + zlib.compress(body, 1))
        self._objects += 1

    def finish(self) -> int:
        """The number of objects and the sum of it all. Returns the bytes."""
        self._stream.seek(8)
        self._stream.write(self._objects.to_bytes(4, "big"))
        self._stream.seek(0)
        total = hashlib.sha1()
        for chunk in iter(lambda: self._stream.read(1 << 20), b""):
            total.update(chunk)
        self._stream.write(total.digest())
        size = self._stream.tell()
        self._stream.close()
        return size


def head(kind: int, size: int) -> bytes:
    """Kind and size before an object in a pack: gitformat-pack(5)."""
    out = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        out[-1] |= 0x80
        out.append(size & 0x7F)
        size >>= 7
    return bytes(out)


def pack(git: Git, sorter: Sorter, tree: str, parent: str, out: str) -> int:
    """Everything the new tree has and the parent's has not, for the host to check and take. Returns its
    bytes."""
    made, done, trees = Pack(out), set(), [tree]
    records = git.run("diff-tree", "-r", "-t", "-z", "--raw", "--no-renames", parent, tree)[0].split(b"\0")
    for about, path in zip(records[0::2], records[1::2]):
        _, mode, _, new, _ = about.decode().split(" ")
        if mode == "040000":
            trees.append(new)
        elif mode not in {"000000", "160000"} and new not in done:
            done.add(new)
            made.add("blob", new, sorter.content(path, mode))
    order = "".join(each + "\n" for each in dict.fromkeys(trees)).encode()
    found = git.run("cat-file", "--batch", stdin=order)[0]
    at = 0
    while at < len(found):
        end = found.index(b"\n", at)
        oid, kind, size = found[at:end].decode().split(" ")
        made.add(kind, oid, found[end + 1 : end + 1 + int(size)])
        at = end + int(size) + 2
    return made.finish()


def save(request: dict[str, Any], ignore: bytes, unanchored: bytes, listing: bytes | None) -> dict[str, Any]:
    git = Git(request["tree"], request["state"])
    parent = request["parent"]
    git.prepare(ignore)
    if listing is not None:
        git.restart(listing, parent)
    elif not git.knows(parent):
        return {"need": "listing"}
    notes = Notes()
    sorter = Sorter(git.tree, request["file_bytes"], notes)
    paths, nested = listed(git, notes)
    for path in sorted(paths):
        sorter.take(path)
    for path in walk_nested(git, nested, unanchored, notes):
        sorter.take(path)
    strange(git.tree, set(request["skip"]), notes)
    settle_directories(git, sorter)
    update(git, sorter)
    tree = git.run("write-tree", "--missing-ok")[0].decode().strip()
    size = pack(git, sorter, tree, parent, request["out"]) if tree != parent else 0
    return {"tree": tree, "pack": size, "notes": notes.found, "noted": notes.total}


def write(path: str, content: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(content)


def remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def main() -> int:
    source = sys.stdin.buffer
    request = json.loads(source.readline())
    parts = [source.read(size) if size is not None else None for size in request["sizes"]]
    os.umask(0o077)
    with open(os.path.join(request["state"], "lock"), "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            answer = save(request, parts[0] or b"", parts[1] or b"", parts[2])
        except SaveError as failed:
            answer = {"failed": str(failed)}
        except OSError as error:
            answer = {"failed": os.strerror(error.errno or 0)}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
