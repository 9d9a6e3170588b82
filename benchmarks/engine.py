"""Rows 6 and 9 of the table of what must be fast, held against a limit measured in the same run.

Row 6: turns of empty stages against bare DBOS workflows of as many empty steps: same kind of file (write-ahead log,
``synchronous=FULL``), same queue settings, each side in a process of its own, in alternation, compared by medians.
The clock runs from the first enqueue to the end of the last one.
Row 9: a worker is killed with SIGKILL in mid-stage while another one lives; the clock runs from the kill to the end
of the turn.

    python benchmarks/engine.py [--turns 30] [--stages 10] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import create_engine, event, text

from boatwright.config.paths import StateDir
from boatwright.ledger import Ledger
from boatwright.values.clock import SystemClock, SystemIds
from boatwright.values.context import Context
from boatwright.workflows.engine import Engine, Turn

TARGET = 0.7
TTL = 5.0
SLACK = 10.0


class Nothing(BaseModel):
    pass


def engine(root: Path, story: Callable[[Turn], Awaitable[str]], at_once: int) -> Engine:
    state = StateDir(root).create()
    clock = SystemClock()
    ids = SystemIds(clock)
    ledger = Ledger.open(state, clock=clock, ids=ids, producer="bench")
    environment = {"BOATWRIGHT_TURNS": str(at_once), "BOATWRIGHT_LEASE_SECONDS": str(TTL)}
    return Engine(
        ledger=ledger,
        state=state,
        story=story,
        release="bench",
        clock=clock,
        ids=ids,
        environment=environment,
    )


def ours(root: Path, turns: int, stages: int) -> float:
    async def empty(_: Context) -> Nothing:
        return Nothing()

    async def story(work: Turn) -> str:
        for number in range(stages):
            await work.stage(f"stage-{number}", empty, Nothing)
        return "delivered"

    made = engine(root, story, turns)
    names = [f"ex-{number}" for number in range(turns)]
    for name in names:
        made.inbox.put(name, kind="request", sender_key="request")
    began = []

    def over() -> bool:
        if not began:
            began.append(time.perf_counter())
            for name in names:
                made.start_turn(name)
        return not made.turns.live()

    spent = []

    def done() -> bool:
        if not over():
            return False
        spent.append(time.perf_counter() - began[0])
        return True

    asyncio.run(made.run_worker(lambda *_: None, until=done, drain_seconds=0.0))
    return turns / spent[0]


def bare(root: Path, turns: int, stages: int) -> float:
    from dbos import DBOS, DBOSClient, DBOSPortableJSONSerializer  # noqa: PLC0415  (only this side needs it)

    logging.getLogger("dbos").addHandler(logging.NullHandler())
    root.mkdir(parents=True)
    url = f"sqlite:///{root / 'bare.db'}"
    store = create_engine(url, pool_size=8, max_overflow=-1)

    @event.listens_for(store, "connect")
    def prepare(raw: Any, _record: Any) -> None:
        raw.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=30000", "foreign_keys=ON", "journal_mode=WAL", "synchronous=FULL"):
            raw.execute(f"PRAGMA {pragma}")

    @DBOS.workflow(name="bare")
    async def workflow(_execution: str, _turn: int) -> str:
        async def empty() -> dict[str, str]:
            return {}

        for number in range(stages):
            await DBOS.run_step_async({"name": f"stage-{number}"}, empty)
        return "delivered"

    DBOS.migrate(url)
    serializer = DBOSPortableJSONSerializer()
    client = DBOSClient(system_database_engine=store, serializer=serializer, application_name="bare")
    client.register_queue("bare", worker_concurrency=turns, polling_interval_sec=0.1)
    DBOS(
        config={
            "name": "bare",
            "system_database_url": url,
            "system_database_engine": store,
            "application_version": "bench",
            "serializer": serializer,
        }
    )
    DBOS.listen_queues(["bare"])
    DBOS.launch()
    began = time.perf_counter()
    for number in range(turns):
        options: Any = {"workflow_name": "bare", "queue_name": "bare", "workflow_id": f"ex-{number}.1"}
        client.enqueue({**options, "app_version": "bench"}, f"ex-{number}", 1)
    left = text("SELECT count(*) FROM workflow_status WHERE status <> 'SUCCESS'")
    while True:
        with store.begin() as connection:
            if not connection.execute(left).scalar_one():
                break
        time.sleep(0.1)  # as often as our worker looks
    spent = time.perf_counter() - began
    DBOS.destroy()
    return turns / spent


def holding(root: Path) -> None:
    """A worker whose only stage waits for a file, the first time."""

    async def wait(context: Context) -> Nothing:
        (root / "began").open("a").write("x")
        while not (root / "go").exists():
            await asyncio.sleep(0.02)
        return Nothing()

    async def story(work: Turn) -> str:
        await work.stage("wait", wait, Nothing)
        return "delivered"

    asyncio.run(engine(root, story, 1).run_worker(lambda *_: None))


def take_over(root: Path) -> float:
    made = engine(root, lambda _: asyncio.sleep(0, "delivered"), 1)
    me = [sys.executable, __file__, "--side", "holding", "--root", str(root)]
    dying = subprocess.Popen(me)
    _until(made.has_worker)
    made.inbox.put("ex-0", kind="request", sender_key="request")
    made.start_turn("ex-0")
    _until((root / "began").exists)
    living = subprocess.Popen(me)
    _until(lambda: len(made.workers()) == 2)
    dying.kill()
    dying.wait()
    (root / "go").touch()
    began = time.perf_counter()
    _until(lambda: not made.turns.live())
    spent = time.perf_counter() - began
    living.send_signal(signal.SIGTERM)
    living.wait()
    return spent


def _until(done: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not done():
        if time.monotonic() > give_up:
            raise SystemExit("a benchmark process did not get ready")
        time.sleep(0.02)


def measure(side: str, root: Path, turns: int, stages: int) -> float:
    me = [sys.executable, __file__, "--side", side, "--root", str(root)]
    ran = subprocess.run(
        [*me, "--turns", str(turns), "--stages", str(stages)], stdout=subprocess.PIPE, check=True, text=True
    )
    return float(ran.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description="Rows 6 and 9: the engine.")
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--stages", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=("ours", "bare", "holding"), help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        os.environ.pop("BOATWRIGHT_DATABASE_URL", None)
        if asked.side == "holding":
            return holding(asked.root)
        print({"ours": ours, "bare": bare}[asked.side](asked.root, asked.turns, asked.stages))
        return None
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        rates: dict[str, list[float]] = {"bare": [], "ours": []}
        for number in range(asked.rounds):
            for side, found in rates.items():
                found.append(measure(side, root / f"{side}-{number}", asked.turns, asked.stages))
        mine, limit = statistics.median(rates["ours"]), statistics.median(rates["bare"])
        seconds = take_over(root / "take-over")
    print(
        f"6  a turn of {asked.stages} empty stages  {mine / limit:.2f} x bare DBOS"
        f"  (target >= {TARGET}; {mine:.1f} against {limit:.1f} turns/s)"
    )
    print(
        f"9  take-over after kill -9          {seconds:.1f} s"
        f"  (target <= lease + {SLACK:.0f} s = {TTL + SLACK:.0f} s)"
    )
    return None


if __name__ == "__main__":
    main()
