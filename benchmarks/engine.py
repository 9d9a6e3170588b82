"""Rows 6 and 9 of the table of what must be fast, as ratios against a limit measured in the same run.

Row 6: a turn of empty stages against a bare DBOS workflow of as many empty steps, on a file of the same kind
(write-ahead log, ``synchronous=FULL``), both in one process each, measured in turns and compared by the median.
Row 9: a worker is killed with SIGKILL in mid-stage; how long until another one has finished the turn's next stage.

    python benchmarks/engine.py [--turns 30] [--stages 10]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

ROUNDS = 3
TARGET = 0.7
TTL = 5.0


def ours(root: Path, turns: int, stages: int) -> float:
    """Turns a second: from the first claim to the last turn's end."""
    from pydantic import BaseModel

    from boatwright.workflows.engine import Turn

    class Nothing(BaseModel):
        pass

    async def story(work: Turn) -> str:
        async def empty(_: object) -> Nothing:
            return Nothing()

        for number in range(stages):
            await work.stage(f"stage-{number}", empty, Nothing)
        return "delivered"

    engine = make(root, story)
    names = [f"ex-{number}" for number in range(turns)]
    for name in names:
        engine.inbox.put(name, kind="request", sender_key="request")
    started: list[float] = []

    def feed() -> None:
        started.append(time.perf_counter())
        for name in names:
            engine.start_turn(name)

    def over() -> bool:
        if not started:
            feed()
        return not engine.turns.live()

    asyncio.run(engine.run_worker(lambda *_: None, until=over, drain_seconds=0.0))
    last = max(engine.durable.ended_at(f"{name}.1") for name in names)
    spent = last - first_of(engine, names)
    engine.close()
    return turns / spent


def first_of(engine: object, names: list[str]) -> float:
    return min(engine.durable.asked_at(f"{name}.1") for name in names)  # type: ignore[attr-defined]


def make(root: Path, story: Callable[..., object]):  # type: ignore[no-untyped-def]
    from boatwright.config.paths import StateDir
    from boatwright.ledger import Ledger
    from boatwright.values.clock import SystemClock, SystemIds
    from boatwright.workflows.engine import Engine

    state = StateDir(root).create()
    clock = SystemClock()
    ids = SystemIds(clock)
    ledger = Ledger.open(state, clock=clock, ids=ids, producer="bench")
    environment = {"BOATWRIGHT_TURNS": "4", "BOATWRIGHT_LEASE_SECONDS": str(TTL)}
    return Engine(
        ledger=ledger,
        state=state,
        story=story,  # type: ignore[arg-type]
        release="bench",
        clock=clock,
        ids=ids,
        environment=environment,
    )
