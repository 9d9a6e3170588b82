"""One terminal of a bottle, seen and typed into by everybody who is attached: none, one, or several."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

from boatwright import errors
from boatwright.bottle.terminal import Size, Terminal
from boatwright.egress import sockets
from boatwright.rules import screen
from boatwright.rules.screen import Asked, Stream
from boatwright.server import frames
from boatwright.server.scrollback import Scrollback

BEHIND = 4 << 20
"""Bytes somebody attached has not read; then they are let go of, and may attach again. The agent never waits."""
_CHUNK = 1 << 16
_BELL = b"\a"


class Shared:
    """Takes what the program prints, filters it once, keeps it, and hands it to all who look."""

    def __init__(self, terminal: Terminal, slug: str, kept: Scrollback) -> None:
        self._terminal, self._slug, self._kept = terminal, slug, kept
        self._stream = Stream()
        self._seats: list[_Seat] = []
        self._server: asyncio.Server | None = None

    def shown(self, data: bytes) -> None:
        """What the program printed; questions in it are answered once, whoever is attached."""
        self._stream, pieces = screen.feed(self._stream, data)
        for piece in pieces:
            if isinstance(piece, Asked):
                self._answer(piece)
                continue
            self._kept.add(piece)
            for seat in tuple(self._seats):
                seat.send(frames.frame(frames.SHOWN, piece))

    async def open(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_unix_server(self._attached, sock=listener)

    async def close(self) -> None:
        """Tell all that it is over, and have them go."""
        if self._server is not None:
            self._server.close()
        for seat in tuple(self._seats):
            seat.send(frames.frame(frames.ENDED))
            await seat.leave()

    def _answer(self, asked: Asked) -> None:
        """Only a real terminal knows where its cursor is: the newest one attached is asked, where there is one."""
        if asked is Asked.CURSOR and self._seats:
            self._seats[-1].send(frames.frame(frames.SHOWN, b"\x1b[6n"))
        else:
            self._terminal.type(asked.value)

    async def _attached(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if sockets.peer_uid(writer.get_extra_info("socket")) not in {os.geteuid(), 0}:
            writer.close()
            return
        seat = _Seat(writer)
        seat.send(
            frames.frame(frames.HELLO, json.dumps({"version": frames.VERSION, "slug": self._slug}).encode())
        )
        seat.send(frames.frame(frames.SHOWN, self._stream.again() + self._kept.newest()))
        self._seats.append(seat)
        try:
            await self._listen(reader, seat)
        except (OSError, errors.BadInput):
            pass  # gone, or none of ours
        finally:
            self._seats.remove(seat)
            await seat.leave()
            self._fit()

    async def _listen(self, reader: asyncio.StreamReader, seat: _Seat) -> None:
        read = frames.Frames()
        while data := await reader.read(_CHUNK):
            for kind, content in read.feed(data):
                if kind == frames.SIZED:
                    seat.size = frames.size_of(content)
                    self._redrawn(seat)
                elif kind == frames.TYPED and not self._terminal.type(content):
                    seat.send(frames.frame(frames.SHOWN, _BELL))

    def _redrawn(self, seat: _Seat) -> None:
        """The newest word about a size holds. Said twice, a program draws its screen anew for who has just come."""
        self._seats.remove(seat)
        self._seats.append(seat)
        if seat.size and not seat.seen:
            seat.seen = True
            self._terminal.resize(Size.of(seat.size.rows - 1, seat.size.columns))
        self._fit()

    def _fit(self) -> None:
        sizes = [seat.size for seat in self._seats if seat.size]
        if sizes:
            self._terminal.resize(sizes[-1])


class _Seat:
    """One who is attached."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self.size: Size | None = None
        self.seen = False

    def send(self, data: bytes) -> None:
        if self._writer.is_closing():
            return
        self._writer.write(data)
        if self._writer.transport.get_write_buffer_size() > BEHIND:
            self._writer.transport.abort()

    async def leave(self) -> None:
        self._writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()


def listener(place: Path) -> socket.socket:
    """The socket of a bottle's terminal, for its owner alone."""
    return sockets.listen(place.parent, place.name, mode=0o600)
