"""A yard: one state directory, real worker processes in it, and a way to look at what they did.

Processes are forked by a nursery that has everything imported already; each is a real process with its own engine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.ledger.database import Database
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.event import Event
from boatwright.values.events import FeatureRequested
from boatwright.values.usage import Cap
from boatwright.workflows.engine import Engine, Turn

TTL = 2.0
PATIENCE = 60.0
STAGES = ("one", "two", "three", "four")


def facts(turn: int = 1, stages: tuple[str, ...] = STAGES, outcome: str = "delivered") -> list[str]:
    """The keys a turn of the toy leaves when everything happened once and in order."""
    inside = [f"t{turn}:{name}:{what}" for name in stages for what in ("began", "ended")]
    last = [f"t{turn}:turn.ended"] if outcome else []
    return [f"t{turn}:turn.started", *inside, *last]


class Nursery:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, **what: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class Child:
    """One process of the yard."""

    def __init__(self, nursery: Nursery, pid: int, out: Path) -> None:
        self._nursery = nursery
        self.pid = pid
        self._out = out
        self.code: int | None = None

    @property
    def output(self) -> str:
        return self._out.read_text() if self._out.exists() else ""

    def gone(self) -> bool:
        if self.code is None:
            self.code = self._nursery.ask(wait=self.pid)
        return self.code is not None

    def signal(self, number: int) -> None:
        if not self.gone():
            os.kill(self.pid, number)

    def wait(self) -> int:
        until(self.gone, f"process {self.pid} to end", lambda: self.output)
        assert self.code is not None
        return self.code


def until(done: Callable[[], Any], what: str, say: Callable[[], object] = lambda: "") -> Any:
    """Wait for something that must happen; how long it takes does not matter."""
    give_up = time.monotonic() + PATIENCE
    while not (found := done()):
        if time.monotonic() > give_up:
            raise AssertionError(f"waited for {what} in vain\n{say()}")
        time.sleep(0.02)
    return found


class Yard:
    def __init__(self, database: Database, root: Path, nursery: Nursery) -> None:
        self.root = root
        self.url = database.engine.url.render_as_string(hide_password=False)
        self.state = StateDir(root).create()
        self.clock = SystemClock()
        self.ids = SystemIds(self.clock)
        self._nursery = nursery
        self._children: list[Child] = []
        self._ledger: Ledger | None = None
        self._made: list[Engine] = []

    @property
    def ledger(self) -> Ledger:
        if self._ledger is None:
            self._ledger = Ledger.open(self.state, clock=self.clock, ids=self.ids, producer="test")
        return self._ledger

    def engine(self, story: Callable[[Turn], Any] | None = None, release: str = "1") -> Engine:
        """An engine in this very process."""

        async def nothing(_: Turn) -> str:
            return "delivered"

        made = Engine(
            ledger=self.ledger,
            state=self.state,
            story=story or nothing,
            release=release,
            clock=self.clock,
            ids=self.ids,
            environment={"BOATWRIGHT_LEASE_SECONDS": str(TTL)},
        )
        self._made.append(made)
        return made

    def request(self, execution: str, *, private: bool = False, engine: Engine | None = None) -> None:
        (engine or self.engine()).request(execution, requested(), private=private)

    def stored(self, execution: str) -> None:
        """A request in the ledger and the inbox, with nobody told yet."""
        engine = self.engine()
        self.ledger.events.append(execution, requested(), key="feature.requested")
        engine.inbox.put(execution, kind="request", sender_key="request")

    def spawn(self, *argv: str, release: str = "1", **environment: str) -> Child:
        out = self.root / f"out-{len(self._children)}"
        env = {
            "BOATWRIGHT_STATE": str(self.root),
            "BOATWRIGHT_DATABASE_URL": self.url,
            "BOATWRIGHT_RELEASE": release,
            "BOATWRIGHT_LEASE_SECONDS": str(TTL),
            **environment,
        }
        pid = self._nursery.ask(argv=list(argv), env=env, out=str(out))
        child = Child(self._nursery, pid, out)
        self._children.append(child)
        return child

    def worker(self, release: str = "1", **environment: str) -> Child:
        """A worker whose lease is there when this returns."""
        before = {lease.worker for lease in self.ledgers_leases()}
        child = self.spawn("worker", release=release, **environment)

        def there() -> bool:
            return any(
                lease.worker not in before and lease.pid == child.pid for lease in self.ledgers_leases()
            )

        until(there, "a worker's lease", lambda: child.output)
        return child

    def ledgers_leases(self) -> list[Any]:
        return self.engine().leases.all()

    def events(self, execution: str) -> list[Event]:
        return self.ledger.events.stream(execution)

    def keys(self, execution: str) -> list[str]:
        return [event.key for event in self.events(execution)][1:]

    def rest(self, *executions: str, turn: int | None = None) -> None:
        """Wait until these executions have no live turn and nothing waits for one."""
        engine = self.engine()

        def resting() -> bool:
            return all(
                not engine.turns.live(name)
                and not engine.inbox.waiting(name)
                and (turn is None or engine.turns.last(name) >= turn)
                for name in executions
            )

        until(resting, f"{executions} to rest", self.story)

    def reached(self, hold: Path) -> None:
        mark = Path(f"{hold}.reached")
        until(mark.exists, f"{mark.name}", self.story)

    def story(self) -> str:
        log = self.state.logs / "engine.log"
        lines = [f"--- {child.pid} ({child.code})\n{child.output}" for child in self._children]
        return "\n".join([*lines, log.read_text() if log.exists() else "", str(self.engine().turns.live())])

    def close(self) -> None:
        for child in self._children:
            with suppress(ProcessLookupError):
                child.signal(signal.SIGKILL)
                child.signal(signal.SIGCONT)
        for child in self._children:
            child.wait()
        for engine in self._made:
            engine.close()
        if self._ledger is not None:
            self._ledger.close()


def requested() -> FeatureRequested:
    return FeatureRequested(
        repository="toys",
        source="/toys",
        title="wind it up",
        body="",
        text_digest="d",
        base_ref="main",
        base_commit="c" * 40,
        model="scripted:x",
        agent="builtin",
        budget=Cap(usd=5),
        requested_by="child",
    )


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    command = [sys.executable, str(Path(__file__).with_name("toy.py")), "nursery"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Nursery(process)
    assert process.stdin is not None
    process.stdin.close()
    process.wait(timeout=10)


@pytest.fixture
def yard(
    database: Database, tmp_path: Path, nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Yard]:
    made = Yard(database, tmp_path, nursery)
    monkeypatch.setenv("BOATWRIGHT_STATE", str(tmp_path))
    monkeypatch.setenv("BOATWRIGHT_DATABASE_URL", made.url)
    yield made
    made.close()
