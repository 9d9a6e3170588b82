"""The agent's bottle of an execution: made once, frozen when people have the turn, thawed when it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from boatwright import crash
from boatwright.agents.protocol import Fitting
from boatwright.bottle import snapshot
from boatwright.bottle.environment import Prepared
from boatwright.bottle.protocol import Bottle, BottleSpec
from boatwright.git.mirror import Mirror
from boatwright.stages import environments, roots
from boatwright.stages.ground import Ground
from boatwright.stages.house import House, last
from boatwright.stages.way_out import WayOut
from boatwright.values.context import Context
from boatwright.values.events import BottleCreated, BottleDestroyed, BottleFrozen, BottleThawed


def slug_of(execution: str) -> str:
    return f"{execution}-agent"


def log(house: House, execution: str) -> Path:
    """Where what its agent says is kept until the bottle is destroyed."""
    return house.state.logs / f"{slug_of(execution)}.log"


async def of_agent(
    context: Context, house: House, mirror: Mirror, here: Ground, fitting: Fitting, way: WayOut
) -> Bottle:
    """The live bottle; else the frozen one thawed; else a new one. ``fitting`` is its agent's, ``way`` its wire."""
    slug = slug_of(context.execution)
    prepared = await environments.prepare(context, house, mirror, here, here.commit, here.commit)
    spec = spec_of(house, slug, here, prepared, fitting, way)
    frozen = await _frozen(context, slug)
    if frozen is not None and await house.backend.open(slug) is None:
        # Where it was made, whatever the settings say by now: an archive is of its backend.
        spec = replace(spec, backend=await _made_by(context, slug) or spec.backend)
        bottle = await house.backend.thaw(spec, house.ledger.artifacts.path(frozen))
        await context.emit(BottleThawed(slug=slug, archive=frozen), key=f"t{context.turn}:bottle.thawed")
        return bottle
    bottle = await house.backend.create(spec)
    crash.point("bottle.created")
    created = BottleCreated(slug=slug, backend=bottle.spec.backend, purpose="agent", limits={})
    await context.emit(created, key=f"bottle.created:{slug}")
    return bottle


def spec_of(
    house: House, slug: str, here: Ground, prepared: Prepared, fitting: Fitting, way: WayOut
) -> BottleSpec:
    """An agent's bottle: what the repository is set up with, what the agent's program needs, its way out."""
    roots.refuse_unwired(prepared.root, way)
    return BottleSpec(
        slug=slug,
        purpose="agent",
        limits=here.effective.limits,
        wire=way.wire,
        backend=prepared.root.backend,
        image=prepared.root.image,
        packages=prepared.root.packages,
        binds=(*prepared.binds, *fitting.binds, *way.binds),
        environment={
            **here.composed.environment,
            **way.environment,
            **fitting.environment,
            **prepared.environment(house.backend.toolchain.path),
        },
    )


async def _made_by(context: Context, slug: str) -> str:
    """The backend that made the bottle first; empty: nobody says."""
    made = (event.payload for event in await context.history())
    return next((each.backend for each in made if isinstance(each, BottleCreated) and each.slug == slug), "")


async def _frozen(context: Context, slug: str) -> str | None:
    """The archive of the bottle if freezing was the last thing that happened to it."""
    found: str | None = None
    for event in await context.history():
        payload = event.payload
        if isinstance(payload, BottleFrozen) and payload.slug == slug:
            found = payload.archive
        elif isinstance(payload, BottleThawed | BottleDestroyed) and payload.slug == slug:
            found = None
    return found


async def freeze(context: Context, house: House) -> None:
    """Archive the bottle and let its directories go; nothing happens when there is none."""
    slug = slug_of(context.execution)
    if await house.backend.open(slug) is None:
        return
    digest, size = await archived(house, slug)
    frozen = BottleFrozen(slug=slug, archive=digest, size=size)
    await context.emit(frozen, key=f"t{context.turn}:bottle.frozen")
    await let_go(house, slug)


async def archived(house: House, slug: str) -> tuple[str, int]:
    """Stop the bottle and keep it as an artifact; its digest and its size. The directories stay."""
    archive = house.state.run / f"{slug}.freeze"
    try:
        await house.backend.freeze(slug, archive)
        digest = await asyncio.to_thread(house.ledger.artifacts.put_file, "freeze", archive)
        return digest, archive.stat().st_size
    finally:
        archive.unlink(missing_ok=True)


async def let_go(house: House, slug: str) -> None:
    """The bottle's directories, and what its step saver keeps between steps."""
    await snapshot.StepSaver(house.backend).discard(slug)
    await house.backend.destroy(slug)


async def destroy(context: Context, house: House, reason: str) -> bool:
    """Destroy the bottle for good; says whether there was anything, frozen or live."""
    slug = slug_of(context.execution)
    existed = (
        await house.backend.open(slug) is not None or last(await context.history(), BottleCreated) is not None
    )
    await let_go(house, slug)
    log(house, context.execution).unlink(missing_ok=True)
    if existed:
        await context.emit(BottleDestroyed(slug=slug, reason=reason), key=f"bottle.destroyed:{context.turn}")
    return existed
