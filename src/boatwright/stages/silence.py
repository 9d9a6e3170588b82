"""How long one wire has carried nothing: model calls are looked up in the book, calls of services are told to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from boatwright.egress.budget import Budgets
from boatwright.rules.silence import Heard, Quiet
from boatwright.sidecar.beside import Application, Scope


class Pulse:
    """The pulse of one wire, from the first look at it. ``monotonic`` is a clock in seconds that never goes back."""

    def __init__(
        self, book: Callable[[], Budgets], execution: str, wire: str, monotonic: Callable[[], float]
    ) -> None:
        self._book, self._execution, self._wire, self._monotonic = book, execution, wire, monotonic
        self._asked = self._asking = 0
        self._quiet: Quiet | None = None
        """None until somebody looks: what comes before, a set-up say, is no silence of the program's."""

    async def quiet(self) -> float:
        """Seconds since it carried anything, as far as the looks before this one saw. Raises
        ``errors.StoreUnavailable`` where the book cannot be read.
        """
        ended, held = await asyncio.to_thread(self._traffic)
        now = self._monotonic()
        heard = Heard(ended, self._asked, held + self._asking)
        self._quiet = self._quiet.next(heard, now) if self._quiet else Quiet(now, heard)
        return now - self._quiet.since

    def _traffic(self) -> tuple[int, int]:
        return self._book().traffic(self._execution, self._wire)

    def listening(self, application: Application) -> Application:
        """The service, each request of which is heard from its beginning to its end."""

        async def heard(scope: Scope, receive: object, send: object) -> None:
            with self._call():
                await application(scope, receive, send)  # type: ignore[arg-type]

        return heard

    @contextlib.contextmanager
    def _call(self) -> Iterator[None]:
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            self._asked += 1
