"""How we say who we are to GitHub: a token somebody made, or an App that makes its own.

An App signs a JWT (RS256, ten minutes at most, from a minute ago for clocks that differ) and gets a token for each
installation, which lasts an hour: it is kept, and renewed five minutes early. Source: GitHub, "Authenticating as a
GitHub App installation".
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import jwt

from boatwright import errors
from boatwright.config.secrets import Secret
from boatwright.forge.http import Call, ForgeHttp, Login, Sleep
from boatwright.values.clock import Clock

EARLY = timedelta(minutes=5)
JWT_SECONDS = 540
BACK_SECONDS = 60
HEADERS = {
    # The first alone is refused where only application/json is listed.
    "Accept": "application/vnd.github+json, application/json;q=0.9",
    "X-GitHub-Api-Version": "2022-11-28",
    "User-Agent": "boatwright",
}

Resolve = Callable[[], Secret]
"""Read a secret where its reference says. Blocks; ``errors.Parked`` (``credential``) where it is not there."""


PUBLIC = "https://github.com"


def api(base_url: str) -> str:
    """The address of the REST API of the GitHub people open at ``base_url``."""
    return "https://api.github.com" if base_url == PUBLIC else f"{base_url}/api/v3"


class OwnLogin(Login, Protocol):
    """A login git can use as well."""

    async def token(self) -> str: ...


class Logins(Protocol):
    """Who we are to each owner of repositories."""

    is_app: bool

    def of(self, path: str) -> OwnLogin:
        """The login for the repository ``owner/name``, or for the organisation ``owner``."""
        ...

    async def me(self, http: ForgeHttp) -> str: ...

    @property
    def as_app(self) -> ForgeHttp | None:
        """Calls as the App itself; None for a token."""
        ...

    async def granted(self, path: str) -> Mapping[str, str] | None:
        """The rights of the installation, by GitHub's names; None for a token, which has what its owner has."""
        ...


class TokenLogin:
    """A personal token, classic or fine-grained."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._known: Secret | None = None

    async def token(self) -> str:
        if self._known is None:
            self._known = await asyncio.to_thread(self._resolve)
        return self._known.reveal()

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {await self.token()}"}

    def forget(self) -> None:
        self._known = None


class TokenLogins:
    """One token for everything."""

    is_app = False

    def __init__(self, resolve: Resolve) -> None:
        self._login = TokenLogin(resolve)

    def of(self, path: str) -> OwnLogin:
        return self._login

    @property
    def as_app(self) -> ForgeHttp | None:
        return None

    async def me(self, http: ForgeHttp) -> str:
        answer = await http.get("/user", about="who we are")
        return str(answer.json()["login"])

    async def granted(self, path: str) -> Mapping[str, str] | None:
        return None


class _AppLogin:
    """The App itself: good for asking about it and its installations, and for nothing in a repository."""

    def __init__(self, app_id: str, resolve: Resolve, clock: Clock) -> None:
        self._app_id, self._resolve, self._clock = app_id, resolve, clock

    async def headers(self) -> Mapping[str, str]:
        key = await asyncio.to_thread(self._resolve)
        now = int(self._clock.now().timestamp())
        claims = {"iat": now - BACK_SECONDS, "exp": now + JWT_SECONDS, "iss": self._app_id}
        try:
            signed = jwt.encode(claims, key.reveal(), algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            raise errors.Parked(
                "the App's key is not a private RSA key in PEM",
                code="credential",
                subject="app_key",
                next_moves=(
                    "download a key from the App's page and name its file: app_key under forges.github",
                ),
            ) from None  # what the library says may quote the key
        return {"Authorization": f"Bearer {signed}"}

    def forget(self) -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class _Token:
    value: Secret
    until: datetime


class InstallationLogin:
    """The App where one owner installed it."""

    def __init__(self, http: ForgeHttp, lookup: str, clock: Clock) -> None:
        self._http, self._lookup, self._clock = http, lookup, clock
        self._token: _Token | None = None
        self._installation: int | None = None

    async def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {await self.token()}"}

    def forget(self) -> None:
        self._token = self._installation = None

    async def token(self) -> str:
        return (await self._fresh()).value.reveal()

    async def permissions(self) -> Mapping[str, str]:
        """As they are granted now, whatever the token that is kept was made with."""
        answer = await self._http.get(self._lookup, about="the App's installation")
        return dict(answer.json().get("permissions") or {})

    async def _fresh(self) -> _Token:
        """The token that is kept, or a new one. Two who ask at once may both make one: both are good."""
        if self._token is None or self._token.until - EARLY <= self._clock.now():
            self._token = await self._make()
        return self._token

    async def _make(self) -> _Token:
        if self._installation is None:
            try:
                answer = await self._http.get(self._lookup, about="the App's installation")
            except errors.NotFound as error:
                raise errors.Parked(
                    f"the App is not installed for {self._lookup.split('/')[2]}", code="forge_rights",
                    next_moves=("install the App there, and let it see the repository", "boatwright doctor --forge"),
                ) from error  # fmt: skip
            self._installation = int(answer.json()["id"])
        path = f"/app/installations/{self._installation}/access_tokens"
        # Making a second token harms nobody, so it may be asked for again.
        said: dict[str, Any] = (await self._http.call(Call("POST", path, again=True, about="a token"))).json()
        until = datetime.fromisoformat(str(said["expires_at"]).replace("Z", "+00:00")).astimezone(UTC)
        return _Token(Secret(str(said["token"])), until)


class AppLogins:
    """An App: each owner has an installation of its own. A login is kept for each path, for each is looked up by itself:
    a repository that is gone, or that the installation does not see, stands in the way of no other.
    """

    is_app = True

    def __init__(
        self, api: str, app_id: str, resolve: Resolve, *, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        login = _AppLogin(app_id, resolve, clock)
        self._clock = clock
        self.http = ForgeHttp(api, login, name="GitHub", clock=clock, sleep=sleep, headers=HEADERS)
        self._of: dict[str, InstallationLogin] = {}

    def of(self, path: str) -> InstallationLogin:
        owner, slash, _ = path.partition("/")
        lookup = f"/repos/{path}/installation" if slash else f"/orgs/{owner}/installation"
        return self._of.setdefault(path.lower(), InstallationLogin(self.http, lookup, self._clock))

    @property
    def as_app(self) -> ForgeHttp | None:
        return self.http

    async def me(self, http: ForgeHttp) -> str:
        answer = await self.http.get("/app", about="the App")
        return f"{answer.json()['slug']}[bot]"

    async def granted(self, path: str) -> Mapping[str, str] | None:
        return await self.of(path).permissions()
