"""Prepared environments: set-up run once per tree and commands, in a bottle of its own, then bound read-only."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace

from boatwright.bottle import checkout, environment
from boatwright.bottle.environment import Prepared
from boatwright.bottle.protocol import Bottle, Root
from boatwright.git.mirror import Mirror
from boatwright.rules import toolchain
from boatwright.stages import roots, way_out
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.way_out import Pays
from boatwright.stages.wiring import Payer
from boatwright.values.context import Context

RENEWED = "renewed-"
"""A file of this name, with a key, says that a person had its environment made afresh."""


async def prepare(
    context: Context,
    house: House,
    mirror: Mirror,
    here: Ground,
    commit: str,
    base: str,
    *,
    afresh: bool = False,
) -> Prepared:
    """The environment for ``commit``'s tree, set up by the lines of ``here``.

    Made from the commit in its own bottle: what only an agent installed is not in it. With a set-up line the whole
    tree is the key, because a set-up may install the project itself; an environment made from head never serves base.
    ``afresh`` makes a new one beside what may still be in use; from then on that one is the one for this commit.
    """
    if afresh:
        again = await roots.of(house, here, say=context.say, afresh=True)
        await asyncio.to_thread(_renew, house, mirror, here, commit, again)

    async def pays() -> Payer:
        return await house.view(context.execution)

    return await _prepared(house, mirror, here, commit, base, pays, context.say)


async def for_bottle(
    house: House, payer: Payer, mirror: Mirror | None, here: Ground, say: Callable[[str], None]
) -> Prepared:
    """The environment of a bottle outside any execution: of its commit, or (no mirror) of an empty workspace."""

    async def pays() -> Payer:
        return payer

    return await _prepared(house, mirror, here, here.commit, here.commit, pays, say)


async def _prepared(
    house: House, mirror: Mirror | None, here: Ground, commit: str, base: str, pays: Pays,
    say: Callable[[str], None],
) -> Prepared:  # fmt: skip
    root = await roots.of(house, here, say=say)
    key = await asyncio.to_thread(_key, house, mirror, here, commit, root)
    known = await asyncio.to_thread(environment.find, house.backend, key)
    if known is None and here.setup_line and (await pays()).replays:
        key = _digest(key, "replay")  # made without a network, it may hold less: it serves no other execution
        known = await asyncio.to_thread(environment.find, house.backend, key)
    if known is not None:
        return replace(known, root=root)
    await roots.require(house, here, toolchain.first(here.setup_line or ""), root)

    async def lay(bottle: Bottle) -> None:
        if mirror is not None:
            await checkout.checkout(house.backend, bottle, mirror, commit=commit, base=base)

    async with way_out.of_setup(house, pays, here, key) as way:
        roots.refuse_unwired(root, way)
        return await environment.prepare(
            house.backend,
            key=key,
            setup=here.setup_line,
            commit_tree_into=lay,
            wire=way.wire,
            environment={**_variables(here, root), **way.environment},
            binds=way.binds,
            limits=here.effective.limits,
            root=root,
            say=say,
        )


def _variables(here: Ground, root: Root) -> dict[str, str]:
    """What the manifest's bottles say, as in the agent's bottle: what an image says goes before it."""
    return {name: value for name, value in here.composed.environment.items() if name not in root.environment}


def _key(house: House, mirror: Mirror | None, here: Ground, commit: str, root: Root) -> str:
    found = _found(house, mirror, here, commit, root)
    try:
        token = (house.state.environments / f"{RENEWED}{found}").read_text("ascii")
    except FileNotFoundError:
        return found
    return _digest(found, token)


def _found(house: House, mirror: Mirror | None, here: Ground, commit: str, root: Root) -> str:
    """What an environment hangs on: the programs it was made with, the network it saw, its commands and files."""
    programs = (root.image,) if root.image else environment.programs(house.backend)
    parts = [root.backend, *programs, here.language, here.setup_line or ""]
    parts += [f"packages:{root.packages}"] if root.packages else []
    parts += [f"{name}={value}" for name, value in sorted(root.environment.items())]
    if here.setup_line:
        parts += [f"{name}={value}" for name, value in sorted(_variables(here, root).items())]
        parts += [
            str(here.effective.network),
            *here.effective.allow,
            *(f"route:{route.name}" for route in here.effective.routes),
            mirror.tree_of(commit) if mirror else "",
        ]
    return _digest(*parts)


def _renew(house: House, mirror: Mirror, here: Ground, commit: str, root: Root) -> None:
    """Have the next key be a new one. Nothing is removed here: a bottle may be using what there is."""
    file = house.state.environments / f"{RENEWED}{_found(house, mirror, here, commit, root)}"
    token = house.ids.token()
    fresh = file.with_name(f".{file.name}-{token}")
    fresh.write_text(token, "ascii")
    fresh.replace(file)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
