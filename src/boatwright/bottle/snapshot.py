"""Saving a step: the agent's workspace as a commit in the mirror, without the host ever reading the
workspace.

A second bottle without a wire, ``<slug>-saver``, sees the workspace read-only while the agent's is paused. It
shares the agent's uid, because files the agent made mode 600 must be readable, and nothing else: its
namespaces, its HOME and its workspace (where the index and the new objects live between steps) are its own
and are bound nowhere else, so neither can see, signal or trace the other. It has nothing of the host and
nothing of the mirror: of the parent commit it is told the paths, modes and ids. What it hands back is a pack,
which the mirror takes in quarantine with caps and git's own checks. Design: DESIGN §7; measurements:
reference/snapshot.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from boatwright import errors
from boatwright.bottle import saver_answer
from boatwright.bottle.inside import program
from boatwright.bottle.protocol import WORKSPACE, Backend, Bind, Bottle, BottleSpec
from boatwright.bottle.saver_answer import Answer
from boatwright.git import ignore as ignoring
from boatwright.git import names
from boatwright.git.gitdir import Author
from boatwright.git.mirror import Mirror
from boatwright.git.packs import PackCaps
from boatwright.git.trees import LINK, Change
from boatwright.rules import tree as tree_rules
from boatwright.values.finding import Finding
from boatwright.values.process import Limits

AUTHOR = Author("Boatwright", "boatwright@localhost")
TREE = PurePosixPath("/tree")
_PACK = "step.pack"
_LIMITS = Limits(wall_seconds=300.0, cpu_seconds=300, memory_bytes=2 << 30, pids=64, output_bytes=4 << 20)


class SaveFailed(errors.BoatwrightError):
    """A step could not be saved; the last one stands and nothing of this one is in the mirror's refs."""


@dataclass(frozen=True, slots=True)
class StepCaps:
    """Bytes of one file, bytes of one step's pack, objects in it."""

    file_bytes: int = 50 << 20
    pack_bytes: int = 512 << 20
    objects: int = 500_000


@dataclass(frozen=True, slots=True)
class Saved:
    """A step in the mirror. Unchanged: ``commit`` is the parent. ``paths`` are what changed against the
    parent, for people.

    ``findings`` are of the whole tree against base (``rules.tree``) and of what could not be stored; they
    stop delivery, never the saving.
    """

    commit: str
    tree: str
    changed: bool
    findings: tuple[Finding, ...]
    paths: tuple[str, ...] = ()


def saver_slug(slug: str) -> str:
    return f"{slug}-saver"


class StepSaver:
    """Saves the steps of bottles of one backend. One step of one bottle at a time."""

    def __init__(self, backend: Backend, *, author: Author = AUTHOR, caps: StepCaps | None = None) -> None:
        self._backend = backend
        self._author = author
        self._caps = caps or StepCaps()
        self._trees: dict[str, tuple[str, str]] = {}

    async def save(
        self,
        bottle: Bottle,
        mirror: Mirror,
        *,
        parent: str,
        base: str,
        message: str,
        when: datetime,
        ignore: bytes | None = None,
        kept: Callable[[str], str] | None = None,
    ) -> Saved:
        """The workspace as a commit on ``parent``; the same workspace, parent, message and date give the same
        id.

        ``ignore`` are patterns for new files, by default the base's and the host's (``git.ignore.of``). ``kept``
        makes the tree that is saved of the one that was seen. No ref is moved: the caller writes its event first.
        ``SaveFailed`` when it cannot be done.
        """
        rules = await asyncio.to_thread(ignoring.of, mirror, base) if ignore is None else ignore
        known = self._trees.get(parent)
        if known is None:
            known = (await asyncio.to_thread(mirror.tree_of, parent),) * 2
        order = _Order(known[0], rules, self._caps.file_bytes)
        try:
            saver = await self._saver(bottle)
            async with _paused(bottle):
                answer = await self._look(saver, bottle, mirror, order)
            step = _Step(parent, base, message, when, *known, kept)
            saved = await asyncio.to_thread(self._take, saver.workspace, mirror, answer, step)
        except SaveFailed:
            raise
        except (errors.BoatwrightError, OSError) as failed:
            raise SaveFailed(f"The step was not saved: {failed}", subject=bottle.slug) from failed
        self._trees = {saved.commit: (answer.tree, saved.tree)}
        return saved

    async def discard(self, slug: str) -> None:
        """Destroy the saver of the bottle ``slug`` and what it keeps between steps. Idempotent."""
        await self._backend.destroy(saver_slug(slug))

    async def _saver(self, bottle: Bottle) -> Bottle:
        slug = saver_slug(bottle.slug)
        return await self._backend.open(slug) or await self._backend.create(
            BottleSpec(
                slug=slug,
                purpose="step saver",
                limits=_LIMITS,
                backend=bottle.spec.backend,
                uid_of=bottle.slug,
            )
        )

    async def _look(self, saver: Bottle, bottle: Bottle, mirror: Mirror, order: _Order) -> Answer:
        """Ask the saver; where it does not know the parent, or fails over what it kept, tell it the parent's
        paths."""
        bind = Bind(bottle.workspace, TREE)
        answer = await self._ask(saver, bind, order)
        if not answer.tree:
            listing = await asyncio.to_thread(mirror.listing, order.parent)
            answer = await self._ask(saver, bind, replace(order, listing=listing))
        if not answer.tree:
            raise SaveFailed(
                f"The step was not saved: {answer.failed or 'its saver gave no tree'}.", subject=bottle.slug
            )
        return answer

    async def _ask(self, saver: Bottle, bind: Bind, order: _Order) -> Answer:
        argv = ("python3", "-I", "-S", "-c", program("save_step"), *order.arguments())
        ran = await saver.exec(argv, stdin=order.stdin(), binds=(bind,), separate_stdout=True, tools=True)
        if ran.limit is not None:
            raise SaveFailed(f"The step was not saved: its saver hit the limit of {ran.limit}.")
        if ran.exit_code != 0:
            said = ran.text().strip().splitlines()[-1:] or ["no word"]
            raise SaveFailed(
                f"The step was not saved: its saver ended with {ran.exit_code}: {names.shown(said[0])[:300]}."
            )
        return saver_answer.read(ran.stdout)

    def _take(self, out: Path, mirror: Mirror, answer: Answer, step: _Step) -> Saved:
        kept_out = saver_answer.findings(answer, self._caps.file_bytes)
        seen, before = names.oid(answer.tree), step.tree
        if seen != step.seen:
            with _pack(out, self._caps.pack_bytes) as pack:
                mirror.unpack(pack, caps=PackCaps(self._caps.pack_bytes, self._caps.objects))
        tree = step.kept(seen) if step.kept else seen
        if tree == before:
            found = tree_findings(mirror, step.base, tree)
            return Saved(step.parent, tree, changed=False, findings=(*found, *kept_out))
        commit = mirror.commit_tree(tree, [step.parent], step.message, self._author, step.when)
        paths = tuple(
            names.shown(change.path) for change in mirror.changed(before, tree, renames=False, counts=False)
        )
        found = tree_findings(mirror, step.base, tree)
        return Saved(commit, tree, changed=True, findings=(*found, *kept_out), paths=paths)


