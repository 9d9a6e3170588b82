"""A token of ours, sent as one forge wants it. It is resolved when it is needed, and again when the forge refuses it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from boatwright.config.secrets import Secret


class TokenLogin:
    """``forge.http.Login`` with one token in one header: ``template`` has ``{}`` where the token goes."""

    def __init__(self, resolve: Callable[[], Secret], header: str, template: str = "{}") -> None:
        self._resolve, self._header, self._template = resolve, header, template
        self._known: Secret | None = None

    async def token(self) -> str:
        """For git, which sends it as a password."""
        if self._known is None:
            self._known = await asyncio.to_thread(self._resolve)
        return self._known.reveal()

    async def headers(self) -> Mapping[str, str]:
        return {self._header: self._template.format(await self.token())}

    def forget(self) -> None:
        self._known = None


def gitea(resolve: Callable[[], Secret]) -> TokenLogin:
    return TokenLogin(resolve, "Authorization", "token {}")


def gitlab(resolve: Callable[[], Secret]) -> TokenLogin:
    return TokenLogin(resolve, "PRIVATE-TOKEN")
