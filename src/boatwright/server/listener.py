"""One listener: a socket of ours, an application behind it, an orderly end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI

from boatwright import errors
from boatwright.rules.listening import Place
from boatwright.server import patience
from boatwright.server.patience import Limits

MOST_CONNECTIONS = 512
"""At one door; who comes beyond hears 503. The descriptors of this process are the worker's, too."""
CLOSE_SECONDS = 10
"""So long a request under way may take when the door closes; then it is cut."""
LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Door:
    """What is to be opened. ``leave`` is told first when it closes."""

    app: FastAPI
    place: Place
    option: str
    """The option that names another place."""
    leave: Callable[[], None] = lambda: None


class Listener:
    """A door that is open from :meth:`open` to :meth:`close`."""

    def __init__(self, door: Door, limits: Limits = LIMITS) -> None:
        self._door = door
        config = uvicorn.Config(
            door.app, log_level="warning", access_log=False, http=patience.protocol(limits), ws="none", server_header=False,
            proxy_headers=False, timeout_graceful_shutdown=CLOSE_SECONDS, limit_concurrency=MOST_CONNECTIONS,
            timeout_keep_alive=limits.idle,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None
        self.place = door.place

    def open(self) -> None:
        """Listen, and say where: ``place`` has the port now. ``errors.BadInput`` where that cannot be."""
        taken = bind(self._door.place, self._door.option)
        self.place = Place(self._door.place.host, taken.getsockname()[1])
        self._task = asyncio.create_task(self._server._serve([taken]))

    def ended(self) -> bool:
        """Whether it has ended by itself, which it should not."""
        return self._task is not None and self._task.done()

    async def close(self) -> None:
        """Take nothing more, let what is under way end. Again: nothing."""
        self._door.leave()
        self._server.should_exit = True
        if self._task is not None:
            await self._task


def bind(place: Place, option: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    try:
        return socket.create_server((place.host, place.port), family=family, backlog=2_048)
    except OSError as error:
        raise errors.BadInput(
            f"{place} cannot be listened on: it is taken, or not ours",
            subject=str(place),
            next_moves=(option,),
        ) from error
