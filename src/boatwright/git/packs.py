"""Objects on their way in and out: packs with caps, checked in quarantine, and histories that end where we
say."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boatwright import errors
from boatwright.git import names
from boatwright.git.run import Call, GitFailed
from boatwright.git.trees import Trees

_HEADER = 12
_QUARANTINE = "quarantine-"
_HELD = ".held"
_HISTORY = "history-"


@dataclass(frozen=True, slots=True)
class PackCaps:
    """Bytes of a pack and objects in it."""

    size: int = 512 << 20
    objects: int = 500_000


class BadPack(errors.BoatwrightError):
    """A pack was refused: too large, damaged, or with an object git's own checks do not let in. Nothing of it
    is kept."""


class Packs(Trees):
    def unpack(
        self,
        pack: bytes | Path,
        *,
        caps: PackCaps | None = None,
        want: str | None = None,
        check: Callable[[Mapping[str, str]], None] | None = None,
    ) -> None:
        """Take a pack from outside, all of it or nothing.

        The objects land in a directory of their own, are checked there (format, names, links to objects that
        are neither in the pack nor here; ``want`` must be among them or here already), and only then move
        into the mirror. A kill at any moment leaves at most a directory the next ``open`` removes.
        ``BadPack`` says why. ``check`` is called before they move, with the environment in which git sees them;
        what it raises keeps them out.
        """
        caps = caps or PackCaps()
        if _count(pack, caps) == 0 and want is None:
            return
        with self._quarantine() as directory:
            call = Call(stdin=pack, environment=self._apart(directory))
            limit = f"--max-input-size={caps.size}"
            try:
                self.run(
                    "index-pack", "--strict=badFilemode=error", "--fsck-objects", limit, "--stdin", call=call
                )
                if want is not None:
                    self.run("cat-file", "-e", names.oid(want), call=Call(environment=self._apart(directory)))
            except GitFailed as failed:
                raise BadPack(f"A pack was refused: {failed.complaint[:500] or failed}") from failed
            if check is not None:
                check(self._apart(directory))
            self._move_in(directory)

    def pack_of(self, want: Sequence[str], exclude: Sequence[str] = (), *, cap: int = 1 << 30) -> bytes:
        """Everything reachable from ``want`` and not from ``exclude`` as one pack: how a work ref becomes an
        artifact."""
        return self.run("pack-objects", *_PACK, call=Call(stdin=_revisions(want, exclude), cap=cap)).out

    @contextmanager
    def history(
        self, commits: Sequence[str], *, also: Sequence[str] = (), grafts: Sequence[str] = ()
    ) -> Iterator[Path]:
        """The histories of ``commits`` and the trees in ``also`` as one pack file; removed afterwards.

        It holds what those reach and nothing else of the mirror: no tag, no other branch, no other
        execution's step. Histories end at ``grafts`` as if those had no parents.
        """
        order = _revisions([*commits, *also], (), grafts)
        with tempfile.TemporaryDirectory(dir=self.scratch, prefix=_HISTORY) as directory:
            pack = Path(directory) / "pack"
            self.run("pack-objects", *_PACK, call=Call(stdin=order, stdout=pack))
            yield pack

    def shallow(self) -> tuple[str, ...]:
        """Commits whose parents the source did not have: it was a shallow clone."""
        grafts = self.path / "shallow"
        return tuple(grafts.read_text("ascii").split()) if grafts.exists() else ()

    def maintain(self) -> None:
        """Fewer, larger packs. Drops nothing, whether reachable or not."""
        with self.lock():
            self.run("repack", "--geometric=2", "-d", "-q", call=Call(timeout=1_800))

    def sweep(self) -> None:
        """Remove what killed processes left in the scratch directory; what a live one holds stays."""
        for left in self.scratch.glob(f"{_QUARANTINE}*"):
            with _claimed(left) as free:
                if free:
                    shutil.rmtree(left, ignore_errors=True)

    @contextmanager
    def _quarantine(self) -> Iterator[Path]:
        directory = Path(tempfile.mkdtemp(dir=self.scratch, prefix=_QUARANTINE))
        try:
            with (directory / _HELD).open("wb") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                (directory / "pack").mkdir()
                yield directory
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _apart(self, directory: Path) -> dict[str, str]:
        return {
            "GIT_OBJECT_DIRECTORY": str(directory),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.path / "objects"),
        }

    def _move_in(self, directory: Path) -> None:
        """The index file last: before it is there, the pack does not exist for git."""
        target = self.path / "objects" / "pack"
        files = sorted((directory / "pack").iterdir(), key=lambda file: file.suffix == ".idx")
        for file in files:
            file.rename(target / file.name)
        descriptor = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


_PACK = ("--revs", "--stdout", "--quiet", "--delta-base-offset", "--threads=1")


def _revisions(want: Sequence[str], exclude: Sequence[str], grafts: Sequence[str] = ()) -> bytes:
    lines = [f"--shallow {names.oid(oid)}" for oid in grafts]
    lines += [names.oid(oid) for oid in want] + [f"^{names.oid(oid)}" for oid in exclude]
    return ("\n".join(lines) + "\n").encode()


def _count(pack: bytes | Path, caps: PackCaps) -> int:
    """The number of objects a pack says it has; ``BadPack`` when it is no pack or beyond the caps."""
    if isinstance(pack, Path):
        size = pack.stat().st_size
        with pack.open("rb") as stream:
            head = stream.read(_HEADER)
    else:
        size, head = len(pack), pack[:_HEADER]
    if head[:4] != b"PACK" or len(head) < _HEADER:
        raise BadPack("A pack was refused: it is no pack.")
    if size > caps.size:
        raise BadPack(f"A pack was refused: {size} bytes, the limit is {caps.size}.")
    objects = int.from_bytes(head[8:12], "big")
    if objects > caps.objects:
        raise BadPack(f"A pack was refused: {objects} objects, the limit is {caps.objects}.")
    return objects


@contextmanager
def _claimed(directory: Path) -> Iterator[bool]:
    """Whether nobody alive holds a quarantine directory."""
    try:
        held = (directory / _HELD).open("ab")
    except FileNotFoundError:
        yield False  # just being made, or just being removed
        return
    with held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
