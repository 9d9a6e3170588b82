"""Whose programs an execution's bottles run: what the policy asks for, and what that means on this host now."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from boatwright import errors
from boatwright.bottle import environment
from boatwright.bottle.containers import images
from boatwright.bottle.environment import Prepared
from boatwright.bottle.packages import providing, trees
from boatwright.bottle.protocol import BottleSpec, Root
from boatwright.rules import toolchain
from boatwright.stages.ground import Ground
from boatwright.stages.house import House
from boatwright.stages.way_out import WayOut
from boatwright.values.process import Limits

_LACKS = 'for each do command -v "$each" >/dev/null 2>&1 || echo "$each"; done'
_LIMITS = Limits(wall_seconds=60.0, cpu_seconds=60, memory_bytes=1 << 30, pids=64, output_bytes=64 << 10)


async def of(
    house: House, here: Ground, *, say: Callable[[str], None] = lambda _: None, afresh: bool = False
) -> Root:
    """The root of the bottles of ``here``. ``afresh``: what its packages mean is asked again.

    Raises ``errors.Parked`` ("image", "packages") where its image or its packages cannot be had.
    """
    backend = here.effective.backend
    if not here.image:
        return await _of_host(house, here, say, afresh)
    house.require_bottle(backend)
    found = await images.root(house.backend.container, here.image)
    return replace(found, environment=here.variables)


async def _of_host(house: House, here: Ground, say: Callable[[str], None], afresh: bool) -> Root:
    held = here.effective
    root = environment.of_host(house.backend, held.backend)
    if not held.packages:
        return root
    tree = await providing.provide(
        house.backend.bubblewrap, held.packages, limits=held.limits, say=say, afresh=afresh
    )
    if tree is None:
        return root
    name = f"this host's programs and {', '.join(held.packages)}"
    return replace(root, packages=tree.key, name=name)


def packages(house: House, root: Root) -> tuple[str, ...]:
    """The system packages under the programs of ``root``, each as name=version."""
    tree = trees.find(house.state, root.packages) if root.packages else None
    return tree.pins if tree else ()


async def require(house: House, here: Ground, programs: Sequence[str], prepared: Prepared | Root) -> None:
    """Raise ``errors.Parked`` ("toolchain") where one of ``programs`` is not there; asked in a bottle of its own."""
    if not programs:
        return
    root = prepared if isinstance(prepared, Root) else prepared.root
    path = root.path if isinstance(prepared, Root) else prepared.environment(root.path)["PATH"]
    spec = BottleSpec(
        f"look-{os.urandom(8).hex()}",
        "toolchain",
        limits=_LIMITS,
        binds=() if isinstance(prepared, Root) else prepared.binds,
        environment={"PATH": path},
        backend=root.backend,
        image=root.image,
        packages=root.packages,
    )
    bottle = await house.backend.create(spec)
    try:
        said = await bottle.exec(("/bin/sh", "-c", _LACKS, "sh", *programs))
    finally:
        await house.backend.destroy(spec.slug)
    missing = [each for each in said.text().split() if each in programs]
    if missing:
        raise errors.Parked(
            toolchain.sentence(missing, root.name),
            code="toolchain",
            subject=missing[0],
            next_moves=toolchain.moves(missing),
        )


def refuse_unwired(root: Root, way: WayOut) -> None:
    """Raise ``errors.Parked`` ("toolchain") where an image has no Python, with which a bottle reaches its wire."""
    if way.wire is not None and root.image and root.python is None:
        raise errors.Parked(
            f"there is no python3 in the image {root.name}, and without one nothing inside reaches the wire",
            code="toolchain",
            subject="python3",
            next_moves=(
                "name an image that has python3 (3.8 or newer)",
                "network_policy: deny_all in .boatwright.yml, with --agent builtin, which needs no wire",
            ),
        )
