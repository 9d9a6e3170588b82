"""A script for tests: many processes at one database. ``appender.py WHAT URL PROCESSES COUNT``.

It imports once and forks, so that 16 processes cost one import. Each child has a connection of its own.
"""

from __future__ import annotations

import os
import signal
import sys

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.testing import samples
from boatwright.values.clock import SystemClock, SystemIds

STREAMS = 4


def log_of(url: str, producer: str) -> EventLog:
    return EventLog(Database.open(url), clock=SystemClock(), ids=SystemIds(), producer=producer)


def append(url: str, child: int, count: int) -> None:
    """Each child appends to every stream in turn; every second key is shared by all children."""
    log = log_of(url, f"p{child}")
    for number in range(count):
        key = f"shared-{number}" if number % 2 else f"{child}-{number}"
        log.append(f"ex-{(child + number) % STREAMS}", samples.model_called(key), key=key)


def forever(url: str, child: int, _count: int) -> None:
    """Append until killed; say so once the first event is in."""
    log = log_of(url, f"p{child}")
    number = 0
    while True:
        log.append_all(
            f"ex-{child % STREAMS}",
            [(samples.model_called(), f"{os.getpid()}-{number}-{n}") for n in range(3)],
        )
        if number == 0:
            os.write(1, b"begun\n")
        number += 1


def die_before_commit(url: str, child: int, _count: int) -> None:
    """Append inside a transaction and be killed before it commits."""
    database = Database.open(url)
    log = EventLog(database, clock=SystemClock(), ids=SystemIds(), producer=f"p{child}")
    with database.write() as connection:
        log.append("ex-0", samples.model_called(), key=f"lost-{child}", connection=connection)
        os.kill(os.getpid(), signal.SIGKILL)


def migrate(url: str, _child: int, _count: int) -> None:
    Database.open(url).migrate()


def request(url: str, child: int, _count: int) -> None:
    """Ask for the same issue; being told who has it is fine."""
    try:
        log_of(url, f"p{child}").append(f"ex-{child}", samples.requested(issue=7), key="requested")
    except errors.Conflict as conflict:
        if not conflict.subject.startswith("ex-"):
            raise


WORK = {
    "append": append,
    "forever": forever,
    "die_before_commit": die_before_commit,
    "migrate": migrate,
    "request": request,
}


def main(what: str, url: str, processes: int, count: int) -> int:
    children = []
    for child in range(processes):
        pid = os.fork()
        if pid == 0:
            try:
                WORK[what](url, child, count)
            except BaseException as error:  # noqa: BLE001 - the edge of this process
                os.write(2, f"{type(error).__name__}: {error}\n".encode())
                os._exit(1)
            os._exit(0)
        children.append(pid)
    return max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
