"""Connecting a forge: one hook where it is needed, with a secret of its own, and a delivery that shows it works.

Nothing a person wrote is changed: settings.yml has to name the secret, and is only told how.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.secrets import Secret
from boatwright.intake import listed, register
from boatwright.ledger.deliveries import Deliveries
from boatwright.rules import hooks
from boatwright.stages.house import House
from boatwright.values.delivery import Delivery
from boatwright.values.register import Repository

LOOK_SECONDS = 0.25
Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Connected:
    """One repository: its hook, and the delivery that came through it; None where none came in time.

    ``asked``: whether the forge had something to send at all.
    """

    repository: str
    path: str
    url: str
    fresh: bool
    asked: bool
    arrived: Delivery | None


def served(house: House, kind: str, named: str | None) -> list[Repository]:
    """The repositories to connect: the one that is named, or all of that kind. ``errors.NotFound`` where there is none."""
    if named is not None:
        found = register.find(house, named)
        if found.forge != kind:
            raise errors.BadInput(
                f"{named[:80]} is on {found.forge}",
                subject=named[:80],
                next_moves=(f"boatwright connect {found.forge}",),
            )
        return [found]
    every = [each for each in house.ledger.repositories.all() if each.forge == kind]
    if not every:
        raise errors.NotFound(
            f"no repository of {kind} is served", subject=kind, next_moves=(f"boatwright repo add URL --forge {kind}",)
        )  # fmt: skip
    return every


def _split(text: str) -> SplitResult:
    """The parts of a URL; of no host where a part of it is none."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return urlsplit("")
    return parts


def public_address(text: str) -> str:
    """The address forges reach us at: http or https, a host, nothing else. ``errors.BadInput``."""
    parts = _split(text)
    extra = parts.username or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme not in {"http", "https"} or not parts.hostname or extra:
        raise errors.BadInput(
            f"{text[:80]!r} is no address a forge could call: https://HOST is expected",
            subject=text[:80],
            next_moves=("--url https://boatwright.example.org",),
        )
    return text.rstrip("/")


def secret_of(house: House, repository: Repository, public: str = "https://HOST") -> Secret:
    """The secret its deliveries are signed with, as the door will look for it. ``public``: our address, for what is told.

    ``errors.BadInput`` where settings.yml names none: a fresh one is kept in a file then, and the line to write is told.
    """
    setting = house.settings.forge(repository.forge)
    own = {path.casefold(): reference for path, reference in setting.webhook_secrets.items()}
    names = [name.casefold() for name in (repository.path, *reversed(repository.previous))]
    reference = next((own[name] for name in names if name in own), setting.webhook_secret)
    if reference is None:
        raise _unnamed(house, repository.forge, public)
    return secrets.resolve(reference, environment=house.environment, blanks=True)


def _unnamed(house: House, kind: str, public: str) -> errors.BadInput:
    place = house.state.root / "secrets" / f"{kind}-webhook"
    fresh = "a fresh one is in" if _write(place, house.ids.token() + house.ids.token()) else "one is in"
    return errors.BadInput(
        f"settings.yml names no webhook secret of {kind}; {fresh} {place}",
        subject=kind,
        next_moves=(
            f"write under forges.{kind} in {house.state.settings}: webhook_secret: file:{place}",
            "start serve, anew where it runs, for it reads that when it starts: boatwright serve --public HOST:PORT",
            f"then the same again, which makes the hook: boatwright connect {kind} --url {public}",
        ),
    )


def _write(place: Path, text: str) -> bool:
    """Whether it was written: a file that is there is somebody's secret already."""
    place.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(file, "w") as writer:
        writer.write(f"{text}\n")
    return True


async def connect(
    house: House, repository: Repository, public: str, *, seconds: float, sleep: Sleep = asyncio.sleep
) -> Connected:
    """One hook for ``public``, tried; waits so long for its delivery. Again: the same hook, written anew.

    ``errors.Parked`` where our login may not make hooks there (``forge_rights``), or the forge is away.
    """
    secret = await asyncio.to_thread(secret_of, house, repository, public)
    url = hooks.address(public, repository.forge)
    at_forge = await house.forge.hooks(repository.id)
    deliveries = house.ledger.deliveries
    before = await asyncio.to_thread(_newest, deliveries)
    made = await at_forge.ensure(url, secret)
    asked = await at_forge.test(made.id)
    arrived = await _wait(house, repository.forge, before, seconds, sleep) if asked else None
    return Connected(repository.id, repository.path, url, made.fresh, asked, arrived)


def _newest(deliveries: Deliveries) -> int:
    return next((each.id for each in deliveries.list(limit=1)), 0)


async def _wait(house: House, kind: str, before: int, seconds: float, sleep: Sleep) -> Delivery | None:
    """The first one of that kind that came through a door since."""
    end = house.clock.monotonic() + seconds
    while True:
        for each in await asyncio.to_thread(house.ledger.deliveries.list):
            if each.id > before and each.forge == kind and each.hook != listed.HOOK:
                return each
        if house.clock.monotonic() >= end:
            return None
        await sleep(LOOK_SECONDS)
