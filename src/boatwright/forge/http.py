"""Calls to a forge over HTTP: one ladder for every adapter.

``call``    one request, sent again where that is safe, waiting where the forge asks for it
``create``  a POST: when its answer is lost, what it was to make is looked for before it is made again
``pages``   a list, page by page
``said``    one request on one connection: an :class:`Answer`, or :class:`Lost`

Redirects are followed for GET, on the same origin, and nowhere else. The login is asked for anew after a 401, once.
Nothing that was sent or received is logged but method, status, time and the forge's own id of the request.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from typing import Any, ClassVar, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx2

from boatwright import errors
from boatwright.forge import refusals
from boatwright.rules import forge_waiting
from boatwright.rules.forge_waiting import Next
from boatwright.values.clock import Clock

LOG = logging.getLogger("boatwright.forge")
PATIENCE = 120.0
"""The most seconds one call waits for a forge altogether; past that the work parks and says when to go on."""
TRIES = 5
MOST_BYTES = 32 << 20
MOST_PAGES = 100
PAGE = 100
CONNECT_SECONDS = 15.0
READ_SECONDS = 60.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_REDIRECTS = frozenset({301, 302, 307, 308})
_REQUEST_IDS = ("x-github-request-id", "x-request-id", "x-gitlab-request-id")
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')

T = TypeVar("T")
Params = Mapping[str, str | int]
Sleep = Callable[[float], Awaitable[None]]


class Lost(Exception):
    """No whole answer came: the request may have been carried out, or not. ``sent`` is False where it cannot have been."""

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    forge: str = "the forge"

    def json(self) -> Any:
        """The body as JSON; ``errors.ForgeUnavailable`` where it is none (a page of a proxy, say)."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise errors.ForgeUnavailable(
                f"{self.forge} answered something else than JSON ({self.status})", subject=self.forge
            ) from error

    @property
    def text(self) -> str:
        """The head of the body: untrusted, for reading only."""
        return self.body[:4_096].decode("utf-8", "replace")

    @property
    def next(self) -> str | None:
        """The address of the next page."""
        found = _NEXT.search(self.headers.get("link", ""))
        return found[1] if found else None


