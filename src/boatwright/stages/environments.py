"""Prepared environments: set-up run once per tree and commands, in a bottle of its own, then bound read-only."""

from __future__ import annotations

import asyncio
import hashlib

from boatwright.bottle import checkout, environment
from boatwright.bottle.environment import Prepared
from boatwright.bottle.protocol import Bottle
from boatwright.git.mirror import Mirror
from boatwright.stages import way_out
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.values.context import Context


async def prepare(
    context: Context, house: House, mirror: Mirror, here: Ground, commit: str, base: str
) -> Prepared:
    """The environment for ``commit``'s tree, set up by the lines of ``here``.

    Made from the commit in its own bottle: what only an agent installed is not in it. With a set-up line the whole
    tree is the key, because a set-up may install the project itself; an environment made from head never serves base.
    """
    key = await asyncio.to_thread(_key, house, mirror, here, commit)
    known = await asyncio.to_thread(environment.find, house.backend, key)
    if known is not None:
        return known

    async def lay(bottle: Bottle) -> None:
        await checkout.checkout(house.backend, bottle, mirror, commit=commit, base=base)

    async with way_out.of_setup(context, house, here, key) as way:
        return await environment.prepare(
            house.backend,
            key=key,
            setup=here.setup_line,
            commit_tree_into=lay,
            wire=way.wire,
            environment=way.environment,
            binds=way.binds,
            limits=here.effective.limits,
            say=context.say,
        )


def _key(house: House, mirror: Mirror, here: Ground, commit: str) -> str:
    parts = [house.backend.name, here.language, here.setup_line or ""]
    if here.setup_line:
        parts.append(mirror.tree_of(commit))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]
