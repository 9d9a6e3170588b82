"""Inbox, turns and leases on both databases."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.inbox import Inbox
from boatwright.ledger.leases import Leases
from boatwright.ledger.turns import Turns
from boatwright.testing.clock import ManualClock


@pytest.fixture
def inbox(database: Database, clock: ManualClock) -> Inbox:
    return Inbox(database, clock)


@pytest.fixture
def turns(database: Database, inbox: Inbox, clock: ManualClock) -> Turns:
    return Turns(database, inbox, clock)


def test_the_same_message_twice_is_one_row(inbox: Inbox) -> None:
    assert inbox.put("ex", kind="comment", sender_key="c:1", author="ann", payload={"text": "more"})
    assert not inbox.put("ex", kind="comment", sender_key="c:1", author="ann", payload={"text": "other"})
    assert inbox.put("other", kind="comment", sender_key="c:1")
    (row,) = inbox.waiting("ex")
    assert (row.kind, row.author, row.payload) == ("comment", "ann", {"text": "more"})


def test_a_redone_turn_takes_the_same_rows(inbox: Inbox) -> None:
    inbox.put("ex", kind="request", sender_key="1")
    inbox.put("ex", kind="comment", sender_key="2")
    first = inbox.take("ex", 1)
    inbox.put("ex", kind="comment", sender_key="3")
    assert inbox.take("ex", 1) == first == inbox.of_turn("ex", 1)
    assert [row.sender_key for row in inbox.waiting("ex")] == ["3"]
    assert [row.sender_key for row in inbox.take("ex", 2)] == ["3"]


def test_only_untaken_stops_stop(inbox: Inbox) -> None:
    inbox.put("ex", kind="comment", sender_key="1")
    assert inbox.stop_requested("ex") is None
    inbox.put("ex", kind="cancel", sender_key="2")
    told = inbox.stop_requested("ex")
    assert told is not None and told.kind == "cancel"
    inbox.take("ex", 1)
    assert inbox.stop_requested("ex") is None


def test_a_turn_is_claimed_once_and_only_for_a_command(turns: Turns, inbox: Inbox) -> None:
    assert turns.claim("ex", "home", "1") is None
    inbox.put("ex", kind="request", sender_key="1")
    claimed = turns.claim("ex", "home", "1")
    assert claimed is not None and (claimed.turn, claimed.workflow) == (1, "ex.1")
    assert turns.claim("ex", "home", "1") is None
    inbox.take("ex", 1)
    assert turns.end("ex", 1) is False
    assert turns.live() == []
    inbox.put("ex", kind="comment", sender_key="2")
    again = turns.claim("ex", "home", "1")
    assert again is not None and again.turn == 2


def test_a_turn_that_is_not_live_any_more_is_not_ended_again(turns: Turns, inbox: Inbox) -> None:
    inbox.put("ex", kind="request", sender_key="1")
    turns.claim("ex", "home", "1")
    inbox.put("ex", kind="comment", sender_key="2")
    assert turns.end("ex", 7)
    assert turns.is_live("ex", 1)


def test_whoever_lost_the_turn_does_not_end_it(turns: Turns, inbox: Inbox) -> None:
    inbox.put("ex", kind="request", sender_key="1")
    turns.claim("ex", "home", "1")

    def lost(_: object) -> None:
        raise errors.Stopped("not yours")

    with pytest.raises(errors.Stopped):
        turns.end("ex", 1, guard=lost)
    assert turns.is_live("ex", 1)


def test_superseding_gives_the_commands_to_the_next_turn(turns: Turns, inbox: Inbox) -> None:
    inbox.put("ex", kind="comment", sender_key="1", payload={"text": "more"})
    turns.claim("ex", "home", "1")
    inbox.take("ex", 1)
    following = turns.supersede("ex", 1, queue="home", release="2", reason="gone")
    assert following is not None and (following.turn, following.release) == (2, "2")
    assert turns.supersede("ex", 1, queue="home", release="2", reason="gone") is None
    assert [row.kind for row in inbox.take("ex", 2)] == ["comment", "upgrade"]


def test_no_wake_up_is_lost_between_a_submit_and_an_end(turns: Turns, inbox: Inbox) -> None:
    """200 times a command is stored in the moment in which a turn ends: one of the two sees it."""
    lost = []
    with ThreadPoolExecutor(2) as pool:
        for number in range(200):
            name = f"ex-{number}"
            inbox.put(name, kind="request", sender_key="1")
            turns.claim(name, "home", "1")
            inbox.take(name, 1)
            gate = threading.Barrier(2)

            def submit(name: str = name, gate: threading.Barrier = gate) -> bool:
                gate.wait()
                inbox.put(name, kind="comment", sender_key="2")
                return turns.claim(name, "home", "1") is not None

            def end(name: str = name, gate: threading.Barrier = gate) -> bool:
                gate.wait()
                return turns.end(name, 1)

            told = [pool.submit(submit), pool.submit(end)]
            if not any(answer.result() for answer in told):
                lost.append(name)
    assert lost == []


def test_a_command_that_nobody_heard_of_is_found(turns: Turns, inbox: Inbox, clock: ManualClock) -> None:
    inbox.put("heard", kind="request", sender_key="1")
    inbox.put("unheard", kind="request", sender_key="1")
    turns.claim("heard", "home", "1")
    assert inbox.unattended(timedelta(seconds=3)) == []
    clock.advance(4)
    assert inbox.unattended(timedelta(seconds=3)) == ["unheard"]


def test_a_lease_lives_while_its_lock_is_held_and_its_beat_is_young(
    database: Database, tmp_path: Path
) -> None:
    leases = Leases(database, tmp_path)
    lock = leases.claim("w", host="here", pid=os.getpid(), release="1", queue="home")
    assert [lease.worker for lease in leases.live(30, host="here")] == ["w"]
    lock.release()
    assert leases.live(30, host="here") == []
    assert [lease.worker for lease in leases.live(30, host="elsewhere")] == ["w"]
    with database.write() as writer:
        writer.execute(text("UPDATE leases SET beat = beat - 31"))
    assert leases.live(30, host="elsewhere") == []
    assert leases.beat("w")
    assert [lease.worker for lease in leases.live(30, host="elsewhere")] == ["w"]
    leases.drop("w")
    leases.drop("w")
    assert not leases.beat("w")
    assert leases.all() == []
