"""The mirror: one host-owned bare repository per repository. Everything the host does with git happens in
one.

The source is only ever fetched from and pushed to. Refs are ours alone, under ``refs/boatwright/``:
``base/<commit>`` pins a base and its history, ``work/<execution>`` is the last completed step,
``deliverable/<execution>/<gate round>`` pins a judged commit, ``theirs/<execution>`` what others pushed to its branch.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from boatwright import errors
from boatwright.config.paths import StateDir
from boatwright.git import names
from boatwright.git.gitdir import ATTRIBUTES, Author
from boatwright.git.packs import Packs
from boatwright.git.remote import Remote
from boatwright.git.run import Call, GitFailed, git
from boatwright.git.trees import Change, Entry, Merge
from boatwright.rules import git_refusals, naming

__all__ = ["Change", "Entry", "Found", "Merge", "Mirror"]

FETCH_SECONDS = 1_800.0
LOOK_SECONDS = 120.0
SCRATCH = Author("Boatwright", "boatwright@localhost")
_ABBREVIATED = re.compile(r"[0-9a-f]{4,64}")

# Formats old tools wrote and nobody can mend: a base must not be refused for them. What could harm is still
# an error.
OLD_SINS = [
    "zeroPaddedFilemode",
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "missingEmail",
    "missingNameBeforeEmail",
    "badEmail",
    "badName",
    "zeroPaddedDate",
    "multipleAuthors",
    "missingTaggerEntry",
    "badTagName",
    "badFilemode",
    "nulInCommit",
    "gitmodulesParse",
]
_TOLERANT = tuple(f"fetch.fsck.{sin}=ignore" for sin in OLD_SINS)


GitLogin = Callable[[str], bytes]
"""What git may say to an address: lines of ``git credential``, or nothing. Blocks."""
AddressNow = Callable[[str], str]
"""Where a source is fetched from now: it may have been renamed since it was written down. Blocks."""
Setting = Callable[[], str]
"""Which part of settings.yml names the login; empty where none does. Blocks."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a name means at the source: a commit (or a tag of one), and the full ref it came from ("" for an
    id)."""

    oid: str
    ref: str

    @property
    def branch(self) -> str | None:
        return self.ref.removeprefix("refs/heads/") if self.ref.startswith("refs/heads/") else None


class Mirror(Packs):
    def __init__(
        self, path: Path, source: str | Path = "", *,
        login: GitLogin | None = None, now: AddressNow | None = None, setting: Setting | None = None,
    ) -> None:  # fmt: skip
        super().__init__(path)
        self.source = str(source)
        self._login, self._now, self._setting = login, now, setting

    @classmethod
    def open(
        cls, state: StateDir, repository_id: str, source: str | Path = "", *,
        login: GitLogin | None = None, now: AddressNow | None = None, setting: Setting | None = None,
    ) -> Mirror:  # fmt: skip
        """The mirror of that repository, made if absent; whole or not at all, however many open it at
        once."""
        if not naming.valid_repository_id(repository_id):
            raise errors.BadInput(
                f"{repository_id[:80]!r} is not a repository id.", subject=repository_id[:80]
            )
        mirror = cls(state.mirrors / f"{repository_id}.git", source, login=login, now=now, setting=setting)
        if mirror.path.exists():
            with contextlib.suppress(FileNotFoundError):  # a sweep took it away: it is made anew below
                os.utime(used(mirror.path))  # a sweep leaves it to whoever is about to name it
        if mirror.path.exists():
            mirror.sweep()
        else:
            make(mirror.path)
        return mirror

    # --- from the source -----------------------------------------------------------------------------------

    def advertised(self, source: str | Path | None = None) -> dict[str, str]:
        """The refs of the source as it shows them; ``HEAD`` maps to the ref it points at where it names
        one."""
        remote = self._remote() if source is None else Remote.of(source)
        with self._calling(remote, LOOK_SECONDS, "read") as call:
            out = self.run(
                "ls-remote", "--symref", *remote.program("upload-pack"), "--", remote.address, call=call
            ).out
        refs: dict[str, str] = {}
        for line in out.decode("utf-8", "surrogateescape").splitlines():
            value, _, name = line.partition("\t")
            if value.startswith("ref: "):
                refs[name] = value.removeprefix("ref: ")
            else:
                refs.setdefault(name, value)
        return refs

    def find(self, ref: str = "HEAD") -> Found:
        """What ``ref`` means at the source: HEAD, a branch, a tag, a full ref or an object id. Fetches
        nothing."""
        refs = self.advertised()
        oids = {name: oid for name, oid in refs.items() if names.OID.fullmatch(oid)}
        if not oids:
            raise errors.BadInput(
                f"{self._remote().shown} has no commit yet.", subject=self.source,
                next_moves=("make a first commit there",),
            )  # fmt: skip
        wanted = refs.get("HEAD", "HEAD") if ref == "HEAD" else ref
        if ref == "HEAD" and names.OID.fullmatch(wanted):
            return Found(oid=wanted, ref="")
        for name in (
            wanted,
            f"refs/heads/{wanted}",
            f"refs/tags/{wanted}",
            f"refs/{wanted}",
            f"refs/remotes/{wanted}",
        ):
            if name in oids:
                return Found(oid=oids.get(f"{name}^{{}}", oids[name]), ref=name)
        if _ABBREVIATED.fullmatch(ref):
            return Found(oid=ref, ref="")
        raise self._no_such(ref, oids)

    def fetch(self, ref: str = "HEAD") -> str:
        """Bring ``ref`` of the source and its history here, pin it, and return its commit id.

        ``errors.BadInput`` when the source is no repository, is empty or has no such ref; ``errors.Parked``
        (``credential``) when it does not let us; ``GitFailed`` when it cannot be reached or sends
        what git's checks refuse.
        """
        found = self.find(ref)
        oid = found.oid if names.OID.fullmatch(found.oid) else self._lengthen(found.oid)
        if self.ref(names.base(oid)) is None:
            self._bring(oid, found)
        commit = self.commit_of(oid)
        if commit is None:
            raise errors.BadInput(f"{ref} is not a commit.", subject=ref)
        if commit != oid:
            self.update_ref(names.base(commit), commit, None)
        return commit

    def fetch_base(self, ref: str | None = None) -> tuple[str, str]:
        """``ref`` (None: the source's HEAD) fetched as a base: the branch a pull request goes to, and the
        commit.

        A detached HEAD, a tag or an id has no branch of its own: the default branch is named instead.
        """
        found = self.find(ref or "HEAD")
        commit = self.fetch(ref or "HEAD")
        if found.branch:
            return found.branch, commit
        head = self.advertised().get("HEAD", "")
        return head.removeprefix("refs/heads/") if head.startswith("refs/heads/") else "main", commit

    def take_branch(self, url: str | Path, branch: str, pin: str) -> str | None:
        """Bring what a branch over there is at, with its history, to our ref ``pin``; says which commit that is.

        The same fetch as of a base: checked, without tags, submodules or hooks.
        """
        remote = Remote.of(url)
        what = f"+refs/heads/{names.branch(branch)}:{names.ref(pin)}"
        with self.lock(), self._calling(remote, FETCH_SECONDS, "fetch") as call:
            self.run(*_FETCH, *remote.program("upload-pack"), "--", remote.address, what, call=call)
        return self.ref(pin)

    def _remote(self) -> Remote:
        return Remote.of(self.source if self._now is None else self._now(self.source))

    def _bring(self, oid: str, found: Found) -> None:
        remote = self._remote()
        with self.lock(), self._calling(remote, FETCH_SECONDS, "fetch") as call:
            try:
                self.run(
                    *_FETCH,
                    *remote.program("upload-pack"),
                    "--",
                    remote.address,
                    f"+{oid}:{names.base(oid)}",
                    call=call,
                )
            except GitFailed as failed:
                if found.ref or "not our ref" not in failed.complaint:
                    raise
                raise errors.BadInput(f"{remote.shown} has no commit {oid}.", subject=oid) from failed

    def _lengthen(self, short: str) -> str:
        """A whole id from the start of one: its history has to be here before git can tell."""
        remote = self._remote()
        space = f"{names.ROOT}source/"
        with self.lock(), self._calling(remote, FETCH_SECONDS, "fetch") as call:
            self.run(
                *_FETCH,
                "--",
                remote.address,
                f"+refs/heads/*:{space}heads/*",
                f"+refs/tags/*:{space}tags/*",
                call=call,
            )
        listed = self.run(
            "rev-list", "--stdin", call=Call(stdin="\n".join(self.refs(space).values()).encode())
        )
        matches = [oid for oid in listed.out.decode().split() if oid.startswith(short)]
        if len(matches) == 1:
            return matches[0]
        what = "no commit" if not matches else f"{len(matches)} commits"
        raise errors.BadInput(f"{remote.shown} has {what} that start with {short}.", subject=short)

    # --- work ----------------------------------------------------------------------------------------------

    def set_work(self, execution: str, commit: str) -> None:
        """Let the work ref follow the event: it is at ``commit`` now, wherever it was."""
        name = names.work(execution)
        self.update_ref(name, commit, self.ref(name))

    def work(self, execution: str) -> str | None:
        return self.ref(names.work(execution))

    def drop_work(self, execution: str) -> None:
        """Let the work ref go, when its execution is over. Again does nothing."""
        name = names.work(execution)
        at = self.ref(name)
        if at is not None:
            self.update_ref(name, None, at)

    def pin_deliverable(self, execution: str, gate_round: int, commit: str) -> None:
        """Keep the commit a gate round judges."""
        name = names.deliverable(execution, gate_round)
        self.update_ref(name, commit, self.ref(name))

    def scratch_commit(self, tree: str, *, parent: str) -> str:
        """A commit for a run of the proof; the same tree and parent give the same id, and nobody pushes
        it."""
        when = datetime.fromtimestamp(0, UTC)
        return self.commit_tree(tree, (parent,), "composed for a run of the proof", SCRATCH, when)

    # --- to somewhere --------------------------------------------------------------------------------------

    def remote_head(self, url: str | Path, branch: str) -> str | None:
        """The commit a branch is at over there; None when there is no such branch."""
        return self.advertised(url).get(f"refs/heads/{names.branch(branch)}")

    def push(self, url: str | Path, oid: str, branch: str, expected_old: str | None) -> None:
        """Put ``branch`` over there at ``oid``, if it is still at ``expected_old`` (None: not there at all).

        Already there is fine: a redo changes nothing. Verified by asking again. ``errors.Conflict`` when the
        branch has moved, ``errors.Parked`` when it does not let us; no hook of theirs runs where it is a path.
        """
        remote = Remote.of(url)
        if self.remote_head(url, branch) == names.oid(oid):
            return
        expected = names.oid(expected_old) if expected_old else ""
        lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
        what = f"{oid}:refs/heads/{branch}"
        try:
            with self._calling(remote, FETCH_SECONDS, "push to") as call:
                self.run(
                    *_PUSH, *remote.program("receive-pack"), lease, "--", remote.address, what, call=call
                )
        except (GitFailed, errors.Parked) as failed:
            there = self.remote_head(url, branch)
            if there == oid:
                return
            if there == expected_old:
                raise
            raise errors.Conflict(
                f"{branch} on {remote.shown} is at {there or 'nothing'}, not at {expected_old or 'nothing'}.",
                subject=branch,
            ) from failed
        if self.remote_head(url, branch) != oid:
            raise errors.Conflict(f"{branch} on {remote.shown} did not stay at {oid}.", subject=branch)

    @contextlib.contextmanager
    def _calling(self, remote: Remote, seconds: float, verb: str) -> Iterator[Call]:
        """A call to a remote whose failure names the remote, and says in our words where it does not let us."""
        known = self._known(remote)
        with known.call(self.scratch, timeout=seconds) as call:
            try:
                yield replace(call, config=(*call.config, *_TOLERANT))
            except GitFailed as failed:
                self._refuse(known, verb, failed)
                raise GitFailed(
                    f"Could not {verb} {remote.shown}: {failed}",
                    complaint=failed.complaint,
                    subject=remote.shown,
                    next_moves=("check the address, the network and your access to it: git ls-remote",),
                ) from failed

    def _refuse(self, remote: Remote, verb: str, failed: GitFailed) -> None:
        if remote.protocol not in {"http", "https"}:
            return
        setting = self._setting() if self._setting is not None else ""
        asked = git_refusals.Asked(verb, remote.shown, login=bool(remote.secret), setting=setting)
        refused = git_refusals.refusal(failed.complaint, asked)
        if refused is not None:
            raise refused from failed

    def _known(self, remote: Remote) -> Remote:
        """The remote with what we may say there, where it is a URL and nobody wrote a login into it."""
        if self._login is None or remote.secret or remote.protocol not in {"http", "https"}:
            return remote
        return replace(remote, secret=self._login(remote.address))

    def _no_such(self, ref: str, oids: dict[str, str]) -> errors.BadInput:
        shown = sorted(name.removeprefix("refs/heads/") for name in oids if name.startswith("refs/heads/"))[
            :5
        ]
        return errors.BadInput(
            f"{self._remote().shown} has no branch, tag or commit {ref!r}.", subject=ref,
            next_moves=tuple(f"--base {name}" for name in shown),
        )  # fmt: skip


_PUSH = ("push", "--porcelain", "--no-verify", "--no-follow-tags", "--recurse-submodules=no")
_FETCH = (
    "fetch",
    "--quiet",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--update-shallow",
    "--refmap=",
    "--no-show-forced-updates",
)


def used(path: Path) -> Path:
    """The file whose time is when a mirror was opened last: git writes it once, and a directory's time is anybody's."""
    return path / "HEAD"


def remove(path: Path, may_go: Callable[[Path], bool]) -> bool:
    """Take a mirror away that nobody uses: ``may_go`` is asked under its lock, and again once it is out of the way.
    Says whether it went.
    """
    gone = path.with_name(f".gone-{path.name}")
    shutil.rmtree(gone, ignore_errors=True)  # what a kill left of another time
    try:
        with Mirror(path).lock():
            if not may_go(path):
                return False
            path.rename(gone)
    except FileNotFoundError:
        return False
    if not may_go(gone) and not path.exists():  # somebody opened it in that moment
        gone.rename(path)
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def make(path: Path) -> None:
    """Made beside its place and renamed into it; who comes second takes the first one's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=".new-"))
    try:
        git(fresh, "init", "--quiet", "--bare", "--template=", "--initial-branch=boatwright", call=Call())
        (fresh / "info").mkdir(exist_ok=True)
        (fresh / "info" / "attributes").write_text(ATTRIBUTES)
        (fresh / "boatwright").mkdir()
        with contextlib.suppress(OSError):  # not empty: somebody was quicker
            fresh.rename(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