class Login(Protocol):
    """How we say who we are; asked before every request."""

    async def headers(self) -> Mapping[str, str]: ...

    def forget(self) -> None:
        """The forge did not take it: have a fresh one next time."""
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request. ``path`` is under the base, or a whole address of the same origin. ``ok``: the statuses that are
    answers to the caller; every other one is raised as ``forge.refusals`` reads it.
    """

    method: str
    path: str
    params: Params = field(default_factory=dict)
    json: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    ok: Sequence[int] = (200, 201, 202, 204)
    again: bool | None = None
    """Whether it may be sent twice; None: by its method."""
    about: str = ""
    """What it is about, for the sentence of an error: ``issue 7 of ann/sample``."""

    @property
    def repeatable(self) -> bool:
        return forge_waiting.repeatable(self.method) if self.again is None else self.again


class ForgeHttp:
    """Calls to one forge, with one login. May be used from any event loop: no connection outlives its call, so that a
    connection the other side gave up is never taken for a lost answer.
    """

    paging: ClassVar[Mapping[str, str | int]] = {"per_page": PAGE}
    """How a list is asked for in pages as long as they come."""

    def __init__(
        self,
        base: str,
        login: Login,
        *,
        name: str,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        headers: Mapping[str, str] | None = None,
        patience: float | None = None,
    ) -> None:
        self.base, self.name = base.rstrip("/"), name
        self._login, self._clock, self._sleep = login, clock, sleep
        self._headers, self._patience = dict(headers or {}), PATIENCE if patience is None else patience

    # --- the ladder ---

    async def call(self, call: Call) -> Answer:
        """The answer to a request.

        Waits out limits and lost answers for ``patience`` seconds; ``errors.ForgeUnavailable`` past that, the errors of
        ``forge.refusals`` for every status the caller did not name, :class:`Lost` for a POST whose answer was lost.
        """
        waited, renewed = 0.0, False
        for attempt in range(TRIES):
            try:
                answer = await self._followed(call)
            except Lost as lost:
                if lost.sent and not call.repeatable:
                    raise
                waited = await self._wait(
                    forge_waiting.short({}, self._clock.now(), attempt), waited, str(lost)
                )
                continue
            meaning = forge_waiting.meaning(answer.status, answer.headers, answer.text)
            if answer.status in call.ok or (meaning is Next.TAKE and answer.status != 401):
                return self._judged(call, answer)
            if answer.status == 401:
                if renewed:
                    return self._judged(call, answer)
                renewed = True
                self._login.forget()
                continue
            if meaning is Next.UNSURE and not call.repeatable:
                raise Lost(f"{self.name} answered {answer.status}")
            waited = await self._wait(
                self._pause(answer, meaning, attempt), waited, f"it answered {answer.status}"
            )
        raise self._away("it did not answer", 60.0)

    async def create(
        self, call: Call, made: Callable[[Answer], T], look: Callable[[], Awaitable[T | None]]
    ) -> T:
        """A POST that makes one thing. ``look`` finds it by what marks it, when nobody knows whether it was made."""
        waited = 0.0
        for attempt in range(TRIES):
            try:
                return made(await self.call(call))
            except Lost as lost:
                waited = await self._wait(
                    forge_waiting.short({}, self._clock.now(), attempt), waited, str(lost)
                )
                found = await look()
                if found is not None:
                    return found
        raise self._away("no answer came whole", 60.0)

    async def get(
        self, path: str, params: Params | None = None, *, about: str = "", ok: Sequence[int] = (200,)
    ) -> Answer:
        return await self.call(Call("GET", path, params=params or {}, ok=ok, about=about))

    async def pages(self, path: str, *, about: str = "", **params: str | int) -> AsyncIterator[Any]:
        """Every item of a list, whatever the number of its pages; a dictionary's first list counts as the page."""
        answer = await self.get(path, {**self.paging, **params}, about=about)
        for _ in range(MOST_PAGES):
            for item in _items(answer.json()):
                yield item
            if answer.next is None:
                return
            answer = await self.get(self._own(answer.next), about=about)
        raise errors.BadInput(
            f"{about or 'a list'} at {self.name} has more than {MOST_PAGES} pages", subject=self.name
        )

    async def list(self, path: str, *, about: str = "", **params: str | int) -> list[Any]:
        return [item async for item in self.pages(path, about=about, **params)]

    async def stranger(self, url: str) -> Answer:
        """A GET without our login: what a forge keeps elsewhere (a log) is fetched where its signed address says.

        Over TLS alone; a forge on a loopback address may keep it on one. ``errors.Refused`` for any other address,
        :class:`Lost` where no answer came.
        """
        there = urlsplit(url)
        both = {there.hostname or "", urlsplit(self.base).hostname or ""}
        if there.scheme != "https" and not (there.scheme == "http" and both <= _LOOPBACK):
            raise errors.Refused(
                f"{self.name} keeps a log at an address that is not https, and it is not fetched from there",
                subject=self.name,
            )
        try:
            return await self._exchange("GET", url, None, self._plain_headers(), None)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Lost(f"what {self.name} keeps elsewhere was lost ({type(error).__name__})") from error

    def _plain_headers(self) -> dict[str, str]:
        return {name: value for name, value in self._headers.items() if name == "User-Agent"}

    # --- one step of it ---

    async def _followed(self, call: Call) -> Answer:
        """The answer, after the redirects of a GET within the same origin."""
        url = self._own(call.path if "://" in call.path else f"{self.base}{call.path}")
        params: Params | None = call.params or None
        for _ in range(4):
            answer = await self.said(call, url, params)
            if answer.status not in _REDIRECTS or answer.status in call.ok or call.method != "GET":
                return answer
            url, params = self._own(urljoin(url, answer.headers.get("location", ""))), None
        return answer

    async def said(self, call: Call, url: str, params: Params | None) -> Answer:
        """One request, one answer, one connection."""
        started = self._clock.monotonic()
        try:
            headers = {**self._headers, **call.headers, **await self._login.headers()}
            content = None if call.json is None else json.dumps(call.json).encode()
            if content is not None:
                headers["Content-Type"] = "application/json"
            answer = await self._exchange(call.method, url, params, headers, content)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            raise Lost(f"{self.name} cannot be reached", sent=False) from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Lost(f"the answer of {self.name} was lost ({type(error).__name__})") from error
        request_id = next((answer.headers[name] for name in _REQUEST_IDS if name in answer.headers), "-")
        LOG.debug(
            "%s %s %d %.3fs request %s", self.name, call.method, answer.status,
            self._clock.monotonic() - started, refusals.plain(request_id, 80),
        )  # fmt: skip
        return answer

    async def _exchange(
        self,
        method: str,
        url: str,
        params: Params | None,
        headers: Mapping[str, str],
        content: bytes | None,
    ) -> Answer:
        timeout = httpx2.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        async with (
            httpx2.AsyncClient(verify=_trust(), timeout=timeout, follow_redirects=False) as client,
            client.stream(method, url, params=params, headers=headers, content=content) as response,
        ):
            body = bytearray()
            async for part in response.aiter_bytes():
                body += part
                if len(body) > MOST_BYTES:
                    raise errors.BadInput(
                        f"{self.name} answered more than {MOST_BYTES >> 20} MiB", subject=self.name
                    )
            found = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status_code, found, bytes(body), self.name)

    def _own(self, url: str) -> str:
        """The address, if it is of this forge's origin: the login goes nowhere else."""
        there, here = urlsplit(url), urlsplit(self.base)
        if (there.scheme, there.netloc) != (here.scheme, here.netloc):
            raise errors.Refused(
                f"{self.name} sent us to another address, and the login goes to {here.netloc} alone",
                subject=self.name,
                next_moves=("name the forge's own address: base_url under forges in settings.yml",),
            )
        return url

    def _judged(self, call: Call, answer: Answer) -> Answer:
        if answer.status in call.ok:
            return answer
        raise refusals.read(self.name, answer.status, answer.headers, answer.body, about=call.about)

    def _pause(self, answer: Answer, meaning: Next, attempt: int) -> float:
        pause = forge_waiting.pause if meaning is Next.WAIT else forge_waiting.short
        return pause(answer.headers, self._clock.now(), attempt)

    async def _wait(self, seconds: float, waited: float, why: str) -> float:
        if waited + seconds > self._patience:
            raise self._away(why, seconds)
        await self._sleep(seconds)
        return waited + seconds

    def _away(self, why: str, seconds: float) -> errors.ForgeUnavailable:
        again = self._clock.now() + timedelta(seconds=seconds)
        return errors.ForgeUnavailable(
            f"{self.name} cannot be used now: {why}; it makes sense to go on at {again:%Y-%m-%d %H:%M:%S} UTC",
            again=again, subject=self.name, next_moves=("boatwright resume EXECUTION",),
        )  # fmt: skip


def _items(page: Any) -> Sequence[Any]:
    if isinstance(page, dict):
        page = next((value for value in page.values() if isinstance(value, list)), [])
    return page if isinstance(page, list) else []


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's authorities, read once; ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` are heeded."""
    return ssl.create_default_context()
