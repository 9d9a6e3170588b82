"""Who goes on with a turn: the table."""

from __future__ import annotations

import pytest

from boatwright.rules.turns import Move, Phase, Standing, Worker, decide, release_for

ME = Worker("me", "2", "home")
PEER = Worker("peer", "2", "home")
OLD = Worker("old", "1", "home")
RUN = Worker("run", "2", "home/ex")
OLD_RUN = Worker("old-run", "1", "home/ex")
GRACE = 10.0


def turn(
    phase: Phase, queue: str = "home", release: str = "2", owner: str | None = None, age: float = 60.0
) -> Standing:
    return Standing(phase, queue, release, owner, age)


TABLE = [
    # a worker claimed it
    ("its worker lives", turn(Phase.RUNNING, owner="peer"), (ME, PEER), Move.LEAVE),
    ("its worker is me", turn(Phase.RUNNING, owner="me"), (ME,), Move.LEAVE),
    ("its worker is dead", turn(Phase.RUNNING, owner="gone"), (ME, PEER), Move.TAKE_OVER),
    ("a young turn of a dead worker", turn(Phase.RUNNING, owner="gone", age=0), (ME,), Move.TAKE_OVER),
    (
        "dead, of another release that lives",
        turn(Phase.RUNNING, release="1", owner="x"),
        (ME, OLD),
        Move.LEAVE,
    ),
    (
        "dead, of a release that is gone",
        turn(Phase.RUNNING, release="1", owner="x"),
        (ME, PEER),
        Move.SUPERSEDE,
    ),
    ("dead foreground run", turn(Phase.RUNNING, queue="home/ex", owner="x"), (ME,), Move.TAKE_OVER),
    # it waits in a queue
    ("in my queue", turn(Phase.WAITING), (ME,), Move.LEAVE),
    ("in a live run's queue", turn(Phase.WAITING, queue="home/ex"), (ME, RUN), Move.LEAVE),
    ("in a dead run's queue", turn(Phase.WAITING, queue="home/ex"), (ME,), Move.ADOPT),
    ("in the queue of a run that begins", turn(Phase.WAITING, queue="home/ex", age=1), (ME,), Move.LEAVE),
    ("for an old release that lives", turn(Phase.WAITING, release="1"), (ME, OLD), Move.LEAVE),
    ("for an old release that is gone", turn(Phase.WAITING, release="1"), (ME,), Move.SUPERSEDE),
    ("an old run's, alive", turn(Phase.WAITING, "home/ex", "1"), (ME, OLD_RUN), Move.LEAVE),
    ("an old run's, another queue lives", turn(Phase.WAITING, "home/ex", "1"), (ME, OLD), Move.SUPERSEDE),
    # the engine never heard of it
    ("unknown, mine", turn(Phase.UNKNOWN, age=0), (ME,), Move.ENQUEUE),
    ("unknown, of a run that begins", turn(Phase.UNKNOWN, queue="home/ex", age=1), (ME,), Move.LEAVE),
    ("unknown, of a dead run", turn(Phase.UNKNOWN, queue="home/ex"), (ME,), Move.ENQUEUE),
    ("unknown, of a release that is gone", turn(Phase.UNKNOWN, release="1"), (ME,), Move.SUPERSEDE),
    # the engine is through with it
    ("given up", turn(Phase.BROKEN), (ME,), Move.PARK),
    ("cancelled by an upgrade that died", turn(Phase.OVER), (ME,), Move.SUPERSEDE),
]


@pytest.mark.parametrize(
    ("standing", "live", "move"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_who_goes_on(standing: Standing, live: tuple[Worker, ...], move: Move) -> None:
    assert decide(standing, me=ME, live=live, grace=GRACE) is move


@pytest.mark.parametrize(
    ("live", "release"),
    [((), "2"), ((OLD,), "1"), ((OLD, ME), "2"), ((OLD_RUN,), "2")],
    ids=["nobody", "only an old worker", "both", "an old run elsewhere"],
)
def test_a_new_turn_is_pinned_to_a_release_that_can_work_on_it(
    live: tuple[Worker, ...], release: str
) -> None:
    assert release_for("home", "2", live) == release
