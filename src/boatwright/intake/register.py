"""The register of repositories: serve one, say where people talk about it, serve it no more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from boatwright import errors
from boatwright.intake import request
from boatwright.intake.switches import repository_id
from boatwright.rules import forge_place, naming
from boatwright.rules.forge_place import ForgeKind, Found
from boatwright.stages.house import House
from boatwright.values.place import ForgePlace
from boatwright.values.register import Repository

PATIENCE = 20.0
"""Seconds a forge has to say whether a repository is there."""


@dataclass(frozen=True, slots=True)
class Added:
    """``unsure``: why nobody could say that it is there; empty where its forge did, or its history was fetched."""

    repository: Repository
    unsure: str = ""


async def add(house: House, named: str, kind: ForgeKind | None, *, by: str) -> Added:
    """Serve a path or a URL. What is on no forge is fetched now, and a forge is asked, so that a slip of the pen is seen.

    ``errors.BadInput`` where its forge is unclear, ``errors.NotFound`` where its forge shows our login no such
    repository, ``errors.Conflict`` where its place is served already.
    """
    source = request.resolve_source(named)
    place = forge_place.of(source, kind)
    if place.kind is ForgeKind.LOCAL:
        await request.register(house, named)
    unsure = "" if place.kind is ForgeKind.LOCAL else await _unseen(house, place)
    added = await asyncio.to_thread(
        house.ledger.repositories.add,
        naming.repository_id(source),
        source=source,
        forge=place.kind.value,
        base_url=place.base_url,
        path=place.path,
        by=by,
    )
    return Added(added, unsure)


async def _unseen(house: House, place: Found) -> str:
    """Why its forge could not be asked; empty where it was, and the repository is there."""
    try:
        async with asyncio.timeout(PATIENCE):
            called = await house.forge.seen(ForgePlace(place.kind.value, place.base_url, place.path))
    except TimeoutError:
        return f"{place.base_url} did not answer in {PATIENCE:g} seconds"
    except errors.NotFound as gone:
        raise _absent(place) from gone
    except errors.BoatwrightError as shut:
        # No installation of ours there, or no right.
        if isinstance(shut, errors.Parked) and shut.code == "forge_rights":
            raise _absent(place) from shut
        return str(shut)
    if not called:
        raise _absent(place)
    return ""


def _absent(place: Found) -> errors.NotFound:
    return errors.NotFound(
        f"there is no repository {place.path} at {place.base_url}, or our login may not see it",
        subject=place.path,
        next_moves=(
            "look how it is spelt there: OWNER/NAME",
            f"or let the login of 'forges.{place.kind}' in settings.yml see it",
        ),
    )


def find(house: House, named: str) -> Repository:
    """A served one by id, path on its forge, path or URL. ``errors.NotFound``."""
    try:
        return house.ledger.repositories.get(repository_id(house, named))
    except errors.NotFound as unknown:
        unknown.next_moves = ("boatwright repo list", f"boatwright repo add {named[:80]}")
        raise


def remove(house: House, named: str) -> Repository:
    """Serve it no more: nothing that comes from its forge is heard. Executions of it stay, and go on."""
    return house.ledger.repositories.remove(find(house, named).id)
