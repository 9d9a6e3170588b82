"""The kinds of things a sweep removes, one small object each; a new kind is a class and a line in :data:`KINDS`."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from boatwright import errors
from boatwright.bottle import environment, shelf, store
from boatwright.bottle.packages import providing, trees
from boatwright.egress import tape
from boatwright.git import mirror as mirrors
from boatwright.stages import environments, solo
from boatwright.stages.house import House
from boatwright.stages.solo_records import Records
from boatwright.values.solo import Solo, SoloState
from boatwright.values.state import FINISHED, State

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
EVERY = 1_000_000
_GONE = ".gone-"


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that nothing needs: its name for people, its bytes, when it was used last, and where it is."""

    name: str
    size: int
    used: datetime
    path: Path


class Kind(Protocol):
    """``retention``: the key of settings.yml that says how long; empty: none does. ``personal``: a person began it, and
    an age alone takes nothing of it away.
    """

    @property
    def name(self) -> str: ...

    @property
    def retention(self) -> str: ...

    @property
    def personal(self) -> bool: ...

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        """What of this kind nothing alive names, and was used last before then."""
        ...

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        """Take it away, unless it was taken up meanwhile; says whether it went."""
        ...

    async def after(self, house: House, before: datetime) -> None:
        """What else goes with this kind, and has no name to show."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """What most kinds have in common."""

    name: str
    retention: str = ""
    personal: bool = False

    async def after(self, house: House, before: datetime) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Artifacts(Plain):
    """Bytes in the store, some kinds of them, that no unfinished execution, no young one and no bottle names."""

    kinds: tuple[str, ...] = ()

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        return await asyncio.to_thread(self._unneeded, house, before)

    def _unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        keep = set(_named_artifacts(house, before))
        found = house.ledger.artifacts.unnamed(keep, before, kinds=self.kinds)
        return [Thing(f"{each.kind} {each.digest[:19]}", each.size, each.put, each.path) for each in found]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        return await asyncio.to_thread(house.ledger.artifacts.drop, thing.path, before)

    async def after(self, house: House, before: datetime) -> None:
        if "log" in self.kinds:
            await house.wire.prune_denials(before)


def _named_artifacts(house: House, before: datetime) -> Iterator[str]:
    """Every artifact that is named by what lives, or ended after then."""
    for view in house.ledger.executions.list(limit=EVERY):
        if not view.finished or view.updated > before:
            for event in house.ledger.events.stream(view.id):
                yield from DIGEST.findall(event.payload.model_dump_json())
    for record in _records(house).all():
        yield from record.artifacts


@dataclass(frozen=True, slots=True)
class Strays(Plain):
    """Bottles of executions that are over, or that nobody knows. A bottle listed here is of an execution listed then."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        slugs = await house.backend.list()
        live = await asyncio.to_thread(_live, house)
        over = [slug for slug in slugs if slug.startswith("ex-") and _execution(slug) not in live]
        found = [await self._thing(house, slug) for slug in over]
        return [thing for thing in found if thing is not None and thing.used < before]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if _execution(thing.name) in await asyncio.to_thread(_live, house):
            return False
        await house.backend.destroy(thing.name)
        return True

    async def _thing(self, house: House, slug: str) -> Thing | None:
        with suppress(errors.Conflict, FileNotFoundError):  # what is written of it is broken; it went
            bottle = await house.backend.open(slug)
            if bottle is not None:
                root = bottle.workspace.parent
                return await asyncio.to_thread(_thing, slug, root)
        return None


