"""The step saver: runs in a wireless bottle that sees the agent's workspace read-only and has nothing of the
host.

Arguments: the workspace, our own directory, the tree of the parent commit, the largest file in bytes, the
lengths of the three parts on stdin (ignore rules; those that hold at any depth; the listing of the parent's
tree, ``-`` when it is not told). On stdout: records ended by NUL, ``tree OID``, ``pack BYTES``, ``noted N``
and ``note KIND SIZE PATH``, or ``need listing``, or ``failed WHY``.

Our directory keeps a gitdir (index and trees) between steps, so that an unchanged file costs a stat. Nothing
in the workspace is believed: not its ``.git``, not its .gitignore, not its attributes. Standard library only,
Python 3.9 or newer, and few imports: each costs more than git does.
"""

# ruff: noqa: SIM105
# (paths are bytes and relative to a descriptor; pathlib and contextlib are slow to import)
from __future__ import annotations

import errno
import fcntl
import os
import stat
import sys
import zlib

try:
    from _sha1 import sha1  # type: ignore[import-not-found]  # hashlib brings OpenSSL, and that takes its time
except ImportError:
    from hashlib import sha1

ATTRIBUTES = b"* -text -filter -ident -working-tree-encoding -eol -diff -merge\n"
CONFIG = b"""[core]
	repositoryformatversion = 0
	bare = false
	hooksPath = /dev/null
	fsmonitor = false
	untrackedCache = false
	attributesFile = /dev/null
	excludesFile = /dev/null
	quotePath = false
	fileMode = true
	symlinks = true
	autocrlf = false
	ignoreCase = false
	precomposeUnicode = false
	protectNTFS = true
	protectHFS = true
	fsync = none
	looseCompression = 1
[submodule]
	recurse = false
[gc]
	auto = 0
"""
NOTES_MAX = 100
NESTED_MAX = 500
WALK_MAX = 300_000
ZERO = b"0" * 40
KINDS = {"tree": 2, "blob": 3}
DIRECTORY, GITLINK, LINK = b"40000", b"160000", b"120000"
READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
HFS_IGNORED = dict.fromkeys([*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF])
CANNOT_OPEN = b"could not open directory '"


class SaveError(Exception):
    """The step cannot be saved; the text is for the host."""


# --- git ---------------------------------------------------------------------------------------------------


class Running:
    """One git process whose input and output are memory."""

    def __init__(self, arguments: list[str], stdin: bytes, env: dict[str, str]) -> None:
        self.name = arguments[0]
        self._out, self._err = os.memfd_create("out"), os.memfd_create("err")
        given = os.memfd_create("in")
        pour(given, stdin)
        os.lseek(given, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate((given, self._out, self._err))]
        self._pid = os.posix_spawnp("git", ["git", *arguments], env, file_actions=actions)
        os.close(given)

    def result(self) -> tuple[int, bytes, bytes]:
        """Exit code, output, complaint."""
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status), drain(self._out), drain(self._err)

    def must(self) -> tuple[bytes, bytes]:
        code, out, complaint = self.result()
        if code != 0:
            raise SaveError(f"git {self.name}: {complaint[-400:].decode('utf-8', 'replace').strip()}")
        return out, complaint


