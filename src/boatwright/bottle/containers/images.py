"""Images of the container backend: which one a reference means now, and what of the essentials is in it."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatwright import errors
from boatwright.bottle.containers import engine as engines
from boatwright.bottle.protocol import BottleSpec, Root
from boatwright.values.process import Limits

if TYPE_CHECKING:
    from boatwright.bottle.backends.container import Container

_PULL = 1_800.0
_LOOK = 'echo "$PATH"; command -v python3 || echo; command -v bash || echo /bin/sh'
_LIMITS = Limits(wall_seconds=60.0, cpu_seconds=60, memory_bytes=1 << 30, pids=64, output_bytes=64 << 10)


async def root(backend: Container, reference: str) -> Root:
    """The root that ``reference`` means now, by the image's own id; pulled where this host does not have it.

    Raises ``errors.Parked`` ("image") when it can neither be found nor pulled, or has no shell.
    """
    identity = await asyncio.to_thread(_identity, backend.engine, reference)
    remembered = backend.state.run / f"image-{identity}.json"
    found = await asyncio.to_thread(_remembered, remembered)
    if found is None:
        found = await _look(backend, identity, reference)
        await asyncio.to_thread(_remember, remembered, found)
    return Root(
        backend=backend.name,
        image=identity,
        name=reference,
        path=found["path"],
        python=found["python"] or None,
        shell=found["shell"],
    )


def _identity(engine: engines.Engine, reference: str) -> str:
    """The image's id: a digest of what is in it, whatever its name is moved to later."""
    known = _inspect(engine, reference)
    if known is None:
        pulled = engine.ask("pull", "--quiet", reference, patience=_PULL)
        known = _inspect(engine, reference)
        if known is None:
            raise errors.Parked(
                f"the image {reference} is not on this host and could not be pulled: {engines.plain(pulled.stderr)}",
                code="image",
                subject=reference,
                next_moves=(f"{engine.path.name} pull {reference}", "name another image in .boatwright.yml"),
            )
    return known


def _inspect(engine: engines.Engine, reference: str) -> str | None:
    said = engine.ask("image", "inspect", "--format", "{{.Id}}", reference)
    identity = said.stdout.strip().removeprefix("sha256:")
    return identity if said.returncode == 0 and len(identity) == 64 and identity.isalnum() else None


async def _look(backend: Container, identity: str, reference: str) -> dict[str, Any]:
    slug = f"image-{identity[:16]}-{os.urandom(4).hex()}"
    bottle = await backend.create(BottleSpec(slug, "image", _LIMITS, image=identity))
    try:
        done = await bottle.exec(("/bin/sh", "-c", _LOOK))
    except errors.MissingPart as problem:
        raise _unfit(reference, str(problem)) from problem
    finally:
        await asyncio.shield(asyncio.ensure_future(backend.destroy(slug)))
    lines = done.text().splitlines()
    if not done.ok or len(lines) != 3:
        raise _unfit(reference, done.text().strip()[:200] or f"exit code {done.exit_code}")
    return dict(zip(("path", "python", "shell"), lines, strict=True))


def _unfit(reference: str, why: str) -> errors.Parked:
    return errors.Parked(
        f"no program can be run in the image {reference}: {why}",
        code="image",
        subject=reference,
        next_moves=("name an image with /bin/sh in .boatwright.yml",),
    )


def _remembered(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_bytes())
        return found if set(found) == {"path", "python", "shell"} else None
    except (OSError, ValueError, TypeError):
        return None


def _remember(file: Path, found: dict[str, Any]) -> None:
    fresh = file.with_name(f".{file.name}-{os.urandom(4).hex()}")
    fresh.write_text(json.dumps(found))
    fresh.rename(file)