@dataclass(frozen=True, slots=True)
class Solos(Plain):
    """Bottles people began, that nobody works in. What is in them is nowhere else: they go when somebody says so."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        known = _records(house)
        found = [await self._thing(house, record) for record in known.all() if not known.held(record.slug)]
        return [thing for thing in found if thing is not None and thing.used < before]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        known = _records(house)
        try:
            with await asyncio.to_thread(known.hold, thing.name, patience=0.0):
                record = known.find(thing.name)
                if record is None or _used(thing.path) >= before:
                    return False
                await solo.destroy(house, record)
                return True
        except (errors.Conflict, FileNotFoundError):  # somebody goes on with it, or was quicker
            return False

    async def _thing(self, house: House, record: Solo) -> Thing | None:
        path = _records(house).path(record.slug)
        with suppress(errors.Conflict, FileNotFoundError):  # what is written of it is broken; it went
            frozen = record.state is SoloState.FROZEN
            bottle = None if frozen else await house.backend.open(record.slug)
            size = await asyncio.to_thread(_size, bottle.workspace.parent) if bottle else 0
            return Thing(record.slug, size, _used(path), path)
        return None


@dataclass(frozen=True, slots=True)
class Environments(Plain):
    """Prepared environments by last use. Lock files stay: removing one would let two processes hold it."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        # Listed first: what uses one of them comes after it.
        found = await asyncio.to_thread(_entries, house.state.environments)
        shown = _around(await _shown(house))
        kept = (".lock-", environments.RENEWED)
        return [
            thing
            for thing in found
            if thing.used < before and thing.path not in shown and not thing.name.startswith(kept)
        ]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if thing.path in _around(await _shown(house)):
            return False
        return await asyncio.to_thread(self._remove, house, thing, before)

    @staticmethod
    def _remove(house: House, thing: Thing, before: datetime) -> bool:
        try:
            if _used(thing.path) >= before:
                return False
            if not thing.path.is_dir():
                thing.path.unlink()
            elif thing.name.startswith("."):
                environment.clear_left(house.backend, thing.path)
            else:
                environment.discard(house.backend, thing.name)
        except FileNotFoundError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Packages(Plain):
    """Trees of system packages by last use, what wishes for some meant, and what was left half made. Lock files stay."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        found = await asyncio.to_thread(_entries, house.state.packages)
        shown = await _laid(house)
        return [
            thing
            for thing in found
            if thing.used < before and thing.name not in shown and not thing.name.startswith(trees.LOCK)
        ]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if thing.name in await _laid(house):
            return False
        try:
            if _used(thing.path) >= before:
                return False
            if thing.name.startswith(trees.MAKING):
                wish = trees.wish_of(thing.path)
                return await providing.clear_left(house.backend.bubblewrap, wish, thing.path)
            return await asyncio.to_thread(_take_away, thing.path, before)
        except FileNotFoundError:
            return False


@dataclass(frozen=True, slots=True)
class Programs(Plain):
    """Copies of agents' programs and of our own tools, old versions of them. A start that needs one makes it anew."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        found = await asyncio.to_thread(_entries, house.state.run, _COPIES)
        shown = _around({*await _shown(house), shelf.current(house.state)})
        return [thing for thing in found if thing.used < before and thing.path not in shown]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if thing.path in _around(await _shown(house)):
            return False
        return await asyncio.to_thread(_take_away, thing.path, before)


_COPIES = ("program-", "inside-", ".program-", ".inside-", _GONE)


