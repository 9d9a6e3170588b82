"""What we are at a forge where our login is the token of one account: its address, its name, and ours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from boatwright import errors
from boatwright.forge.http import ForgeHttp


class TokenAccount(ABC):
    """The part that Gitea, Forgejo and GitLab have word for word."""

    _http: ForgeHttp
    _base_url: str
    _path: Callable[[str], str]
    _me: str

    @property
    def name(self) -> str:
        return self._http.name

    def push_url(self, repository: str) -> str:
        return f"{self._base_url}/{self._path(repository)}.git"

    async def me(self) -> str:
        """Never empty: what has no author is not ours."""
        if not self._me:
            said = (await self._http.get("/user", about="our own account")).json()
            self._me = self._named(said if isinstance(said, dict) else None)
        if not self._me:
            raise errors.ForgeUnavailable(
                f"{self._http.name} does not say who we are", subject=self._http.name
            )
        return self._me

    @abstractmethod
    def _named(self, said: Any) -> str:
        """The login in what the forge says of an account; empty where it says none."""
