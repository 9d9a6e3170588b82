"""Bring a pull request, or its merge, into the directory it came from.

Here git runs in the user's own repository with the user's own configuration, at the user's word. These are
the only writes to it: refs under ``refs/boatwright/``, the branch that is asked for, and the work tree
where git itself says that nothing uncommitted is lost.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.forge.protocol import PullRequest
from boatwright.git import names

SECONDS = 600.0
_FETCH = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--")


@dataclass(frozen=True, slots=True)
class Brought:
    """Whether it is in the directory now, the sentence that says so, and what to do where it is not."""

    done: bool
    sentence: str
    next_moves: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ran:
    code: int
    out: str
    complaint: str


class Checkout:
    """The user's repository at ``path``; ``bare`` is the local forge's."""

    def __init__(self, path: Path, bare: Path) -> None:
        self.path = path
        self._bare = bare

    def take(self, pull: PullRequest) -> Brought:
        """Put the pull request's branch into the repository and switch to it.

        A branch of that name that holds commits of its own is left alone; uncommitted changes stay as they
        are, or stop the switch. ``errors.Conflict`` says which.
        """
        self._require_work_tree()
        branch, kept = names.branch(pull.branch), f"{names.ROOT}pull/{pull.number}"
        before = self._oid(kept)
        self._fetch(f"+refs/heads/{branch}", kept)
        fetched = self._oid(kept)
        ours = self._oid(f"refs/heads/{branch}")
        if fetched is None:
            raise errors.Conflict(f"{branch} vanished from the local forge", subject=branch)
        if ours not in {None, fetched, before} and not self._is_ancestor(str(ours), fetched):
            raise self._own_commits(branch, kept)
        self._switch(branch, kept)
        return Brought(True, f"{self.path} is on {branch} at {fetched[:12]}")

    def take_merge(self, pull: PullRequest) -> Brought:
        """Bring the base branch, which now holds the merge, into the repository: only forward, and where it
        is checked out only with nothing uncommitted. Otherwise nothing is changed and the result says how
        to finish by hand.
        """
        base, kept = names.branch(pull.base_ref), f"{names.ROOT}base/{pull.base_ref}"
        self._fetch(f"+refs/heads/{base}", kept)
        if self._current() == base:
            return self._merge_here(base, kept)
        ran = self._move(base)
        if ran.code == 0:
            return Brought(True, f"{base} in {self.path} holds the merge; it is not checked out there")
        return self._by_hand(base, kept, f"{base} could not be moved forward: {_last(ran.complaint)}")

    def _merge_here(self, base: str, kept: str) -> Brought:
        if self._has_work_tree() and self._uncommitted():
            return self._by_hand(base, kept, "there are uncommitted changes")
        ran = (
            self._git("merge", "--ff-only", "--no-overwrite-ignore", kept)
            if self._has_work_tree()
            else self._move(base)
        )
        if ran.code == 0:
            return Brought(True, f"{base} in {self.path} holds the merge")
        return self._by_hand(base, kept, _last(ran.complaint))

    def _move(self, base: str) -> _Ran:
        """Forward only, and not where it is checked out: git itself refuses both."""
        return self._git(*_FETCH, str(self._bare), f"refs/heads/{base}:refs/heads/{base}")

    def _by_hand(self, base: str, kept: str, why: str) -> Brought:
        return Brought(
            False, f"merged in the local forge; {self.path} is left as it is, because {why}",
            (f"{self._at} switch {base} && {self._at} merge {kept}",),
        )  # fmt: skip

    def _own_commits(self, branch: str, kept: str) -> errors.Conflict:
        return errors.Conflict(
            f"{branch} in {self.path} holds commits of its own and is left alone",
            subject=branch,
            next_moves=(
                f"{self._at} switch {branch} && {self._at} merge {kept}",
                f"{self._at} switch --detach {kept}",
            ),
        )

    def _switch(self, branch: str, to: str) -> None:
        """Make or move the branch and switch to it in one step; git refuses where a changed, untracked or
        ignored file would be overwritten, and then nothing has moved.
        """
        if self._current() != branch and (elsewhere := self._checked_out_at(branch)):
            raise errors.Conflict(f"{branch} is checked out in {elsewhere}", subject=elsewhere)
        arguments = (
            "switch",
            "--no-recurse-submodules",
            "--no-overwrite-ignore",
            "--no-track",
            "-C",
            branch,
            to,
        )
        ran = self._git(*arguments)
        if ran.code != 0:
            raise errors.Conflict(
                f"git would not switch {self.path} to {branch}: {_last(ran.complaint)}",
                subject=str(self.path),
                next_moves=("commit or stash what is in the way, then again",),
            )

    def _checked_out_at(self, branch: str) -> str:
        return self._git("for-each-ref", "--format=%(worktreepath)", f"refs/heads/{branch}").out.strip()

    def _fetch(self, theirs: str, ours: str) -> None:
        ran = self._git(*_FETCH, str(self._bare), f"{theirs}:{ours}")
        if ran.code != 0:
            raise errors.Conflict(
                f"git could not fetch into {self.path}: {_last(ran.complaint)}", subject=str(self.path)
            )

    @property
    def _at(self) -> str:
        return f"git -C {shlex.quote(str(self.path))}"

    def _oid(self, ref: str) -> str | None:
        return self._git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}").out.strip() or None

    def _is_ancestor(self, old: str, new: str) -> bool:
        return self._git("merge-base", "--is-ancestor", old, new).code == 0

    def _current(self) -> str | None:
        """The branch HEAD names; None when it is detached."""
        return self._git("symbolic-ref", "--quiet", "--short", "HEAD").out.strip() or None

    def _uncommitted(self) -> bool:
        return bool(self._git("status", "--porcelain", "--untracked-files=no").out.strip())

    def _has_work_tree(self) -> bool:
        return self._git("rev-parse", "--is-inside-work-tree").out.strip() == "true"

    def _require_work_tree(self) -> None:
        if not self.path.is_dir():
            raise errors.BadInput(f"there is no directory {self.path}", subject=str(self.path))
        ran = self._git("rev-parse", "--is-inside-work-tree")
        if ran.code != 0:
            raise errors.BadInput(
                f"git cannot use {self.path}: {_last(ran.complaint)}", subject=str(self.path)
            )
        if not self._has_work_tree():
            raise errors.BadInput(
                f"{self.path} has no work tree to check a branch out into",
                subject=str(self.path),
                next_moves=(f"git clone {self._bare}",),
            )

    def _git(self, *arguments: str) -> _Ran:
        """git in the user's repository, as they would run it there; no question is asked on the terminal."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            ran = subprocess.run(
                ["git", "--no-pager", "-C", str(self.path), *arguments],
                env=inherited | {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_EDITOR": "true"},
                stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False,
            )  # fmt: skip
        except FileNotFoundError as missing:
            raise errors.MissingPart("git is not installed on this host", subject="git") from missing
        except subprocess.TimeoutExpired as slow:
            raise errors.Conflict(f"git took longer than {SECONDS:g} s in {self.path}") from slow
        return _Ran(
            ran.returncode, ran.stdout.decode("utf-8", "replace"), ran.stderr.decode("utf-8", "replace")
        )


def _last(complaint: str) -> str:
    """What git complained of, in one line."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith(("fatal:", "error:", "!"))]
    return "; ".join(said or lines[-1:])[:500] or "it did not say why"
