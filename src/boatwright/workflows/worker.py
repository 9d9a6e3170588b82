"""A process at work: it says that it lives, takes over from the dead, and leaves nothing behind when it goes."""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.inbox import Inbox
from boatwright.ledger.leases import Lease, Leases, WorkerLock
from boatwright.ledger.turns import Claimed, Turns
from boatwright.rules import turns as rules
from boatwright.rules.turns import Move, Phase, Standing, Worker
from boatwright.values.clock import Clock
from boatwright.workflows.engine.durable import Durable, report

HOST = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "host"
UNHEARD = timedelta(seconds=3)
"""A command older than this without a live turn was forgotten by a process that died in between."""

KEEP_DEAD_SECONDS = 3600.0


def new_name() -> str:
    """Unique for ever: a name that comes back would inherit the turns of the dead one."""
    return f"{HOST}-{os.getpid()}-{secrets.token_hex(6)}"


class Heartbeat:
    """The lease of this process: a lock the kernel releases, and a row that is touched all the time."""

    def __init__(self, leases: Leases, *, release: str, queue: str, ttl: float) -> None:
        self.name = new_name()
        self.ttl = ttl
        self._leases = leases
        self._queue = queue
        self._release = release
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boatwright-lease", daemon=True)
        self._drained = False
        self._beat = 0.0
        self._lock: WorkerLock | None = None

    def start(self) -> None:
        self._beat = time.monotonic()
        self._lock = self._claim()
        self._thread.start()

    def drain(self) -> None:
        self._drained = True

    def refusal(self) -> str | None:
        """Why no step may start here any more, or for the moment."""
        if self._drained:
            return "this worker is leaving; another one goes on"
        if time.monotonic() - self._beat > self.ttl:
            return "this worker has lost its lease; another one goes on"
        return None

    def stop(self) -> None:
        """Give the lease up; whoever looks now sees nobody here."""
        self._stop.set()
        if self._lock is None:
            return
        if self._thread.ident is not None:
            self._thread.join(timeout=self.ttl)
        try:
            self._leases.drop(self.name)
        except errors.StoreUnavailable as gone:
            report(f"the lease of {self.name} could not be dropped: {gone}")
        self._lock.release()

    def _claim(self) -> WorkerLock:
        return self._leases.claim(
            self.name, host=HOST, pid=os.getpid(), release=self._release, queue=self._queue
        )

    def _run(self) -> None:
        while not self._stop.wait(min(2.0, self.ttl / 5)):
            asked = time.monotonic()
            try:
                if not self._leases.beat(self.name):
                    self._leases.renew(
                        self.name, host=HOST, pid=os.getpid(), release=self._release, queue=self._queue
                    )
            except errors.StoreUnavailable as gone:
                report(f"no heartbeat: {gone}")
            else:
                self._beat = asked


@dataclass(frozen=True, slots=True)
class Tables:
    """What the sweep looks at."""

    database: Database
    inbox: Inbox
    turns: Turns
    leases: Leases
    durable: Durable
    clock: Clock


class Sweep:
    """Looks at every live turn of this state directory and repairs what a death left undone.

    ``only`` is the one execution a foreground run may touch.
    """

    def __init__(
        self,
        tables: Tables,
        me: Worker,
        *,
        home: str,
        ttl: float,
        start: Callable[[str], object],
        park: Callable[[Claimed], None],
        only: str | None = None,
    ) -> None:
        self._tables = tables
        self._me = me
        self._home = home
        self._ttl = ttl
        self._start = start
        self._park = park
        self._only = only
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boatwright-sweep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=30)

    def tick(self) -> None:
        """One look at everything. Safe to run in any number of processes at once."""
        leases = self._tables.leases.all()
        live = self._living(leases)
        turns = [turn for turn in self._tables.turns.live(self._only) if self._is_ours(turn.queue)]
        phases = self._tables.durable.phases(turn.workflow for turn in turns)
        dead = {self._act(turn, *phases.get(turn.workflow, (Phase.UNKNOWN, None)), live) for turn in turns}
        dead.discard(None)
        if dead:
            self._tables.durable.recover(sorted(name for name in dead if name))
        if self._only is None:
            self._unheard()
            self._bury(leases, live)

    def _act(self, turn: Claimed, phase: Phase, owner: str | None, live: list[Worker]) -> str | None:
        """Do what the rules say; returns a dead worker whose turns are to be recovered."""
        age = (self._tables.clock.now() - turn.claimed).total_seconds()
        standing = Standing(phase, turn.queue, turn.release, owner, age)
        grace = 0.0 if turn.queue == self._home else self._ttl
        move = rules.decide(standing, me=self._me, live=live, grace=grace)
        match move:
            case Move.TAKE_OVER:
                report(f"{turn.workflow}: {owner} is dead, taking over")
                return owner
            case Move.ENQUEUE:
                self._tables.durable.enqueue(turn)
            case Move.ADOPT:
                self._adopt(turn)
            case Move.SUPERSEDE:
                self._supersede(turn)
            case Move.PARK:
                self._park(turn)
        return None

    def _adopt(self, turn: Claimed) -> None:
        with self._tables.database.write() as writer:
            if self._tables.durable.adopt(turn.workflow, self._me.queue, connection=writer):
                self._tables.turns.move(turn.execution, turn.turn, self._me.queue, connection=writer)

    def _supersede(self, turn: Claimed) -> None:
        reason = f"no live worker of release {turn.release}"
        following = self._tables.turns.supersede(
            turn.execution, turn.turn, queue=self._me.queue, release=self._me.release, reason=reason
        )
        self._tables.durable.cancel(turn.workflow)
        if following is not None:
            report(f"{turn.workflow}: {reason}, going on as {following.workflow}")
            self._tables.durable.enqueue(following)

    def _unheard(self) -> None:
        for execution in self._tables.inbox.unattended(UNHEARD):
            known = self._tables.durable.queues_of(execution)
            if not known or any(self._is_ours(queue) for queue in known):
                self._start(execution)

    def _living(self, leases: list[Lease]) -> list[Worker]:
        return [
            Worker(lease.worker, lease.release, lease.queue)
            for lease in leases
            if lease.age <= self._ttl and not self._tables.leases.is_dead(lease, host=HOST)
        ]

    def _bury(self, leases: list[Lease], live: list[Worker]) -> None:
        living = {worker.name for worker in live}
        for lease in leases:
            known_dead = self._tables.leases.is_dead(lease, host=HOST)
            if lease.worker not in living and (known_dead or lease.age > KEEP_DEAD_SECONDS):
                self._tables.leases.drop(lease.worker)

    def _is_ours(self, queue: str) -> bool:
        return queue == self._home or queue.startswith(f"{self._home}/")

    def _run(self) -> None:
        while not self._stop.wait(min(2.0, self._ttl / 5)):
            try:
                self.tick()
            except errors.BoatwrightError as error:
                report(f"sweep: {error}")
            except Exception as bug:  # noqa: BLE001  the edge of a thread: the next look may succeed
                report("the sweep broke", bug)
