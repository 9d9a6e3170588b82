"""One stretch of work of this process: the lease, the launched engine, the sweep, and an orderly end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from boatwright import errors
from boatwright.rules.turns import Worker
from boatwright.workflows.engine.durable import report
from boatwright.workflows.engine.telling import Teller
from boatwright.workflows.worker import Heartbeat, Sweep, Tables

if TYPE_CHECKING:
    from boatwright.workflows.engine.core import Engine

OnLine = Callable[[str, str], None]

RETRY_SECONDS = 5.0
"""How long a turn rests after the store could not take a write, or after it stopped for a reason of its own."""


class Shift:
    """One stretch of work of this process: from the lease to its end."""

    def __init__(self, engine: Engine, queue: str, on_line: OnLine, only: str | None) -> None:
        self._engine = engine
        self._teller = Teller(engine)
        self.only = only
        self.on_line = on_line
        self.queue = queue
        self.running: set[str] = set()
        self.failure: errors.StoreUnavailable | None = None
        self.heartbeat = Heartbeat(engine.leases, release=engine.release, queue=queue, ttl=engine.ttl)
        self._sweep: Sweep | None = None
        self._launched = False

    def begin(self, at_once: int) -> None:
        engine = self._engine
        self.heartbeat.start()
        tables = Tables(
            engine.ledger.database, engine.inbox, engine.turns, engine.leases, engine.durable, engine.clock
        )
        self._sweep = Sweep(
            tables,
            Worker(self.heartbeat.name, engine.release, self.queue),
            home=engine.queue,
            ttl=engine.ttl,
            start=engine.start_turn,
            park=self._teller.give_up,
            only=self.only,
        )
        self._launched = True
        engine.durable.launch(
            lambda execution, turn: self._teller.tell(self, execution, turn),
            executor=self.heartbeat.name,
            queue=self.queue,
            at_once=at_once,
        )
        self._sweep.tick()
        self._sweep.start()

    async def end(self, drain: float, told: asyncio.Event) -> None:
        """Finish the steps under way within ``drain`` seconds (a second signal: at once), hand the rest on."""
        if self._launched:
            self.heartbeat.drain()
            self._engine.durable.stop_listening()
            told.clear()
            deadline = asyncio.get_running_loop().time() + drain
            while self.running and not told.is_set() and asyncio.get_running_loop().time() < deadline:
                await nap(told, 0.05)
        await asyncio.to_thread(self._finish)

    async def leave(self, token: str, cause: errors.BoatwrightError) -> None:
        """A run of a turn stopped without an outcome: it goes back into its queue, after a rest if need be."""
        if isinstance(cause, errors.StoreUnavailable):
            report(f"a turn rests: {cause}")
            self.failure = cause
        if self.heartbeat.refusal() is None:
            await asyncio.sleep(RETRY_SECONDS)
        with suppress(errors.StoreUnavailable):  # then it is found by the sweep once the lease is gone
            await asyncio.to_thread(self._engine.durable.give_back, executor=self.heartbeat.name, token=token)

    def raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _finish(self) -> None:
        if self._sweep is not None:
            self._sweep.stop()
        try:
            if self._launched:
                self._engine.durable.land()
                self._engine.durable.give_back(executor=self.heartbeat.name)
        except errors.StoreUnavailable as gone:
            report(f"turns are left to the sweep: {gone}")
        finally:
            self.heartbeat.stop()


class Signals:
    """SIGTERM (and SIGINT) set an event instead of ending the process; outside the main thread they do not."""

    def __init__(self, *, interrupt: bool = True) -> None:
        self._names = (signal.SIGTERM, signal.SIGINT) if interrupt else (signal.SIGTERM,)
        self._caught: list[signal.Signals] = []

    def __enter__(self) -> asyncio.Event:
        told = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for name in self._names:
            with suppress(ValueError, RuntimeError, NotImplementedError):
                self._loop.add_signal_handler(name, told.set)
                self._caught.append(name)
        return told

    def __exit__(self, *_: object) -> None:
        for name in self._caught:
            self._loop.remove_signal_handler(name)


async def nap(told: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(told.wait(), seconds)
