"""From the names a repository asks for to the tree that lies under its bottles' /usr.

What a list of names means is asked of apt once and then remembered, as long as this host's own packages stay as they
are: every round of an execution, its proof and whatever is thawed later get the same tree. A tree that is gone, or is not
what was kept, is made again from the very same archives, or nothing begins.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.bottle import locks
from boatwright.bottle.packages import apt, host, trees, unpacking
from boatwright.bottle.packages.trees import Meant, Tree
from boatwright.bottle.protocol import Missing
from boatwright.config.paths import StateDir
from boatwright.rules import packages as rules
from boatwright.rules.packages import Archive
from boatwright.values.process import Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.bubblewrap import Bubblewrap


@dataclass(frozen=True, slots=True)
class Order:
    """One wish, on this host as it is now. ``wish`` is the name it is remembered under."""

    backend: Bubblewrap
    apt: apt.Apt
    names: tuple[str, ...]
    there: frozenset[str]
    wish: str
    limits: Limits
    say: Callable[[str], None]

    @property
    def state(self) -> StateDir:
        return self.backend.state

    @property
    def slug(self) -> str:
        return slug(self.wish)


def slug(wish: str) -> str:
    """The bottle in which the archives of a wish are taken apart."""
    return f"unpack-{wish}"


async def provide(
    backend: Bubblewrap,
    names: Sequence[str],
    *,
    limits: Limits,
    say: Callable[[str], None] = lambda _: None,
    afresh: bool = False,
) -> Tree | None:
    """The tree for ``names``, from disk or made now; None where this host has them all itself.

    ``afresh`` asks apt again what the names mean. Raises ``errors.Parked`` ("packages") with the reason.
    """
    found = apt.find(backend.host_environment)
    status = await found.status() if found else ""
    there = rules.installed(status)
    if set(names) <= there:
        return None
    lacks = await asyncio.to_thread(host.missing, backend)
    if lacks is not None or found is None:
        raise _cannot(lacks, names)
    wish = rules.wish(names, status, platform.machine())
    order = Order(backend, found, tuple(names), there, wish, limits, say)
    backend.state.create()
    async with locks.held(backend.state.packages / f"{trees.LOCK}{wish}"):
        meant = None if afresh else await asyncio.to_thread(trees.remembered, order.state, wish)
        tree = await asyncio.to_thread(trees.find, order.state, meant.key) if meant else None
        if tree is None:
            return await _make(order, meant)
        trees.keep(order.state, wish)
        return tree


async def refuse_impossible(backend: Bubblewrap, names: Sequence[str]) -> None:
    """Raise ``errors.MissingPart`` where packages are asked for that this host neither has nor can lay."""
    found = apt.find(backend.host_environment)
    there = rules.installed(await found.status()) if found else frozenset()
    lacks = None if set(names) <= there else await asyncio.to_thread(host.missing, backend)
    if lacks is not None:
        parked = _cannot(lacks, names)
        raise errors.MissingPart(str(parked), subject=parked.subject, next_moves=parked.next_moves)


def _cannot(lacks: Missing | None, names: Sequence[str]) -> errors.Parked:
    part = lacks or Missing("apt", "it is not on this host any more", "apt-get install apt")
    return rules.cannot(part.what, part.why, part.remedy, names)


async def _make(order: Order, meant: Meant | None) -> Tree:
    """Ask, fetch, take apart, keep; ``meant`` is what the wish came to before, and then it comes to that again."""
    await asyncio.to_thread(_sweep, order)
    scratch = order.state.packages / f"{trees.MAKING}{order.wish}-{os.urandom(4).hex()}"
    archives = scratch / "archives"
    try:
        archives.mkdir(parents=True)
        scratch.chmod(0o711)
        archives.chmod(0o755)
        order.say(f"system packages: {', '.join(order.names)}")
        pins = meant.pins if meant else await order.apt.pins(order.names, order.there)
        found = await order.apt.archives(pins, archives)
        key = rules.key(pins, found)
        if meant is not None and key != meant.key:
            raise rules.moved(order.names)
        tree = await asyncio.to_thread(trees.find, order.state, key)
        if tree is None:
            await order.apt.fetch(pins, found, archives)
            tree = await _lay(order, scratch, Tree(key, scratch / "tree" / trees.USR, pins), found)
        await asyncio.to_thread(trees.remember, order.state, order.wish, Meant(key, pins))
        return tree
    finally:
        await asyncio.shield(asyncio.to_thread(trees.erase, scratch))


async def _lay(order: Order, scratch: Path, tree: Tree, found: Sequence[Archive]) -> Tree:
    (scratch / "tree").mkdir()
    files = [scratch / "archives" / each.file for each in found]
    left_out = await unpacking.unpack(order.backend, order.slug, files, tree.path, limits=order.limits)
    more = f"; of theirs only what is below /usr, without {', '.join(left_out)}" if left_out else ""
    order.say(f"system packages: {', '.join(tree.pins)}{more}")
    made = replace(tree, left_out=left_out)
    return await asyncio.to_thread(trees.seal, order.state, scratch / "tree", made)


async def clear_left(backend: Bubblewrap, wish: str, left: Path) -> bool:
    """Take away what a killed process left half made, its bottle too; what a live one is making stays."""
    descriptor = os.open(
        backend.state.packages / f"{trees.LOCK}{wish}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
    )
    try:
        if not locks.taken(descriptor):
            return False
        await backend.destroy(slug(wish))
        await asyncio.to_thread(trees.erase, left)
    finally:
        os.close(descriptor)
    return True


def _sweep(order: Order) -> None:
    """What a killed process left of this very wish: whoever holds its lock is the only one at it."""
    for left in order.state.packages.glob(f"{trees.MAKING}{order.wish}-*"):
        trees.erase(left)
