"""Adapters, made from what settings.yml says of a forge. One login goes to one address and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from boatwright import errors
from boatwright.config import secrets
from boatwright.config.ceiling import Settings
from boatwright.config.forges import ForgeSetting
from boatwright.config.secrets import Secret
from boatwright.forge import token_login
from boatwright.forge.gitea import Gitea
from boatwright.forge.github import GitHub
from boatwright.forge.github_app import AppLogins, Logins, TokenLogins, api
from boatwright.forge.gitlab import GitLab
from boatwright.forge.http import Sleep
from boatwright.forge.protocol import Forge
from boatwright.values.clock import Clock, Ids
from boatwright.values.place import ForgePlace

PUBLIC = {
    "github": "https://github.com",
    "gitlab": "https://gitlab.com",
    "gitea": "https://gitea.com",
    "forgejo": "https://codeberg.org",
}
"""Where a kind of forge is when ``base_url`` does not say."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every adapter is made with. ``path``: what a repository id of ours is called at its forge."""

    path: Callable[[str], str]
    environment: Mapping[str, str] = field(repr=False)
    clock: Clock
    ids: Ids
    sleep: Sleep = asyncio.sleep

    def secret(self, reference: str, *, lines: bool = False) -> Callable[[], Secret]:
        """How the secret is read, when it is needed."""
        return partial(secrets.resolve, reference, environment=self.environment, blanks=lines, lines=lines)


Maker = Callable[[str, ForgeSetting, Surroundings], Forge]


def _github(base_url: str, setting: ForgeSetting, around: Surroundings) -> Forge:
    logins: Logins
    if setting.app_id is not None and setting.app_key is not None:
        key = around.secret(setting.app_key, lines=True)
        logins = AppLogins(api(base_url), str(setting.app_id), key, clock=around.clock, sleep=around.sleep)
    else:
        logins = TokenLogins(around.secret(_token("github", setting)))
    return GitHub(base_url, logins, path=around.path, clock=around.clock, ids=around.ids, sleep=around.sleep)


def _token(kind: str, setting: ForgeSetting) -> str:
    if setting.token is None:
        raise errors.Parked(
            f"there is no login for {kind}: 'forges.{kind}' of settings.yml names no token", code="credential",
            subject=kind, next_moves=(f"name one: forges: {{{kind}: {{token: env:NAME}}}} in settings.yml",),
        )  # fmt: skip
    return setting.token


def _gitea(kind: str, base_url: str, setting: ForgeSetting, around: Surroundings) -> Forge:
    """Gitea and Forgejo: one API, two names."""
    login = token_login.gitea(around.secret(_token(kind, setting)))
    return Gitea(
        base_url, login, path=around.path, clock=around.clock, ids=around.ids, sleep=around.sleep, kind=kind
    )


def _gitlab(base_url: str, setting: ForgeSetting, around: Surroundings) -> Forge:
    login = token_login.gitlab(around.secret(_token("gitlab", setting)))
    return GitLab(base_url, login, path=around.path, clock=around.clock, ids=around.ids, sleep=around.sleep)


MAKERS: dict[str, Maker] = {
    "github": _github,
    "gitea": partial(_gitea, "gitea"),
    "forgejo": partial(_gitea, "forgejo"),
    "gitlab": _gitlab,
}


class Adapters:
    """One adapter for each forge, made when it is first asked for."""

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings, self._around = settings, around
        self._made: dict[tuple[str, str], Forge] = {}

    def of_kind(self, kind: str) -> Forge:
        """The adapter for the address settings.yml names for that kind of forge."""
        base = self._settings.forges[kind].base_url or PUBLIC.get(kind, "")
        return self.of(ForgePlace(kind, base, kind))

    def of(self, place: ForgePlace) -> Forge:
        """The adapter for the forge a repository is on; ``errors.Refused`` where the login is for another address."""
        setting = self._settings.forges.get(place.kind)
        maker = MAKERS.get(place.kind)
        if maker is None or setting is None:
            raise errors.Parked(
                f"there is no login for {place.kind}: settings.yml says nothing under 'forges.{place.kind}'",
                code="credential", subject=place.path,
                next_moves=(f"name one: forges: {{{place.kind}: {{token: env:NAME}}}} in settings.yml",),
            )  # fmt: skip
        known = (setting.base_url or PUBLIC[place.kind]).rstrip("/")
        if place.base_url.rstrip("/").lower() != known.lower():
            raise errors.Refused(
                f"{place.path} is at {place.base_url}, and the login of 'forges.{place.kind}' goes to {known} alone",
                subject=place.path,
                next_moves=(f"write base_url: {place.base_url} under forges.{place.kind}, if that is yours",),
            )
        key = (place.kind, known)
        if key not in self._made:
            self._made[key] = maker(known, setting, self._around)
        return self._made[key]