def pour(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


def drain(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb") as stream:
        return stream.read()


class Git:
    """git on a gitdir of ours and a work tree we do not trust."""

    def __init__(self, tree: str, state: str) -> None:
        self.tree = tree
        self.dir = os.path.join(state, "saver.git")
        self.ignore = os.path.join(state, "ignore")
        self.env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_DIR": self.dir,
            "GIT_WORK_TREE": tree,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_ALLOW_PROTOCOL": "",
            "GIT_NO_LAZY_FETCH": "1",
        }

    def start(self, *arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Running:
        return Running(list(arguments), stdin, {**self.env, **(env or {})})

    def run(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return self.start(*arguments, stdin=stdin).must()[0]

    def prepare(self, ignore: bytes) -> None:
        """Make the gitdir what it must be; take away what a killed run left."""
        for part in ("info", "objects", "refs"):
            place = os.path.join(self.dir, part)
            if not os.path.isdir(place):
                os.makedirs(place)
        write(os.path.join(self.dir, "HEAD"), b"ref: refs/heads/none\n")
        write(os.path.join(self.dir, "config"), CONFIG)
        write(os.path.join(self.dir, "info", "attributes"), ATTRIBUTES)
        write(self.ignore, ignore)
        remove(os.path.join(self.dir, "index.lock"))

    def knows(self, tree: str) -> bool:
        return os.path.exists(os.path.join(self.dir, "index")) and os.path.exists(self._object(tree))

    def restart(self, listing: bytes, tree: str) -> None:
        """An index from the host's listing of the parent: only names and ids are needed, its blobs stay with
        the host."""
        remove(os.path.join(self.dir, "index"))
        self.run("update-index", "-z", "--index-info", stdin=listing)
        made = self.write_tree()
        if made != tree:
            raise SaveError(f"the listing makes tree {made}, not {tree}")
        # One look at every file now; later ones cost a stat. It says 1 when something changed.
        self.start("update-index", "-q", "--refresh").result()

    def write_tree(self) -> str:
        return self.run("write-tree", "--missing-ok").decode().strip()

    def tree_body(self, oid: str) -> bytes:
        """A tree that write-tree wrote here."""
        try:
            with open(self._object(oid), "rb") as stream:
                return zlib.decompress(stream.read()).split(b"\0", 1)[1]
        except (OSError, zlib.error, IndexError):
            raise SaveError(f"tree {oid} was not kept") from None

    def _object(self, oid: str) -> str:
        return os.path.join(self.dir, "objects", oid[:2], oid[2:])


# --- what becomes of a path --------------------------------------------------------------------------------


class Notes:
    """What could not be stored, for people: kind, size and path, capped but counted."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int, bytes]] = []
        self.total = 0

    def add(self, kind: str, path: bytes, size: int = 0) -> None:
        self.total += 1
        if len(self.found) < NOTES_MAX:
            self.found.append((kind, size, path))


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

    def content(self, path: bytes, mode: bytes) -> bytes:
        """The bytes to be stored for a path; ``SaveError`` when it is not what the index took it for."""
        try:
            if mode == LINK:
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
    text = part.decode("utf-8", "surrogateescape").translate(HFS_IGNORED).lower()
    return any(piece.split(":")[0].rstrip(". ") in (".git", "git~1") for piece in text.split("\\"))


# --- looking at the workspace ------------------------------------------------------------------------------


def look(git: Git, unanchored: bytes, sorter: Sorter) -> None:
    """Sort every changed, removed and new path."""
    listing = git.start("ls-files", "-z", "-m", "-d", "-o", "--exclude-from=" + git.ignore)
    strange(git.tree, unanchored, sorter.notes)  # meanwhile
    out, complaint = listing.must()
    shut(complaint, b"", sorter.notes)
    paths = {path for path in out.split(b"\0") if path}
    nested = [path for path in paths if path.endswith(b"/")]
    for path in sorted(paths.difference(nested)):
        sorter.take(path)
    if nested:
        write(git.ignore + ".nested", unanchored)
        look_into(git, sorted(nested), sorter)


def look_into(git: Git, nested: list[bytes], sorter: Sorter) -> None:
    """The files of repositories inside the workspace, theirs inside them too; never their ``.git``.

    Each is listed as if it were a work tree of its own, against an empty index.
    """
    todo, seen = list(nested), 0
    while todo:
        directory = todo.pop()
        seen += 1
        if seen > NESTED_MAX:
            raise SaveError(f"more than {NESTED_MAX} repositories inside the workspace")
        sorter.notes.add("repository", directory.rstrip(b"/"))
        place = os.path.join(os.fsencode(git.tree), directory)
        env = {"GIT_WORK_TREE": os.fsdecode(place), "GIT_INDEX_FILE": git.ignore + ".index"}
        listing = git.start("ls-files", "-z", "-o", "--exclude-from=" + git.ignore + ".nested", env=env)
        code, out, complaint = listing.result()
        shut(complaint, directory, sorter.notes)
        if code != 0:
            sorter.notes.add("unreadable", directory.rstrip(b"/"))
            continue
        found = [directory + path for path in out.split(b"\0") if path]
        todo.extend(path for path in found if path.endswith(b"/"))
        for path in found:
            if not path.endswith(b"/"):
                sorter.take(path)


def shut(complaint: bytes, prefix: bytes, notes: Notes) -> None:
    """Directories git could not open."""
    for line in complaint.split(b"\n"):
        _, found, rest = line.partition(CANNOT_OPEN)
        if found:
            notes.add("unreadable", prefix + rest.rpartition(b"'")[0].rstrip(b"/"))


def strange(tree: str, unanchored: bytes, notes: Notes) -> None:
    """Note what no tree can hold (pipes, sockets, devices): git passes over them without a word."""
    pruned = {line[:-1] for line in unanchored.split(b"\n") if line.endswith(b"/")} | {b".git"}
    todo, seen = [os.fsencode(tree)], 0
    cut = len(todo[0]) + 1
    while todo and seen < WALK_MAX:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue  # noted by the listing
        seen += len(entries)
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in pruned:
                    todo.append(entry.path)
            elif not entry.is_symlink():
                notes.add("special", entry.path[cut:])


# --- making the tree and the pack --------------------------------------------------------------------------


def update(git: Git, sorter: Sorter) -> None:
    """Bring the index up to date. Ids only: the bytes go from the file into the pack."""
    if sorter.directories:
        # Where the index has a leaf and the workspace a directory: a submodule of the base stays, else it
        # gave way.
        staged = [record.split(b"\t", 1) for record in git.run("ls-files", "-s", "-z").split(b"\0") if record]
        submodules = {path for about, path in staged if about.startswith(GITLINK)}
        sorter.drop.extend(path for path in sorter.directories if path not in submodules)
    if sorter.drop:
        # Out first: a directory that became a file leaves room for it.
        gone = b"".join(b"0 " + ZERO + b"\t" + path + b"\0" for path in sorter.drop)
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
        self._known: set[str] = set()

    def lacks(self, oid: str) -> bool:
        return oid not in self._known

    def add(self, kind: str, oid: str, body: bytes) -> None:
        if sha1(f"{kind} {len(body)}\0".encode() + body, usedforsecurity=False).hexdigest() != oid:
            raise SaveError("a file changed while it was being saved")
        self._known.add(oid)
        self._stream.write(head(KINDS[kind], len(body)) + zlib.compress(body, 1))

    def finish(self) -> int:
        """The number of objects and the sum of it all. Returns the bytes."""
        self._stream.seek(8)
        self._stream.write(len(self._known).to_bytes(4, "big"))
        self._stream.seek(0)
        total = sha1(usedforsecurity=False)
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


def leaves(body: bytes) -> dict[bytes, tuple[bytes, str]]:
    """The entries of a tree: name → mode, id."""
    found, at = {}, 0
    while at < len(body):
        space = body.index(b" ", at)
        end = body.index(b"\0", space)
        found[body[space + 1 : end]] = (body[at:space], body[end + 1 : end + 21].hex())
        at = end + 21
    return found


def pack(git: Git, sorter: Sorter, tree: str, parent: str, out: str) -> int:
    """Everything the new tree has and the parent's has not, for the host to check and take. Returns its
    bytes."""
    made = Pack(out)
    todo = [(b"", tree, parent)]
    while todo:
        place, new, old = todo.pop()
        body = git.tree_body(new)
        if made.lacks(new):
            made.add("tree", new, body)
        before = leaves(git.tree_body(old)) if old else {}
        for name, (mode, oid) in leaves(body).items():
            was = before.get(name)
            if mode == GITLINK or (was is not None and was[1] == oid):
                continue
            if mode == DIRECTORY:
                todo.append(
                    (place + name + b"/", oid, was[1] if was is not None and was[0] == DIRECTORY else "")
                )
            elif made.lacks(oid):
                made.add("blob", oid, sorter.content(place + name, mode))
    return made.finish()


def save(tree: str, state: str, parent: str, file_bytes: int, parts: list[bytes | None]) -> list[bytes]:
    ignore, unanchored, listing = parts
    git, notes = Git(tree, state), Notes()
    git.prepare(ignore or b"")
    if listing is not None:
        git.restart(listing, parent)
    elif not git.knows(parent):
        return [b"need listing"]
    sorter = Sorter(tree, file_bytes, notes)
    look(git, unanchored or b"", sorter)
    update(git, sorter)
    made = git.write_tree()
    size = pack(git, sorter, made, parent, os.path.join(state, "step.pack")) if made != parent else 0
    answer = [f"tree {made}", f"pack {size}", f"noted {notes.total}"]
    return [line.encode() for line in answer] + [
        f"note {k} {n} ".encode() + path for k, n, path in notes.found
    ]


def write(path: str, content: bytes) -> None:
    """Only where it differs: each file made new makes the disk's journal longer."""
    try:
        with open(path, "rb") as stream:
            if stream.read(len(content) + 1) == content:
                return
    except FileNotFoundError:
        pass
    with open(path, "wb") as stream:
        stream.write(content)


def remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def main(tree: str, state: str, parent: str, file_bytes: str, *sizes: str) -> int:
    parts = [None if size == "-" else sys.stdin.buffer.read(int(size)) for size in sizes]
    os.umask(0o077)
    os.chdir(
        tree
    )  # git looks again at files it may have read too early, and only from here does it find them
    with open(os.path.join(state, "lock"), "ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        try:
            answer = save(tree, state, parent, int(file_bytes), parts)
        except SaveError as failed:
            answer = [f"failed {failed}".encode()]
        except OSError as error:
            answer = [f"failed {os.strerror(error.errno or 0)}".encode()]
    sys.stdout.buffer.write(b"".join(record + b"\0" for record in answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
