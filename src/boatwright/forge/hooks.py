"""Hooks at a forge: one of ours for an address, however often it is asked for, and a delivery to try it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from boatwright import errors
from boatwright.config.secrets import Secret
from boatwright.forge.http import Call, ForgeHttp
from boatwright.rules.hooks import Words

_APP = "/app/hook/config"
_SENT = "/app/hook/deliveries"


@dataclass(frozen=True, slots=True)
class Made:
    """The hook as it stands now; ``fresh``: it was not there before."""

    id: str
    fresh: bool


class Hooks(Protocol):
    async def ensure(self, url: str, secret: Secret) -> Made:
        """One hook that tells ``url`` what is needed, signed with ``secret``; one that is there is written anew."""
        ...

    async def test(self, hook: str) -> bool:
        """Have the forge send something now. False where it has nothing to send."""
        ...


class RepositoryHooks:
    """Those of one repository. ``at``: where its hooks are in the forge's API."""

    def __init__(self, http: ForgeHttp, at: str, words: Words) -> None:
        self._http, self._at, self._words = http, at, words

    async def ensure(self, url: str, secret: Secret) -> Made:
        there = await self._find(url)
        said = self._words.body(url, secret.reveal())
        if there is not None:
            path = f"{self._at}/{there.id}"
            await self._http.call(Call(self._words.change, path, json=said, again=True, about="its hooks"))
            return there

        async def look() -> Made | None:
            return await self._find(url)

        call = Call("POST", self._at, json=said, about="its hooks")
        return await self._http.create(call, lambda answer: Made(_id(answer.json()), True), look)

    async def test(self, hook: str) -> bool:
        path = f"{self._at}/{hook}/{self._words.test}"
        await self._http.call(Call("POST", path, again=True, about="a test of the hook"))
        return True

    async def _find(self, url: str) -> Made | None:
        async for said in self._http.pages(self._at, about="its hooks"):
            if self._words.address(said) == url:
                return Made(_id(said), False)
        return None


class AppHook:
    """The one hook of a GitHub App. Its events are those the App was made with; GitHub lets nobody change them by call."""

    def __init__(self, http: ForgeHttp) -> None:
        self._http = http

    async def ensure(self, url: str, secret: Secret) -> Made:
        before = (await self._http.get(_APP, about="the hook of the App")).json()
        said = {"url": url, "content_type": "json", "secret": secret.reveal(), "insecure_ssl": "0"}
        await self._http.call(Call("PATCH", _APP, json=said, again=True, about="the hook of the App"))
        return Made("", before.get("url") != url)

    async def test(self, hook: str) -> bool:
        """There is no ping for Apps: the newest delivery is sent once more."""
        sent = (await self._http.get(_SENT, {"per_page": 1}, about="its webhooks")).json()
        for each in sent[:1] if isinstance(sent, list) else ():
            path = f"{_SENT}/{int(each['id'])}/attempts"
            await self._http.call(Call("POST", path, again=True, ok=(202,), about="a webhook"))
            return True
        return False


def _id(said: Any) -> str:
    number = said.get("id") if isinstance(said, dict) else None
    if not isinstance(number, int):
        raise errors.ForgeUnavailable("the forge answered something else than a hook", subject="hooks")
    return str(number)
