"""The bare repository behind each repository of the local forge: host-owned, checked on receipt, without
hooks.

Branches are plain ``refs/heads/…``: this is what the mirror pushes to and what people fetch from. What the
source's base looked like last is under ``refs/boatwright/source/``.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from boatwright import errors
from boatwright.git import names
from boatwright.git.gitdir import ATTRIBUTES, Author
from boatwright.git.mirror import OLD_SINS
from boatwright.git.remote import Remote
from boatwright.git.run import Call, GitFailed, git
from boatwright.git.trees import DIFF_BYTES, Trees
from boatwright.rules import naming

FETCH_SECONDS = 1_800.0
MERGER = Author(name="Boatwright", email="boatwright@localhost")

_CONFIG = (
    ("core.hooksPath", "/dev/null"),
    ("transfer.fsckObjects", "true"),
    ("receive.denyDeletes", "true"),
    ("receive.autogc", "false"),
    ("receive.shallowUpdate", "true"),  # a source may be a shallow clone
    ("gc.auto", "0"),
    ("core.logAllRefUpdates", "true"),
    *((f"{side}.fsck.{sin}", "ignore") for side in ("receive", "fetch") for sin in OLD_SINS),
)
_FETCH = (
    "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules",
    "--no-auto-maintenance", "--update-shallow", "--refmap=",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MergeOrder:
    """What to merge: exactly ``head`` of ``branch`` into ``base``, with the words and the time of the merge
    commit.
    """

    branch: str
    head: str
    base: str
    message: str
    when: datetime


class Bare(Trees):
    """One bare repository of the local forge."""

    @classmethod
    def make(cls, path: Path, default_branch: str) -> Bare:
        """The repository at ``path``, made if absent; whole or not at all, however many make it at once."""
        if not path.exists():
            _make(path, default_branch if naming.valid_branch(default_branch) else "main")
        return cls(path)

    def head(self, branch: str) -> str | None:
        """The commit a branch is at; None when there is no such branch."""
        name = f"refs/heads/{names.branch(branch)}"
        ran = self.run("rev-parse", "--verify", "--quiet", name, call=Call(ok=(0, 1, 128)))
        return ran.out.decode("ascii", "replace").strip() or None

    def heads(self) -> dict[str, str]:
        """Every branch and the commit it is at."""
        out = self.run("for-each-ref", "--format=%(objectname) %(refname:lstrip=2)", "refs/heads/").out
        pairs = (line.split(" ", 1) for line in out.decode("utf-8", "surrogateescape").splitlines())
        return {name: oid for oid, name in pairs}

    def refresh(self, base: str, source: str) -> str:
        """Bring the source's ``base`` branch here and return where ``base`` stands now.

        The source leads, except for merges made here that it has not taken yet. ``errors.Conflict`` when
        each has something the other lacks; ``errors.BadInput`` when the source has no such branch.
        """
        theirs = self._fetch(base, source)
        ours = self.head(base)
        if ours == theirs or (ours is not None and self.is_ancestor(theirs, ours)):
            return ours
        if ours is not None and not self.is_ancestor(ours, theirs):
            raise errors.Conflict(
                f"{base} here and {base} at {Remote.of(source).shown} have each gone their own way",
                subject=base,
                next_moves=(f"git -C {source} pull --no-rebase {self.path} {base}", "then merge again"),
            )
        self._move(base, theirs, ours)
        return theirs

    def _fetch(self, base: str, source: str) -> str:
        remote = Remote.of(source)
        here = f"{names.ROOT}source/{names.branch(base)}"
        with remote.call(self.scratch, timeout=FETCH_SECONDS) as call:
            refspec = f"+refs/heads/{base}:{here}"
            try:
                self.run(*_FETCH, "--", remote.address, refspec, call=replace(call, timeout=FETCH_SECONDS))
            except GitFailed as failed:
                if "couldn't find remote ref" not in failed.complaint:
                    raise
                raise errors.BadInput(
                    f"{remote.shown} has no branch {base}",
                    subject=base,
                    next_moves=("merge by hand: boatwright pr checkout N, then git merge",),
                ) from failed
        return self.line("rev-parse", "--verify", here)

    def merge_in(self, order: MergeOrder) -> str:
        """Merge as ordered; returns the commit that ``base`` holds the work by. Doing it again changes
        nothing.

        ``errors.Conflict`` when the branch is no longer at ``order.head`` or the two do not merge.
        """
        base = self.head(order.base)
        if base is None:
            raise errors.BadInput(f"there is no branch {order.base} to merge into", subject=order.base)
        if self.is_ancestor(order.head, base):
            return self._merged_by(order.head, base)
        self._stands(order)
        merged = self.merge(base, order.head)
        if not merged.clean:
            listed = ", ".join(names.shown(path) for path in merged.conflicts[:5])
            more = f" and {len(merged.conflicts) - 5} more" if len(merged.conflicts) > 5 else ""
            raise errors.Conflict(
                f"{order.branch} does not merge into {order.base}: {listed}{more} changed on both sides",
                subject=order.branch,
                next_moves=(
                    "boatwright pr comment N 'merge the base'",
                    "boatwright pr checkout N and merge by hand",
                ),
            )
        commit = self.commit_tree(merged.tree, (base, order.head), order.message, MERGER, order.when)
        self._move_both(order, commit, base)
        return commit

    def _stands(self, order: MergeOrder) -> None:
        now = self.head(order.branch)
        if now != order.head:
            raise errors.Conflict(
                f"{order.branch} is at {(now or 'nothing')[:12]}, not at {order.head[:12]}",
                subject=order.branch,
                next_moves=("look at the new head, then merge that",),
            )

    def _merged_by(self, head: str, base: str) -> str:
        """The merge that brought ``head`` into ``base``; ``head`` itself when it came by fast-forward."""
        out = self.line("rev-list", "--parents", "--ancestry-path", f"{names.oid(head)}..{names.oid(base)}")
        merges = [line.split() for line in out.splitlines()]
        return next((words[0] for words in merges if len(words) > 2 and head in words[2:]), head)

    def _move(self, branch: str, new: str, old: str | None) -> None:
        self._order(f"update refs/heads/{branch}\x00{new}\x00{old or names.NOTHING}\x00", branch)

    def _move_both(self, order: MergeOrder, commit: str, base: str) -> None:
        """The base moves only if, in the same moment, the branch is still where people saw it."""
        self._order(
            f"start\x00verify refs/heads/{order.branch}\x00{order.head}\x00"
            f"update refs/heads/{order.base}\x00{commit}\x00{base}\x00prepare\x00commit\x00",
            order.base,
        )

    def _order(self, text: str, branch: str) -> None:
        try:
            self.run("update-ref", "--no-deref", "-z", "--stdin", call=Call(stdin=text.encode()))
        except GitFailed as failed:
            raise errors.Conflict(
                f"{branch} moved in the same moment; nothing was changed",
                subject=branch,
                next_moves=("try again",),
            ) from failed

    def fork_point(self, pull_head: str, base: str | None, merged_commit: str | None) -> str | None:
        """The commit a pull request's diff starts from; None when its history has no beginning in common."""
        if merged_commit is not None:
            parents = self.parents(merged_commit)
            base = parents[0] if parents else None
            if merged_commit == pull_head:
                return base
        if base is None:
            parents = self.parents(pull_head)
            return parents[0] if parents else None
        return self.merge_base(base, pull_head)

    def diff_bytes(self, start: str, head: str) -> bytes:
        """The patch as it is, for a program to read."""
        return self.run(
            "diff-tree", "-r", "-p", "-M", "--binary", "--full-index", "--no-ext-diff", "--no-textconv",
            "--no-color", names.oid(start), names.oid(head),
        ).out  # fmt: skip

    def diff(self, start: str, head: str) -> str:
        """The patch for reading, cut when it is very long."""
        return self.diff_text(start, head, DIFF_BYTES)


def _make(path: Path, default_branch: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
    try:
        git(fresh, "init", "--quiet", "--bare", "--template=", f"--initial-branch={default_branch}")
        lines = (f"[{section}]\n\t{key} = {value}\n" for section, key, value in map(_setting, _CONFIG))
        with (fresh / "config").open("a") as config:
            config.writelines(lines)
        (fresh / "info").mkdir(exist_ok=True)
        (fresh / "info" / "attributes").write_text(ATTRIBUTES)
        (fresh / "boatwright").mkdir()
        with contextlib.suppress(OSError):  # not empty: somebody was quicker
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _setting(item: tuple[str, str]) -> tuple[str, str, str]:
    name, value = item
    section, _, key = name.rpartition(".")
    outer, dot, inner = section.partition(".")
    return (f'{outer} "{inner}"' if dot else section), key, value
