"""One wire as the proxy holds it: its socket, the connections on it, the keys it was handed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping

from boatwright.config.secrets import Secret
from boatwright.egress.cuts import Cut
from boatwright.egress.spec import WireSpec

MOST_CONNECTIONS = 512
MOST_TARGETS = 200

Serve = Callable[["Wire", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Wire:
    """An open wire. The socket a call came in on is its identity; nothing said over it is."""

    def __init__(self, spec: WireSpec) -> None:
        self.spec = spec
        self.keys: dict[str, Secret] = {}
        self.cut_by: Cut | None = None
        """Why nothing is carried; the row decides, this is what was last read of it."""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._targets: set[str] = set()

    async def listen(self, listener: socket.socket, serve: Serve) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if len(self._connections) >= MOST_CONNECTIONS:
                writer.transport.abort()
                return
            task = asyncio.current_task()
            if task is None:  # pragma: no cover - a callback of asyncio's always runs in a task
                return
            self._connections.add(task)
            try:
                await serve(self, reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()  # the wire was cut; nobody waits for this task
            finally:
                self._connections.discard(task)

        self._server = await asyncio.start_unix_server(accept, sock=listener)

    def hand_over(self, spec: WireSpec, keys: Mapping[str, str]) -> None:
        """What a worker says anew about an open wire: its spec, its keys."""
        self.spec = spec
        self.keys |= {protocol: Secret(key) for protocol, key in keys.items()}

    def deafen(self) -> None:
        """Take no new connection."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def is_cut(self) -> bool:
        return self.cut_by is not None

    async def cut(self) -> None:
        """End every connection now; what their calls held is charged."""
        tasks = [task for task in self._connections if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({task})

    @property
    def connections(self) -> set[asyncio.Task[None]]:
        return self._connections

    def worth_a_row(self, target: str) -> str:
        """The target as a denial names it; past a number of different ones they share a row."""
        if target not in self._targets and len(self._targets) >= MOST_TARGETS:
            return "(others)"
        self._targets.add(target)
        return target
