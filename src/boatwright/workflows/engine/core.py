"""The engine: take a command, claim a turn for it, run turns in this process until told to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import exc

from boatwright import crash, errors
from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.ledger.inbox import Inbox
from boatwright.ledger.leases import Lease, Leases
from boatwright.ledger.turns import Claimed, Turns
from boatwright.rules.keyed import Key
from boatwright.rules.turns import Worker, release_for
from boatwright.values.clock import Clock, Ids
from boatwright.values.events import FeatureRequested
from boatwright.workflows.engine.durable import Durable, EngineError, report
from boatwright.workflows.engine.shift import OnLine, Shift, Signals, nap
from boatwright.workflows.engine.turn import Story
from boatwright.workflows.worker import HOST

LEASE_SECONDS = "BOATWRIGHT_LEASE_SECONDS"
TURNS_AT_ONCE = "BOATWRIGHT_TURNS"
KEEP_DAYS = "BOATWRIGHT_ENGINE_KEEP_DAYS"
DRAIN_SECONDS = 60.0


class Engine:
    """The durable engine of one process. Everything but ``run_*`` is synchronous and works in any process."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        state: StateDir,
        story: Story,
        release: str,
        clock: Clock,
        ids: Ids,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        environment = os.environ if environment is None else environment
        self.ttl = _number(environment, LEASE_SECONDS, 30.0)
        self._at_once = int(_number(environment, TURNS_AT_ONCE, 4))
        self._keep = timedelta(days=_number(environment, KEEP_DAYS, 14))
        self.ledger = ledger
        self._state = state
        self.story = story
        self.release = release
        self.clock = clock
        self.ids = ids
        self.inbox = Inbox(ledger.database, clock)
        self.turns = Turns(ledger.database, self.inbox, clock)
        self.leases = Leases(ledger.database, state.run)
        self.durable = Durable(ledger.database, release=release, log=state.logs / "engine.log")
        self._home = ""
        self._shift: Shift | None = None

    # --- commands, from any process -----------------------------------------------------------------------

    @property
    def queue(self) -> str:
        """Where turns of this state directory wait for a worker."""
        if not self._home:
            self._home = _state_id(self._state)
        return self._home

    def private(self, execution: str) -> str:
        """Where turns of a foreground run wait for that run."""
        return f"{self.queue}/{execution}"

    def request(
        self, execution: str, request: FeatureRequested, *, private: bool = False, key: Key | None = None
    ) -> str:
        """A new execution: its first event and the command for its first turn, in one transaction; and its key.

        Returns its id; that of before where it was asked for under ``key`` already, which is only seen to have its turn.
        ``errors.Conflict`` when the issue has a live execution (its id is the error's subject), ``errors.KeyTaken`` when
        ``key`` was sent with another request.
        """
        with self.ledger.database.write() as writer:
            asked = execution
            if key is not None:
                asked = self.ledger.request_keys.take(key, execution, connection=writer)
            if asked == execution:
                self.ledger.events.append(execution, request, key="feature.requested", connection=writer)
                self.inbox.put(
                    execution,
                    kind="request",
                    sender_key="request",
                    author=request.requested_by,
                    connection=writer,
                )
        crash.point("intake.stored")
        self.start_turn(asked, private=private)
        return asked

    def submit(
        self,
        execution: str,
        *,
        kind: str,
        sender_key: str,
        author: str = "",
        payload: Mapping[str, Any] | None = None,
        private: bool = False,
    ) -> bool:
        """Store a command and start a turn for it. False when this sender key was stored before."""
        new = self.inbox.put(execution, kind=kind, sender_key=sender_key, author=author, payload=payload)
        if new:
            crash.point("intake.stored")
        self.start_turn(execution, private=private)
        return new

    def note(
        self, execution: str, kind: str, sender_key: str, author: str, payload: Mapping[str, Any]
    ) -> bool:
        """Store a command for whichever turn comes next, without starting one here. A live worker's sweep will."""
        return self.inbox.put(execution, kind=kind, sender_key=sender_key, author=author, payload=payload)

    def cancel(self, execution: str, *, by: str = "", reason: str = "") -> bool:
        """Tell an execution to stop; a live turn obeys within a second, the next turn says so in the ledger."""
        return self.submit(
            execution,
            kind="cancel",
            sender_key=f"cancel:{self.ids.token()}",
            author=by,
            payload={"reason": reason},
        )

    def start_turn(self, execution: str, *, private: bool = False) -> Claimed | None:
        """Claim the next turn and put it into a queue. None when one is live or nothing waits."""
        queue = self.private(execution) if private else self.queue
        listening = [Worker(lease.worker, lease.release, lease.queue) for lease in self.workers()]
        claimed = self.turns.claim(execution, queue, release_for(queue, self.release, listening))
        if claimed is not None:
            crash.point("turn.claimed")
            self.durable.enqueue(claimed)
            crash.point("turn.enqueued")
        return claimed

    def workers(self) -> list[Lease]:
        """Every live process that works on turns."""
        return self.leases.live(self.ttl, host=HOST)

    def has_worker(self) -> bool:
        """Whether somebody works on what is put into the shared queue."""
        return any(lease.queue == self.queue for lease in self.workers())

    def clean(self, older_than: timedelta | None = None) -> int:
        """Delete the engine's rows of turns that ended long ago. The ledger keeps every event."""
        before = self.clock.now() - (self._keep if older_than is None else older_than)
        live = {turn.workflow for turn in self.turns.live()}
        for workflow in self.durable.unfinished(before):
            if workflow not in live:  # ended by another release, whose death came between
                self.durable.cancel(workflow)
        return self.durable.forget(before)

    def close(self) -> None:
        """Let go of the engine's connections."""
        self.durable.close()

    # --- work, in this process ----------------------------------------------------------------------------

    async def run_worker(
        self,
        on_line: OnLine,
        *,
        until: Callable[[], bool] | None = None,
        begun: Callable[[], None] = lambda: None,
        leaving: Callable[[], Awaitable[None]] | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Work on whatever waits, until SIGTERM, SIGINT, cancellation, or ``until`` says so; then drain.

        ``begun`` is called once a signal would be heard: who announces the worker before invites one that kills it.
        ``leaving`` is awaited before the drain: whoever brings more work stops first.
        """
        with Signals() as told:
            async with self._at_work(
                self.queue, on_line, at_once=self._at_once, told=told, drain=drain_seconds
            ):
                begun()
                await asyncio.to_thread(self._clean_quietly)
                while not told.is_set() and not (until is not None and until()):
                    await nap(told, 0.1)
                if leaving is not None:
                    await leaving()

    async def run_execution(self, execution: str, on_line: OnLine) -> None:
        """Work on one execution in the foreground; returns when no turn is live and nothing waits.

        Another process that has its turn keeps it: then this one only waits. ``errors.Stopped`` on Ctrl-C or SIGTERM:
        the execution can be resumed. ``errors.StoreUnavailable`` when the store cannot take a write.
        """
        queue = self.private(execution)
        with Signals(interrupt=False) as told:
            async with self._at_work(
                queue, on_line, at_once=1, told=told, drain=0.0, only=execution
            ) as shift:
                while await asyncio.to_thread(self._busy, execution):
                    shift.raise_failure()
                    if told.is_set():
                        raise errors.Stopped(f"{execution} is stopped", subject=execution)
                    await nap(told, 0.05)
        await asyncio.to_thread(self.durable.drop_queue, queue)

    @asynccontextmanager
    async def _at_work(
        self,
        queue: str,
        on_line: OnLine,
        *,
        at_once: int,
        told: asyncio.Event,
        drain: float,
        only: str | None = None,
    ) -> AsyncIterator[Shift]:
        shift = Shift(self, queue, on_line, only)
        if self._shift is not None:
            raise errors.Conflict("this process is at work already")
        self._shift = shift
        interrupted = False
        beginning = asyncio.ensure_future(asyncio.to_thread(shift.begin, at_once))
        try:
            await asyncio.shield(beginning)
            yield shift
        except asyncio.CancelledError as cancelled:
            interrupted = True
            raise errors.Stopped("stopped; it can be resumed") from cancelled
        finally:
            await asyncio.wait({beginning})  # an engine that is half launched cannot be landed
            await asyncio.shield(shift.end(0.0 if interrupted else drain, told))
            self._shift = None

    def _busy(self, execution: str) -> bool:
        if self.turns.live(execution):
            return True
        return self.start_turn(execution, private=True) is not None or bool(self.turns.live(execution))

    def _clean_quietly(self) -> None:
        try:
            self.clean()
        except (errors.BoatwrightError, exc.SQLAlchemyError, EngineError) as error:
            report("finished turns were not cleaned up", error)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if value <= 0:
        raise errors.BadInput(
            f"{name} is not a positive number: {text}", subject=name, next_moves=(f"unset {name}",)
        )
    return value


def _state_id(state: StateDir) -> str:
    """The name of this state directory, made once: executions belong to the host that has their files."""
    path = state.root / "state-id"
    try:
        if not path.exists():
            fresh = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
            fresh.write_text(f"state-{secrets.token_hex(6)}\n", encoding="utf-8")
            with suppress(FileExistsError):
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise errors.StoreUnavailable(
            f"{path} cannot be used: {error.strerror}", subject=str(path)
        ) from error
