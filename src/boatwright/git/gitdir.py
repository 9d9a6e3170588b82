"""A gitdir of ours: running git in it, its refs, its commits."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from boatwright import errors
from boatwright.git import names, signing
from boatwright.git.run import Call, GitFailed, Ran, git
from boatwright.git.signing import Signer

ATTRIBUTES = "* -text -filter -ident -working-tree-encoding -eol !diff !merge\n"
"""In ``info/attributes``, which outranks every .gitattributes: bytes go in and come out as they are. Diff and
merge are left to git's own default, which knows text from binary; no driver is defined here, so none can be
named."""

_LOCK = "boatwright.lock"


@dataclass(frozen=True, slots=True)
class Author:
    name: str
    email: str


class Gitdir:
    """A bare repository that only this program writes."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, *arguments: str, call: Call | None = None) -> Ran:
        return git(self.path, *arguments, call=call)

    def line(self, *arguments: str, call: Call | None = None) -> str:
        """The one line a command answers with."""
        return self.run(*arguments, call=call).out.decode("ascii", "replace").strip()

    @property
    def scratch(self) -> Path:
        """Temporary index files, packs on their way in and out. On the same file system as the objects."""
        return self.path / "boatwright"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """One writer of refs and packs at a time, over threads and processes; given up by the kernel with its
        holder."""
        with (self.path / _LOCK).open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    # --- objects -------------------------------------------------------------------------------------------

    def has(self, oid: str) -> bool:
        """Whether the object is here."""
        return self.run("cat-file", "-e", names.oid(oid), call=Call(ok=(0, 1, 128))).code == 0

    def kind(self, oid: str) -> str:
        """``commit``, ``tree``, ``blob`` or ``tag``; ``errors.NotFound`` when the object is not here."""
        try:
            return self.line("cat-file", "-t", names.oid(oid))
        except GitFailed as failed:
            raise errors.NotFound(f"The mirror has no object {oid}.", subject=oid) from failed

    def tree_of(self, oid: str) -> str:
        """The tree of a commit (or the tree itself)."""
        try:
            return self.line("rev-parse", "--verify", "--quiet", f"{names.oid(oid)}^{{tree}}")
        except GitFailed as failed:
            raise errors.NotFound(f"The mirror has no commit {oid}.", subject=oid) from failed

    def commit_of(self, oid: str) -> str | None:
        """The commit an object id means (a tag is followed); None when it is here as no commit, or not at
        all."""
        ran = self.run(
            "rev-parse", "--verify", "--quiet", f"{names.oid(oid)}^{{commit}}", call=Call(ok=(0, 1, 128))
        )
        return ran.out.decode().strip() if ran.code == 0 else None

    def parents(self, commit: str) -> tuple[str, ...]:
        return tuple(self.line("rev-list", "--parents", "-n1", names.oid(commit)).split()[1:])

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether ``new`` contains ``old``."""
        arguments = ("merge-base", "--is-ancestor", names.oid(old), names.oid(new))
        return self.run(*arguments, call=Call(ok=(0, 1))).code == 0

    def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor; None when the histories have none."""
        ran = self.run("merge-base", names.oid(one), names.oid(other), call=Call(ok=(0, 1)))
        return ran.out.decode().strip() or None

    def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, author: Author, when: datetime,
        sign: Signer | None = None,
    ) -> str:  # fmt: skip
        """Write a commit. The same arguments give the same id, now and on any redo: ``when`` (aware) is both
        its dates."""
        if when.tzinfo is None:
            raise ValueError("a commit's date must carry its time zone")
        stamp = f"@{int(when.timestamp())} +0000"
        who = {"NAME": _ident(author.name), "EMAIL": _ident(author.email), "DATE": stamp}
        environment = {
            f"GIT_{role}_{part}": text for role in ("AUTHOR", "COMMITTER") for part, text in who.items()
        }
        body = message.replace("\x00", "").rstrip().encode("utf-8", "replace") + b"\n"
        options = [part for parent in parents for part in ("-p", names.oid(parent))]
        plain = self.line(
            "commit-tree",
            *options,
            "-F",
            "-",
            names.oid(tree),
            call=Call(stdin=body, environment=environment),
        )
        return plain if sign is None else self._signed(plain, sign)

    def _signed(self, plain: str, sign: Signer) -> str:
        """The same commit with a signature in it."""
        raw = self.run("cat-file", "commit", plain).out
        header = "gpgsig" if len(plain) == 40 else "gpgsig-sha256"
        commit = signing.signed(raw, sign(raw), header)
        return self.line("hash-object", "-t", "commit", "-w", "--stdin", call=Call(stdin=commit))

    # --- refs ----------------------------------------------------------------------------------------------

    def ref(self, name: str) -> str | None:
        """What a ref of ours points at; None when it does not exist."""
        ran = self.run("rev-parse", "--verify", "--quiet", names.ref(name), call=Call(ok=(0, 1, 128)))
        return ran.out.decode().strip() or None

    def refs(self, prefix: str = names.ROOT) -> dict[str, str]:
        """The refs of ours below ``prefix`` (which ends with a slash)."""
        out = self.line(
            "for-each-ref", "--format=%(objectname) %(refname)", names.ref(prefix.rstrip("/") + "/x")[:-1]
        )
        pairs = (line.split(" ", 1) for line in out.splitlines())
        return {name: oid for oid, name in pairs}

    def update_ref(self, name: str, new: str | None, old: str | None) -> None:
        """Compare and swap: move ``name`` from ``old`` (None: it must not exist) to ``new`` (None: remove
        it).

        Already at ``new`` is fine, whatever it was before: a redo does nothing. ``errors.Conflict`` when it
        is elsewhere.
        """
        names.ref(name)
        before = names.oid(old) if old else names.NOTHING
        after = names.oid(new) if new else names.NOTHING
        order = f"update {name}\x00{after}\x00{before}\x00"
        try:
            with self.lock():
                self.run("update-ref", "--no-deref", "-z", "--stdin", call=Call(stdin=order.encode()))
        except GitFailed as failed:
            now = self.ref(name)
            if now == new:
                return
            if now == old:
                raise
            raise errors.Conflict(
                f"{name} is at {now or 'nothing'}, not at {old or 'nothing'}.", subject=name
            ) from failed


def with_index(index: Path, call: Call | None = None) -> Call:
    """``call`` on a temporary index file."""
    call = call or Call()
    return replace(call, environment={**call.environment, "GIT_INDEX_FILE": str(index)})


def _ident(text: str) -> str:
    return re.sub(r"[\x00-\x1f<>]", "", text).strip(" .,:;\"'") or "boatwright"
