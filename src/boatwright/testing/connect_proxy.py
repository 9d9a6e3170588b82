"""A company's proxy for tests: CONNECT with Basic authentication, on a real socket of loopback.

It looks names up in ``hosts``, so that a test's name may lead to a server of the test's own, as a name does that only
the company's proxy knows.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Self


class ConnectProxy:
    """``credential`` is USER:PASSWORD; empty wants none. ``asked`` are the targets, in their order, with the status
    each got; ``hosts`` where each leads. What it is told to ``answer`` it answers whatever was asked.
    """

    def __init__(
        self, hosts: Mapping[str, tuple[str, int]], *, credential: str = "", answer: bytes = b""
    ) -> None:
        self.hosts = dict(hosts)
        self.credential = credential
        self.answer = answer
        self.asked: list[tuple[str, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = start.split(" ")
        headers = dict(line.split(": ", 1) for line in lines if line)
        status = self._status(method, target, headers.get("Proxy-Authorization", ""))
        self.asked.append((target, status))
        if self.answer or status != 200:
            writer.write(self.answer or b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % status)
            await writer.drain()
            return
        far, near = await asyncio.open_connection(*self.hosts[target.rpartition(":")[0]])
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, near))
                both.create_task(_copy(far, writer))
        finally:
            near.close()

    def _status(self, method: str, target: str, authorization: str) -> int:
        wanted = f"Basic {base64.b64encode(self.credential.encode()).decode()}" if self.credential else ""
        if authorization != wanted:
            return 407
        if method != "CONNECT":
            return 405
        return 200 if target.rpartition(":")[0] in self.hosts else 403


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65_536):
            target.write(data)
            await target.drain()
        target.write_eof()
