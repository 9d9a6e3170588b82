"""Who goes on with a turn, decided from what the tables say: its live row, the engine's row, the leases.

Pure: the sweep reads, asks here, acts, and every action is guarded again where it writes. So a decision that was
made on a stale picture does nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where the engine has a turn."""

    UNKNOWN = "unknown"  # the live row is there, the engine never heard of it
    WAITING = "waiting"  # in a queue
    RUNNING = "running"  # claimed by a worker, alive or not
    BROKEN = "broken"  # the engine gave up on it, its live row is still there
    OVER = "over"  # cancelled or finished, its live row is still there


class Move(StrEnum):
    LEAVE = "leave"
    ENQUEUE = "enqueue"  # again, under its id
    TAKE_OVER = "take over"  # back into its queue: its worker is dead
    ADOPT = "adopt"  # into the asking worker's queue: nobody listens to its own
    SUPERSEDE = "supersede"  # end it and start the next turn from the last step, under the asking release
    PARK = "park"  # end it and ask a person


@dataclass(frozen=True, slots=True)
class Worker:
    """A live process that works on turns."""

    name: str
    release: str
    queue: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A live turn as the tables show it. ``age`` is in seconds since it was claimed."""

    phase: Phase
    queue: str
    release: str
    owner: str | None
    age: float


def decide(turn: Standing, *, me: Worker, live: Iterable[Worker], grace: float) -> Move:
    """What ``me`` is to do about one turn, given every live worker (``me`` among them).

    ``grace`` in seconds: so long a fresh claim waits for the foreground run that made it and has no lease yet.
    """
    live = tuple(live)
    if turn.phase is Phase.BROKEN:
        return Move.PARK
    if turn.phase is Phase.OVER:
        return Move.SUPERSEDE
    if turn.phase is Phase.RUNNING:
        return _running(turn, me, live)
    return _waiting(turn, me, live, grace)


def _running(turn: Standing, me: Worker, live: Collection[Worker]) -> Move:
    if any(worker.name == turn.owner for worker in live):
        return Move.LEAVE
    if turn.release == me.release:
        return Move.TAKE_OVER
    return Move.LEAVE if _heard(turn, live) else Move.SUPERSEDE


def _waiting(turn: Standing, me: Worker, live: Collection[Worker], grace: float) -> Move:
    known = turn.phase is Phase.WAITING
    if _heard(turn, live):
        return Move.LEAVE if known else Move.ENQUEUE
    if turn.age < grace:
        return Move.LEAVE
    if turn.release != me.release:
        return Move.SUPERSEDE
    return Move.ADOPT if known else Move.ENQUEUE


def _heard(turn: Standing, live: Collection[Worker]) -> bool:
    """Whether a live worker of the turn's release listens to its queue."""
    return any(worker.queue == turn.queue and worker.release == turn.release for worker in live)


def release_for(queue: str, mine: str, live: Iterable[Worker]) -> str:
    """The release a new turn is pinned to: mine, unless only workers of another release listen to its queue."""
    listening = [worker.release for worker in live if worker.queue == queue]
    return mine if mine in listening or not listening else listening[0]
