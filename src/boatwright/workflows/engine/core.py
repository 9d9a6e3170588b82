"""The engine: take a command, claim a turn for it, run turns in this process until told to stop."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import exc

from boatwright import crash, errors
from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.ledger.inbox import Command, Inbox
from boatwright.ledger.leases import Lease, Leases
from boatwright.ledger.turns import Claimed, Turns
from boatwright.rules import parking
from boatwright.rules.transitions import WORKING
from boatwright.rules.turns import Worker, release_for
from boatwright.values.clock import Clock, Ids
from boatwright.values.events import FeatureParked, FeatureRequested
from boatwright.values.state import State
from boatwright.workflows.engine.durable import Durable, EngineError, LeftBehind, my_token, report
from boatwright.workflows.engine.turn import Services, Story, Turn, broken
from boatwright.workflows.worker import HOST, Heartbeat, Sweep, Tables

LEASE_SECONDS = "BOATWRIGHT_LEASE_SECONDS"
TURNS_AT_ONCE = "BOATWRIGHT_TURNS"
KEEP_DAYS = "BOATWRIGHT_ENGINE_KEEP_DAYS"
DRAIN_SECONDS = 60.0
RETRY_SECONDS = 5.0
"""How long a turn rests after the store could not take a write, or after it stopped for a reason of its own."""

OnLine = Callable[[str, str], None]


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
        self._ledger = ledger
        self._state = state
        self._story = story
        self._release = release
        self._clock = clock
        self._ids = ids
        self.inbox = Inbox(ledger.database, clock)
        self.turns = Turns(ledger.database, self.inbox, clock)
        self.leases = Leases(ledger.database, state.run)
        self.durable = Durable(ledger.database, release=release, log=state.logs / "engine.log")
        self._home = ""
        self._shift: _Shift | None = None

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

    def request(self, execution: str, request: FeatureRequested, *, private: bool = False) -> None:
        """A new execution: its first event and the command for its first turn, in one transaction.

        ``errors.Conflict`` when the issue has a live execution (its id is the error's subject).
        """
        with self._ledger.database.write() as writer:
            self._ledger.events.append(execution, request, key="feature.requested", connection=writer)
            self.inbox.put(
                execution,
                kind="request",
                sender_key="request",
                author=request.requested_by,
                connection=writer,
            )
        crash.point("intake.stored")
        self.start_turn(execution, private=private)

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
            sender_key=f"cancel:{self._ids.token()}",
            author=by,
            payload={"reason": reason},
        )

    def start_turn(self, execution: str, *, private: bool = False) -> Claimed | None:
        """Claim the next turn and put it into a queue. None when one is live or nothing waits."""
        queue = self.private(execution) if private else self.queue
        listening = [Worker(lease.worker, lease.release, lease.queue) for lease in self.workers()]
        claimed = self.turns.claim(execution, queue, release_for(queue, self._release, listening))
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
        before = self._clock.now() - (self._keep if older_than is None else older_than)
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
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        """Work on whatever waits, until SIGTERM, SIGINT, cancellation, or ``until`` says so; then drain."""
        with _Signals() as told:
            async with self._at_work(
                self.queue, on_line, at_once=self._at_once, told=told, drain=drain_seconds
            ):
                await asyncio.to_thread(self._clean_quietly)
                while not told.is_set() and not (until is not None and until()):
                    await _nap(told, 0.1)

    async def run_execution(self, execution: str, on_line: OnLine) -> None:
        """Work on one execution in the foreground; returns when no turn is live and nothing waits.

        Another process that has its turn keeps it: then this one only waits. ``errors.Stopped`` on Ctrl-C or SIGTERM:
        the execution can be resumed. ``errors.StoreUnavailable`` when the store cannot take a write.
        """
        queue = self.private(execution)
        with _Signals(interrupt=False) as told:
            async with self._at_work(
                queue, on_line, at_once=1, told=told, drain=0.0, only=execution
            ) as shift:
                while await asyncio.to_thread(self._busy, execution):
                    shift.raise_failure()
                    if told.is_set():
                        raise errors.Stopped(f"{execution} is stopped", subject=execution)
                    await _nap(told, 0.05)
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
    ) -> AsyncIterator[_Shift]:
        shift = _Shift(self, queue, on_line, only)
        if self._shift is not None:
            raise errors.Conflict("this process is at work already")
        self._shift = shift
        interrupted = False
        try:
            await asyncio.to_thread(shift.begin, at_once)
            yield shift
        except asyncio.CancelledError as cancelled:
            interrupted = True
            raise errors.Stopped("stopped; it can be resumed") from cancelled
        finally:
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

    # --- one turn, in the engine's loop --------------------------------------------------------------------

    async def tell(self, shift: _Shift, execution: str, number: int) -> str:
        """The body of the engine's workflow. What it calls of the engine, and in which order, is recorded: only
        the story's stages and notes do.
        """
        token = my_token()
        shift.running.add(token)
        try:
            return await self._tell(shift, execution, number, token)
        except LeftBehind as left:
            await shift.leave(token, left.cause)
            raise
        finally:
            shift.running.discard(token)

    async def _tell(self, shift: _Shift, execution: str, number: int, token: str) -> str:
        try:
            commands = await asyncio.to_thread(self._take, execution, number)
            if commands is None:
                return "ended"
            turn = Turn(execution, number, commands, token, self._services(shift))
            outcome = await self._outcome(turn)
            await asyncio.to_thread(self._end, turn)
        except (errors.Stopped, errors.StoreUnavailable) as undecided:
            raise LeftBehind(undecided) from undecided
        except exc.SQLAlchemyError as error:
            gone = errors.StoreUnavailable(f"the engine's rows cannot be written: {type(error).__name__}")
            raise LeftBehind(gone) from error
        return outcome

    async def _outcome(self, turn: Turn) -> str:
        try:
            return await self._story(turn)
        except errors.Stopped:
            if not await asyncio.to_thread(self._may_end, turn):
                raise
            return "stopped"  # a cancel waits: the next turn takes it
        except (errors.StoreUnavailable, EngineError, exc.SQLAlchemyError):
            raise
        except Exception as bug:  # noqa: BLE001  the edge of a turn: a story that breaks parks
            error = bug if isinstance(bug, errors.BoatwrightError) else broken(f"turn {turn.workflow}", bug)
            await asyncio.to_thread(self._park, turn.execution, turn.turn, error, turn.stage_name)
            return "parked"

    def _take(self, execution: str, number: int) -> list[Command] | None:
        """The commands of a live turn; None when it has ended and only the engine had not heard of it.

        A redone turn that still works also takes the *resume* commands that asked for just that.
        """
        if not self.turns.is_live(execution, number):
            return None
        if self.inbox.of_turn(execution, number):
            view = self._ledger.executions.get(execution)
            if view is not None and view.state in WORKING | {State.PENDING}:
                self.inbox.absorb(execution, number, ("resume",))
        return self.inbox.take(execution, number)

    def _may_end(self, turn: Turn) -> bool:
        """Whether a stopped story was stopped by a command, and the turn is still ours to end."""
        with self._ledger.database.read() as reader:
            told = self.inbox.stop_requested(turn.execution, connection=reader)
            return told is not None and self.durable.owns(reader, turn.workflow, turn.token)

    def _end(self, turn: Turn) -> None:
        crash.point("turn.ending")
        more = self.turns.end(turn.execution, turn.turn, guard=turn.guard)
        crash.point("turn.ended")
        if more:
            self.start_turn(turn.execution, private=self._shift is not None and self._shift.only is not None)

    def _park(self, execution: str, number: int, error: errors.BoatwrightError, stage: str) -> None:
        moves = parking.next_moves("host", execution, error.next_moves)
        parked = FeatureParked(code="host", reason=str(error), next_moves=moves, stage=stage)
        with suppress(errors.Conflict):  # it was over already
            self._ledger.events.append(execution, parked, key=f"t{number}:engine.parked")

    def _give_up(self, claimed: Claimed) -> None:
        """The engine could not bring a turn to its end: ask a person, keep everything."""
        reason = errors.BoatwrightError(
            f"turn {claimed.turn} could not be brought to an end: it took its worker down, or its record does not fit"
            " this release"
        )
        self._park(claimed.execution, claimed.turn, reason, "")
        if self.turns.end(claimed.execution, claimed.turn):
            self.start_turn(claimed.execution)

    def _services(self, shift: _Shift) -> Services:
        return Services(
            ledger=self._ledger,
            inbox=self.inbox,
            turns=self.turns,
            durable=self.durable,
            clock=self._clock,
            ids=self._ids,
            lifeline=shift.heartbeat,
            on_line=shift.on_line,
        )


class _Shift:
    """One stretch of work of this process: from the lease to its end."""

    def __init__(self, engine: Engine, queue: str, on_line: OnLine, only: str | None) -> None:
        self._engine = engine
        self.only = only
        self.on_line = on_line
        self.queue = queue
        self.running: set[str] = set()
        self.failure: errors.StoreUnavailable | None = None
        self.heartbeat = Heartbeat(engine.leases, release=engine._release, queue=queue, ttl=engine.ttl)
        self._sweep: Sweep | None = None
        self._launched = False

    def begin(self, at_once: int) -> None:
        engine = self._engine
        self.heartbeat.start()
        tables = Tables(
            engine._ledger.database, engine.inbox, engine.turns, engine.leases, engine.durable, engine._clock
        )
        self._sweep = Sweep(
            tables,
            Worker(self.heartbeat.name, engine._release, self.queue),
            home=engine.queue,
            ttl=engine.ttl,
            start=engine.start_turn,
            park=engine._give_up,
            only=self.only,
        )
        self._launched = True
        engine.durable.launch(
            lambda execution, turn: engine.tell(self, execution, turn),
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
                await _nap(told, 0.05)
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


class _Signals:
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


async def _nap(told: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(told.wait(), seconds)


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        value = float(text) if text else default
    except ValueError:
        value = 0.0
    if value <= 0:
        raise errors.BadInput(f"{name} is not a positive number: {text}", subject=name)
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
