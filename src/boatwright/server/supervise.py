"""``python -m boatwright.server.supervise``: the process that owns a bottle's terminal, whoever looks at it.

It belongs to no terminal of a person and outlives theirs. What is wanted comes on stdin as one line of JSON; what becomes
of it goes to stdout, a line each, until the agent begins; from then on the bottle's socket is the way to it. Until then
the end of stdin means that whoever asked has gone or thought better of it, and nothing of it stays.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from boatwright import errors
from boatwright.bottle.terminal import Size, Terminal
from boatwright.intake import solo
from boatwright.intake.solo import Ask
from boatwright.intake.solo_topic import Named
from boatwright.server.scrollback import Scrollback
from boatwright.server.shared import Shared, listener
from boatwright.stages.house import House
from boatwright.values.solo import Solo

SAYS, BEGUN, FAILED = "says", "begun", "failed"
_LONGEST = 1 << 20
Tell = Callable[[dict[str, Any]], None]


class Request(BaseModel):
    """A new bottle (``ask``, and the ``fingerprint`` of what was shown), or one to go on with (``slug``)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ask: dict[str, Any] | None = None
    fingerprint: str = ""
    slug: str = ""
    budget: str | None = None
    rows: int = 24
    columns: int = 80

    @classmethod
    def of(cls, ask: Ask, fingerprint: str, size: Size) -> Request:
        said = {**dataclasses.asdict(ask), "cwd": str(ask.cwd)}
        return cls(ask=said, fingerprint=fingerprint, rows=size.rows, columns=size.columns)


def _ask(said: dict[str, Any]) -> Ask:
    bottles = None if said["bottles"] is None else tuple(said["bottles"])
    topic = None if said["topic"] is None else Named(**said["topic"])
    return Ask(**{**said, "cwd": Path(said["cwd"]), "bottles": bottles, "topic": topic})


class Supervisor:
    """One run of an agent at a terminal, from the request to its end."""

    def __init__(self, house: House, request: Request, tell: Tell) -> None:
        self._house, self._request, self._tell = house, request, tell
        self._terminal = Terminal.open(Size.of(request.rows, request.columns))
        self._begun: asyncio.Future[Solo] = asyncio.get_running_loop().create_future()

    @property
    def began(self) -> bool:
        return self._begun.done()

    async def run(self) -> None:
        """Work until the agent ends. Raises what stands in the way of its beginning; later ends are the record's."""
        working = asyncio.ensure_future(self._work())
        try:
            await asyncio.wait({working, self._begun}, return_when=asyncio.FIRST_COMPLETED)
            if self._begun.done():
                async with self._open(self._begun.result()):
                    await _over(working)
            working.result()
        finally:
            working.cancel()
            await asyncio.wait({working})
            self._terminal.close()

    @asynccontextmanager
    async def _open(self, record: Solo) -> AsyncIterator[None]:
        """The terminal, open to whoever attaches, while the block runs."""
        known = solo.records(self._house)
        place = known.socket(record.slug)
        with Scrollback(known.screen(record.slug)) as kept:
            shared = Shared(self._terminal, record.slug, kept)
            self._terminal.listen(shared.shown)
            await shared.open(listener(place))
            self._tell({BEGUN: record.slug})
            try:
                yield
                await self._terminal.drained()
            finally:
                place.unlink(missing_ok=True)
                await shared.close()

    async def _work(self) -> Solo:
        house, request = self._house, self._request
        how: dict[str, Any] = {"say": self._say, "begun": self._begun.set_result, "terminal": self._terminal}
        if request.ask is None:
            return await solo.resume(house, request.slug, "", budget=request.budget, **how)
        wanted = await solo.look(house, _ask(request.ask))
        if wanted.fingerprint != request.fingerprint:
            raise errors.Conflict(
                "what would be begun has changed since it was shown",
                next_moves=("look again, and start then",),
            )
        return await solo.start(house, wanted, "", **how)

    def _say(self, line: str) -> None:
        if not self._begun.done():
            self._tell({SAYS: line})


async def _over(working: asyncio.Future[Solo]) -> None:
    """Wait for its end; stopped ourselves, for the end that this makes: whoever is attached is told after it."""
    try:
        await asyncio.wait({working})
    except asyncio.CancelledError:
        working.cancel()
        await asyncio.wait({working})
        raise


async def _supervised(request: Request, tell: Tell) -> None:
    house = House.open(producer="terminal")
    try:
        supervisor = Supervisor(house, request, tell)
        running = asyncio.ensure_future(supervisor.run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        given_up = asyncio.ensure_future(_end_of(sys.stdin.fileno()))
        given_up.add_done_callback(lambda _: None if supervisor.began else running.cancel())
        try:
            await running
        finally:
            given_up.cancel()
    finally:
        house.close()


async def _end_of(descriptor: int) -> None:
    """Return at the end of a pipe."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def read() -> None:
        if not os.read(descriptor, 1):
            loop.remove_reader(descriptor)
            ended.set()

    loop.add_reader(descriptor, read)
    await ended.wait()


def _telling(line: dict[str, Any]) -> None:
    """One line to who asked. Nobody there any more: the end of stdin says so, too."""
    try:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(descriptor: int) -> bytes:
    """The first line, and no byte more: the rest is watched for its end."""
    line = bytearray()
    while len(line) < _LONGEST and (byte := os.read(descriptor, 1)) not in {b"", b"\n"}:
        line += byte
    return bytes(line)


def main() -> int:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        request = Request.model_validate_json(_line(sys.stdin.fileno()))
        asyncio.run(_supervised(request, _telling))
    except errors.BoatwrightError as error:
        _telling({FAILED: str(error), "exit_code": error.exit_code, "next_moves": error.next_moves})
        return error.exit_code
    except (asyncio.CancelledError, KeyboardInterrupt):
        return errors.Stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