@dataclass(frozen=True, slots=True)
class _Step:
    """``tree`` is the parent's, ``seen`` the one the workspace had then."""

    parent: str
    base: str
    message: str
    when: datetime
    seen: str
    tree: str
    kept: Callable[[str], str] | None


@dataclass(frozen=True, slots=True)
class _Order:
    """What the saver is told: arguments, and on stdin the parts whose lengths they give."""

    parent: str
    ignore: bytes
    file_bytes: int
    listing: bytes | None = None

    def arguments(self) -> tuple[str, ...]:
        sizes = ("-" if part is None else str(len(part)) for part in self._parts())
        return (str(TREE), str(WORKSPACE), self.parent, str(self.file_bytes), *sizes)

    def stdin(self) -> bytes:
        return b"".join(part for part in self._parts() if part)

    def _parts(self) -> tuple[bytes | None, ...]:
        return (self.ignore, ignoring.unanchored(self.ignore), self.listing)


@contextlib.asynccontextmanager
async def _paused(bottle: Bottle) -> AsyncIterator[None]:
    """A still workspace makes the step consistent. Safety does not rest on it: the saver has nothing to
    leak."""
    try:
        await bottle.pause()
        yield
    finally:
        await asyncio.shield(bottle.unpause())


@contextlib.contextmanager
def _pack(directory: Path, cap: int) -> Iterator[Path]:
    """The saver's pack, opened without trust: a plain file of at most ``cap`` bytes, through no link."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(directory / _PACK, flags)
    except OSError as error:
        raise SaveFailed(f"The step was not saved: its pack cannot be read ({error.strerror}).") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise SaveFailed("The step was not saved: its pack is no plain file.")
        if found.st_size > cap:
            raise SaveFailed(f"The step was not saved: it has {found.st_size} new bytes, the limit is {cap}.")
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def tree_findings(mirror: Mirror, base: str, head: str) -> tuple[Finding, ...]:
    """``rules.tree`` on two commits or trees of the mirror."""
    changes = mirror.changed(base, head, renames=False, counts=False)
    if not changes:
        return ()
    paths, links = _shape(mirror.path, base)
    gone = {change.path for change in changes if change.status == "D"}
    fresh = [change for change in changes if change.status != "D"]
    kept = {path: oid for path, oid in links.items() if path not in gone}
    new_links = [change.new_oid for change in fresh if change.new_mode == LINK]
    # Where no link is new, none can have started to leave.
    read = mirror.read_many([*kept.values(), *new_links]) if new_links else {}
    said = {oid: names.text(target) for oid, target in read.items()}
    chain = {path: said.get(oid, "") for path, oid in kept.items()} if new_links else {}
    return tree_rules.findings(paths, [_leaf(change, said) for change in fresh], gone=gone, links=chain)


@functools.lru_cache(maxsize=16)
def _shape(path: Path, base: str) -> tuple[frozenset[str], dict[str, str]]:
    """The paths of a base, and its links by path with the blob that holds the target."""
    entries = Mirror(path).entries(base)
    return frozenset(each.path for each in entries), {
        each.path: each.oid for each in entries if each.mode == LINK
    }


def _leaf(change: Change, targets: dict[str, str]) -> tree_rules.Leaf:
    target = targets.get(change.new_oid, "/") if change.new_mode == LINK else ""
    return tree_rules.Leaf(change.path, change.new_mode, target)