@dataclass(frozen=True, slots=True)
class Tapes(Plain):
    """Tapes of executions that are over, and of bottles outside any, by their last line."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        live = await asyncio.to_thread(_live, house)
        found = await asyncio.to_thread(tape.kept, house.state.tapes)
        return [
            Thing(each.execution, each.bytes, each.written, house.state.tapes / each.execution)
            for each in found
            if each.written < before and each.execution not in live
        ]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if thing.name in await asyncio.to_thread(_live, house):
            return False
        return await asyncio.to_thread(tape.remove, house.state.tapes, thing.name, before)


@dataclass(frozen=True, slots=True)
class Mirrors(Plain):
    """Mirrors of repositories that no execution and no bottle names. Of any execution: its steps are commits there."""

    async def unneeded(self, house: House, before: datetime) -> Sequence[Thing]:
        found = [_opened(each) for each in await asyncio.to_thread(_entries, house.state.mirrors)]
        named = await asyncio.to_thread(_repositories, house)
        return [
            thing for thing in found if thing.used < before and thing.name.removesuffix(".git") not in named
        ]

    async def remove(self, house: House, thing: Thing, before: datetime) -> bool:
        if thing.name.removesuffix(".git") in await asyncio.to_thread(_repositories, house):
            return False
        if thing.name.startswith("."):  # half made, or half removed
            return await asyncio.to_thread(_take_away, thing.path, before)
        return await asyncio.to_thread(
            mirrors.remove, thing.path, lambda path: _used(mirrors.used(path)) < before
        )


def _opened(thing: Thing) -> Thing:
    """With the time it was opened last, where it is whole."""
    with suppress(FileNotFoundError):
        return replace(thing, used=_used(mirrors.used(thing.path)))
    return thing


def _repositories(house: House) -> set[str]:
    views = house.ledger.executions.list(limit=EVERY)
    return {view.repository for view in views} | {each.repository for each in _records(house).all()}


def _take_away(path: Path, before: datetime) -> bool:
    """In one step for whoever looks, then piece by piece; whoever took it up in that moment gets it back."""
    gone = path.with_name(f"{_GONE}{path.name.lstrip('.')}")
    try:
        if _used(path) >= before:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        path.rename(gone)
    except FileNotFoundError:
        return False
    if _used(gone) >= before and not path.exists():
        gone.rename(path)
        return False
    store.erase(gone)
    return True


async def _shown(house: House) -> set[Path]:
    """What of the host the bottles that are there show right now."""
    found: set[Path] = set()
    for slug in await house.backend.list():
        with suppress(errors.Conflict):  # what is written about it is broken: it shows nothing
            bottle = await house.backend.open(slug)
            found.update(bind.source for bind in (bottle.spec.binds if bottle else ()))
    return found


async def _laid(house: House) -> set[str]:
    """The trees of packages under the bottles that are there."""
    found: set[str] = set()
    for slug in await house.backend.list():
        with suppress(errors.Conflict):
            bottle = await house.backend.open(slug)
            found.update({bottle.spec.packages} if bottle else ())
    return found


def _around(paths: Collection[Path]) -> set[Path]:
    return {parent for path in paths for parent in (path, *path.parents)}


def _live(house: House) -> set[str]:
    states = [state for state in State if state not in FINISHED]
    return {view.id for view in house.ledger.executions.list(states=states, limit=EVERY)}


def _execution(slug: str) -> str:
    return "-".join(slug.split("-")[:2])


def _records(house: House) -> Records:
    return Records(house.state, house.clock)


def _entries(folder: Path, beginnings: tuple[str, ...] = ("",)) -> list[Thing]:
    """What lies in a directory of ours, by name."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(beginnings):
            with suppress(FileNotFoundError):
                found.append(_thing(path.name, path))
    return found


def _thing(name: str, path: Path) -> Thing:
    return Thing(name, _size(path), _used(path), path)


def _used(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def _size(path: Path) -> int:
    """Bytes below a path, links not followed; what goes away while we look counts for nothing."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(_size(child) for child in path.iterdir())
    except OSError:
        return 0


KINDS: tuple[Kind, ...] = (
    Strays("bottles"),
    Solos("kept-bottles", "bottles", personal=True),
    Artifacts("prompts", "prompts", kinds=("prompt",)),
    Artifacts("transcripts", "transcripts", kinds=("transcript", "session")),
    Artifacts("reports", "reports", kinds=("report", "plan", "diff", "pack")),
    Artifacts("logs", "logs", kinds=("log", "output")),
    Artifacts("freezes", "freezes", kinds=("freeze",)),
    Tapes("tapes", "tapes"),
    Environments("environments", "environments"),
    Packages("packages", "packages"),
    Programs("programs", "programs"),
    Mirrors("mirrors", "mirrors"),
)
"""What can be swept, in this order: bottles first, because they name the rest."""
