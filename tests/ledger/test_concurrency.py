"""Many writers, live readers, kills: no gap, no skipped position, no doubled key, no broken chain."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import text

from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.executions import Executions
from boatwright.testing import samples
from boatwright.values.event import Event

APPENDER = Path(__file__).with_name("appender.py")
STREAMS = 4
WRITERS = 16
EACH = 8


def url_of(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)


def start(what: str, database: Database, processes: int = 1, count: int = 0) -> subprocess.Popen[bytes]:
    argv = [sys.executable, str(APPENDER), what, url_of(database), str(processes), str(count)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)


def begin(log: EventLog) -> None:
    for number in range(STREAMS):
        log.append(f"ex-{number}", samples.requested(), key="requested")


class Reader(threading.Thread):
    """Polls ``after`` like a live view and remembers what it saw, in order."""

    def __init__(self, log: EventLog) -> None:
        super().__init__()
        self.log = log
        self.done = threading.Event()
        self.seen: list[Event] = []

    def run(self) -> None:
        while True:
            last_round = self.done.wait(0.01)  # as often as a live view would, and leave the writers some air
            while found := self.log.after(self.seen[-1].position if self.seen else 0, limit=7):
                self.seen += found
            if last_round:
                return

    def finish(self) -> list[Event]:
        self.done.set()
        self.join(60)
        assert not self.is_alive()
        return self.seen


def assert_whole(log: EventLog, seen: list[Event]) -> None:
    """The reader saw every position once and in order; each stream counts from 1 without a gap."""
    stored = log.after(0, limit=100_000)
    assert [event.position for event in stored] == list(range(1, len(stored) + 1))
    assert seen == stored
    for stream in {event.stream for event in stored}:
        sequences = [event.sequence for event in stored if event.stream == stream]
        assert sequences == list(range(1, len(sequences) + 1))
    assert log.verify().problems == ()


def expected_keys() -> set[tuple[str, str]]:
    """What all writers of :func:`append` leave, each (stream, key) once."""
    keys = {(f"ex-{stream}", "requested") for stream in range(STREAMS)}
    for writer in range(WRITERS):
        for number in range(EACH):
            key = f"shared-{number}" if number % 2 else f"{writer}-{number}"
            keys.add((f"ex-{(writer + number) % STREAMS}", key))
    return keys


def test_sixteen_threads_append_while_a_reader_polls(log: EventLog) -> None:
    begin(log)
    reader = Reader(log)
    reader.start()

    def append(writer: int) -> int:
        created = 0
        for number in range(EACH):
            key = f"shared-{number}" if number % 2 else f"{writer}-{number}"
            stream = f"ex-{(writer + number) % STREAMS}"
            created += log.append(stream, samples.model_called(key), key=key).created
        return created

    with ThreadPoolExecutor(WRITERS) as pool:
        created = sum(pool.map(append, range(WRITERS)))
    seen = reader.finish()
    assert_whole(log, seen)
    assert {(event.stream, event.key) for event in seen} == expected_keys()
    assert created == len(expected_keys()) - STREAMS


def test_sixteen_processes_append_while_a_reader_polls(log: EventLog, database: Database) -> None:
    begin(log)
    reader = Reader(log)
    reader.start()
    writers = start("append", database, WRITERS, EACH)
    _, words = writers.communicate(timeout=120)
    seen = reader.finish()
    assert (writers.returncode, words) == (0, b"")
    assert_whole(log, seen)
    assert {(event.stream, event.key) for event in seen} == expected_keys()
    assert len(seen) == len(expected_keys())


def test_sixteen_processes_ask_for_one_issue(database: Database, executions: Executions) -> None:
    asking = start("request", database, WRITERS)
    _, words = asking.communicate(timeout=120)
    assert (asking.returncode, words) == (0, b"")
    assert len(executions.list()) == 1


def test_a_kill_while_appending_leaves_a_whole_chain(log: EventLog, database: Database) -> None:
    begin(log)
    chance = random.Random(7)
    for _ in range(2):
        writer = start("forever", database, 2)
        assert writer.stdout is not None
        with writer.stdout, writer.stderr or writer.stdout:
            assert writer.stdout.readline() == b"begun\n"
            reached = log.after(0, limit=100_000)[-1].position + chance.randrange(3, 20)
            while not log.after(reached, limit=1):
                assert writer.poll() is None
            os.killpg(writer.pid, signal.SIGKILL)
            writer.wait(60)
        with database.write() as connection:  # the dead writers' locks are gone
            connection.execute(text("UPDATE ledger_head SET position = position"))
        assert log.verify().problems == ()
        stored = log.after(0, limit=100_000)
        batches = [event for event in stored if event.key.endswith("-0")]
        assert len(stored) - STREAMS == 3 * len(batches)  # each batch of three is whole or not there


def test_a_kill_before_the_commit_leaves_nothing(log: EventLog, database: Database) -> None:
    begin(log)
    before = log.after(0)
    writer = start("die_before_commit", database, 2)
    writer.communicate(timeout=60)
    assert writer.returncode != 0
    assert log.append("ex-0", samples.model_called(), key="lost-0").created
    assert log.after(0)[:-1] == before
    assert log.verify().problems == ()
