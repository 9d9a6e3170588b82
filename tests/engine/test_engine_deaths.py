"""Kill, stop and tell processes to leave, with a second one alive: every fact once, in order, nothing lost."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

POINTS = (
    "intake.stored",
    "turn.claimed",
    "turn.enqueued",
    "stage.entered:2",
    "stage.finished:1",
    "stage.finished:4",
    "turn.ending",
    "turn.ended",
)

long_on_postgresql = pytest.mark.parametrize(
    "database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.chaos)], indirect=True
)
"""Quick on one database, on both in the long form."""

WHOLE = [
    "t1:turn.started",
    *(f"t1:{name}:{what}" for name in ("one", "two", "three", "four") for what in ("began", "ended")),
    "t1:turn.ended",
]


def check(yard: Any, execution: str) -> None:
    keys = yard.keys(execution)
    assert keys == WHOLE, yard.story()
    assert not [key for key, times in Counter(keys).items() if times > 1]
    assert not yard.ledger.verify(execution).problems


def test_a_kill_at_every_point_of_a_turn_loses_and_doubles_nothing(yard: Any) -> None:
    """A foreground run dies at each point; a worker finds what is left and brings it to its end."""
    victims = {}
    for number, point in enumerate(POINTS):
        execution = f"ex-{number}"
        yard.stored(execution)
        if point == "intake.stored":
            argv = ("submit", execution, "resume", "again")
        else:
            argv = ("run", execution)
        victims[point] = (execution, yard.spawn(*argv, BOATWRIGHT_CRASH=point))
    for point, (_, victim) in victims.items():
        assert victim.wait() == -signal.SIGKILL, f"{point}: {victim.output}"
    yard.worker()
    yard.rest(*(execution for execution, _ in victims.values()))
    for execution, _ in victims.values():
        check(yard, execution)


@long_on_postgresql
def test_a_killed_worker_is_replaced_in_mid_stage(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    dying = yard.worker(TOY_HOLD=f"three:{hold}")
    yard.request("ex-1")
    yard.reached(hold)
    living = yard.worker()
    dying.signal(signal.SIGKILL)
    yard.rest("ex-1")
    check(yard, "ex-1")
    living.signal(signal.SIGTERM)
    assert living.wait() == 0, living.output
    assert yard.ledgers_leases() == []


def test_a_stopped_worker_that_wakes_up_writes_nothing_more(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    stopped = yard.worker(TOY_HOLD=f"two:{hold}")
    yard.request("ex-1")
    yard.reached(hold)
    with yard.ledger.database.write():  # so that it does not stand still with the ledger's lock in its hand
        stopped.signal(signal.SIGSTOP)
    yard.worker()
    yard.rest("ex-1")
    check(yard, "ex-1")
    hold.touch()
    stopped.signal(signal.SIGCONT)
    stopped.signal(signal.SIGTERM)
    assert stopped.wait() == 0, stopped.output
    check(yard, "ex-1")


@long_on_postgresql
def test_sigterm_hands_the_turn_on_at_the_next_step(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    leaving = yard.worker(TOY_HOLD=f"two:{hold}")
    yard.request("ex-1")
    yard.reached(hold)
    leaving.signal(signal.SIGTERM)
    assert leaving.wait() == 0, leaving.output
    assert yard.engine().turns.live("ex-1")
    yard.worker()
    yard.rest("ex-1")
    check(yard, "ex-1")


def test_an_upgrade_in_mid_stage_goes_on_as_the_next_turn(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    old = yard.worker(release="1", TOY_HOLD=f"two:{hold}")
    yard.request("ex-1")
    yard.reached(hold)
    yard.worker(release="2")
    old.signal(signal.SIGKILL)
    yard.rest("ex-1", turn=2)
    turns = [event.payload for event in yard.events("ex-1") if event.type == "turn.started"]
    assert [(turn.turn, turn.release, turn.cause) for turn in turns] == [
        (1, "1", "request"),
        (2, "2", "request,upgrade"),
    ]
    assert yard.keys("ex-1")[-9:] == [key.replace("t1:", "t2:") for key in WHOLE][-9:]


@long_on_postgresql
def test_two_releases_alive_each_do_their_own_turns(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    yard.worker(release="1", TOY_HOLD=f"two:{hold}")
    yard.request("ex-1", engine=yard.engine(release="1"))
    yard.reached(hold)
    yard.worker(release="2")
    yard.request("ex-2", engine=yard.engine(release="2"))
    yard.rest("ex-2")
    hold.touch()
    yard.rest("ex-1")
    for execution, release in (("ex-1", "1"), ("ex-2", "2")):
        check(yard, execution)
        started = next(e.payload for e in yard.events(execution) if e.type == "turn.started")
        assert started.release == release


@long_on_postgresql
def test_ctrl_c_leaves_a_foreground_run_that_can_be_resumed(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold"
    yard.stored("ex-1")
    run = yard.spawn("run", "ex-1", TOY_HOLD=f"three:{hold}")
    yard.reached(hold)
    run.signal(signal.SIGINT)
    assert run.wait() == 130, run.output
    assert "Stopped" in run.output
    yard.engine().submit("ex-1", kind="resume", sender_key="again", private=True)
    again = yard.spawn("run", "ex-1")
    assert again.wait() == 0, again.output
    yard.rest("ex-1")
    check(yard, "ex-1")


@long_on_postgresql
def test_cancel_stops_a_running_stage_and_the_next_turn_says_so(yard: Any, tmp_path: Path) -> None:
    hold = tmp_path / "never"
    yard.worker(TOY_HOLD=f"two:{hold}")
    yard.request("ex-1")
    yard.reached(hold)
    yard.engine().cancel("ex-1", by="child")
    yard.rest("ex-1", turn=2)
    assert yard.keys("ex-1") == [*WHOLE[:4], "t2:turn.started", "t2:cancelled", "t2:turn.ended"]


@pytest.mark.chaos
@pytest.mark.parametrize("round_", range(3))
def test_a_worker_killed_at_every_point_with_another_alive(yard: Any, round_: int) -> None:
    """The long form: workers of the shared queue die at each point, again and again."""
    names = []
    yard.worker()
    for number, point in enumerate(POINTS[3:]):
        dying = yard.worker(BOATWRIGHT_CRASH=point)
        for batch in range(4):
            names.append(f"ex-{round_}-{number}-{batch}")
            yard.request(names[-1])
        yard.rest(*names[-4:])
        dying.signal(signal.SIGKILL)
        dying.wait()
    for name in names:
        check(yard, name)
