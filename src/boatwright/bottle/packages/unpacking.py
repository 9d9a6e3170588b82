"""From package archives to one tree for /usr: taken apart in a bottle without a wire, then laid out by our own hand.

An archive is a program's worth of strangers' input: what takes it apart has a bottle's uid, limits and no way out, and
each gets a directory of its own, so that no link of one is a way for the next. What comes out is walked without
following anything. Directories, files and links are taken, as ours, readable by all and set-uid for nobody.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from boatwright import errors
from boatwright.bottle.protocol import WORKSPACE, Bind, BottleSpec
from boatwright.bottle.toolchain import MERGED
from boatwright.rules import packages as rules
from boatwright.values.process import Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.host import HostBackend

ARCHIVES = PurePosixPath("/archives")


async def unpack(
    backend: HostBackend, slug: str, files: Sequence[Path], usr: Path, *, limits: Limits
) -> tuple[str, ...]:
    """Lay what is for /usr in the archives into ``usr``, which is made; the names of the rest at their top.

    Raises ``errors.Parked`` ("packages") for an archive that cannot be taken apart, or must not be laid out.
    """
    await backend.destroy(slug)  # what a killed one left
    bottle = await backend.create(BottleSpec(slug, "packages", limits, backend=backend.name))
    try:
        for number, file in enumerate(files):
            done = await bottle.exec(
                ("dpkg-deb", "--extract", str(ARCHIVES / file.name), str(WORKSPACE / f"{number}")),
                cwd=PurePosixPath("/"),
                binds=(Bind(file.parent, ARCHIVES),),
            )
            if done.ok:
                # What is shut to its own owner could not be read by us, where we are an ordinary user.
                done = await bottle.exec(("chmod", "-R", "u+rwX", "--", str(WORKSPACE / f"{number}")))
            if not done.ok:
                why = f"it met the limit '{done.limit}'" if done.limit else done.text().strip()[-300:]
                raise refuse(file.name, f"could not be taken apart: {why}")
        await bottle.stop()
        laying = Laying(usr, limits.disk_bytes)
        for number, file in enumerate(files):
            try:
                await asyncio.to_thread(laying.add, file.name, bottle.workspace / f"{number}")
            except OSError as error:
                raise refuse(file.name, f"could not be laid out: {error.strerror}") from error
        return tuple(sorted(laying.left_out))
    finally:
        await asyncio.shield(asyncio.ensure_future(backend.destroy(slug)))


@dataclass(slots=True)
class Laying:
    """One tree in the making. ``room``: bytes it may have."""

    usr: Path
    room: int
    left_out: set[str] = field(default_factory=set)
    _linked: dict[tuple[int, int], Path] = field(default_factory=dict)

    def add(self, package: str, root: Path) -> None:
        """What one archive holds. Where it and an earlier one disagree about a place, the whole is refused."""
        self._directory(package, self.usr)
        self._linked.clear()
        for top in sorted(root.iterdir()):
            folder = stat.S_ISDIR(top.lstat().st_mode)
            if top.name in MERGED and folder:
                self._tree(package, top, self.usr / top.name)
            elif top.name == "usr" and folder:
                self._tree(package, top, self.usr)
            elif top.name == "usr" or top.name in MERGED:
                raise refuse(package, f"has something else than a directory at /{top.name}")
            else:
                self.left_out.add(_plain(f"/{top.name}"))

    def _tree(self, package: str, source: Path, target: Path) -> None:
        waiting = [(source, target)]
        while waiting:
            folder, place = waiting.pop()
            self._directory(package, place)
            for each in folder.iterdir():
                found = each.lstat()
                if stat.S_ISDIR(found.st_mode):
                    waiting.append((each, place / each.name))
                else:
                    self._leaf(package, each, found, place / each.name)

    def _directory(self, package: str, place: Path) -> None:
        try:
            place.mkdir()
        except FileExistsError:
            if not stat.S_ISDIR(place.lstat().st_mode):
                raise self._disagree(package, place) from None
        place.chmod(0o755)

    def _leaf(self, package: str, source: Path, found: os.stat_result, place: Path) -> None:
        try:
            if stat.S_ISLNK(found.st_mode):
                place.symlink_to(source.readlink())
            elif stat.S_ISREG(found.st_mode):
                self._file(source, found, place)
            else:
                raise refuse(package, f"holds neither file nor link at {self._inside(place)}")
        except FileExistsError:
            if not _same(source, place):
                raise self._disagree(package, place) from None

    def _file(self, source: Path, found: os.stat_result, place: Path) -> None:
        known = self._linked.get((found.st_dev, found.st_ino))
        if known is not None:
            place.hardlink_to(known)
            return
        self.room -= found.st_size
        if self.room < 0:
            raise refuse(
                "", "are larger than a bottle may be, taken apart", "raise limits.disk in settings.yml"
            )
        with (
            _opened(source, os.O_RDONLY) as file,
            _opened(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as copy,
        ):
            shutil.copyfileobj(file, copy, 1 << 20)
            os.fchmod(copy.fileno(), 0o755 if found.st_mode & 0o111 else 0o644)
        if found.st_nlink > 1:
            self._linked[found.st_dev, found.st_ino] = place

    def _disagree(self, package: str, place: Path) -> errors.Parked:
        return refuse(package, f"and another one disagree about {self._inside(place)}")

    def _inside(self, place: Path) -> str:
        return _plain(f"{PurePosixPath('/usr') / place.relative_to(self.usr)}")


def _opened(path: Path, flags: int) -> BinaryIO:
    """A file itself, never what a link leads to."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "rb" if flags == os.O_RDONLY else "wb")


def _plain(name: str) -> str:
    """A name a package chose, for a sentence."""
    return repr(os.fsencode(name).decode("utf-8", "replace"))[1:-1][:200]


def _same(one: Path, other: Path) -> bool:
    """Whether two packages bring the very same thing, as those for several machines do."""
    mine, theirs = one.lstat(), other.lstat()
    if stat.S_ISLNK(mine.st_mode):
        return stat.S_ISLNK(theirs.st_mode) and one.readlink() == other.readlink()
    if not stat.S_ISREG(theirs.st_mode) or mine.st_size != theirs.st_size:
        return False
    with _opened(one, os.O_RDONLY) as a, _opened(other, os.O_RDONLY) as b:
        while chunk := a.read(1 << 20):
            if chunk != b.read(1 << 20):
                return False
    return True


def refuse(package: str, why: str, *moves: str) -> errors.Parked:
    """An archive, or all of them, must not become a tree."""
    name = f"the package archive {package}" if package else "the packages"
    return errors.Parked(f"{name} {why}", code=rules.CODE, subject=package, next_moves=(*moves, rules.IMAGE))
