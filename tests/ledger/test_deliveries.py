"""Deliveries: kept once, run again until processed, dead in the end, and alive again when somebody says so."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from boatwright import errors
from boatwright.ledger.database import Database
from boatwright.ledger.deliveries import Deliveries
from boatwright.rules import redelivery
from boatwright.testing.clock import ManualClock
from boatwright.values.delivery import Arrival, Delivery, DeliveryState, Stored

ONE = Arrival("github", "7", "a-guid", "issues", "", "application/json", b'{"action": "opened"}')


@pytest.fixture
def deliveries(database: Database, clock: ManualClock) -> Deliveries:
    return Deliveries(database, clock)


def only(deliveries: Deliveries) -> int:
    (row,) = deliveries.list()
    return row.id


def waiting(deliveries: Deliveries) -> list[Delivery]:
    return [deliveries.get(number) for number in deliveries.due()]


def test_what_comes_is_kept_whole_and_due_in_order(deliveries: Deliveries) -> None:
    body = bytes(range(256))
    batch = [replace(ONE, delivery=f"d{number}", body=body) for number in range(3)]
    assert deliveries.store(batch) == [Stored.NEW] * 3
    due = waiting(deliveries)
    assert [row.delivery for row in due] == ["d0", "d1", "d2"]
    assert (due[0].size, due[0].state, due[0].attempts) == (256, DeliveryState.RECEIVED, 0)
    assert deliveries.body(due[0].id) == body
    assert deliveries.counts() == {"received": 3}


def test_one_that_was_processed_does_nothing_when_it_comes_again(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    assert deliveries.begin(only(deliveries)) and deliveries.finish(only(deliveries), "started", about="ex-1")
    assert deliveries.store([ONE]) == [Stored.PROCESSED]
    assert deliveries.due() == [] and not deliveries.begin(only(deliveries))
    assert not deliveries.finish(only(deliveries), "skipped", reason="stale")
    assert deliveries.get(only(deliveries)).outcome == "started"


def test_one_that_was_only_seen_is_the_same_row_and_still_due(deliveries: Deliveries) -> None:
    assert deliveries.store([ONE, ONE]) == [Stored.NEW, Stored.AGAIN]
    assert deliveries.store([ONE]) == [Stored.AGAIN]
    assert deliveries.due() == [only(deliveries)]


@pytest.mark.parametrize("field", ["forge", "hook", "delivery"])
def test_another_key_is_another_delivery(deliveries: Deliveries, field: str) -> None:
    assert deliveries.store([ONE, replace(ONE, **{field: "gitea"})]) == [Stored.NEW, Stored.NEW]


def test_a_known_id_with_other_bytes_is_not_taken_for_the_first(deliveries: Deliveries) -> None:
    other = replace(ONE, body=b"{}")
    deliveries.store([ONE])
    deliveries.finish(only(deliveries), "started")
    assert deliveries.store([other]) == [Stored.NEW]
    assert deliveries.store([other]) == [Stored.AGAIN] and deliveries.store([ONE]) == [Stored.PROCESSED]
    assert [deliveries.body(row.id) for row in deliveries.list()] == [b"{}", ONE.body]


def test_two_of_one_id_with_other_bytes_in_one_batch_are_both_kept(deliveries: Deliveries) -> None:
    other = replace(ONE, body=b"{}")
    batch = [ONE, other, ONE, other]
    assert deliveries.store(batch) == [Stored.NEW, Stored.NEW, Stored.AGAIN, Stored.AGAIN]
    assert [deliveries.body(row.id) for row in waiting(deliveries)] == [ONE.body, b"{}"]
    assert deliveries.store(batch) == [Stored.AGAIN] * 4 and len(deliveries.list()) == 2


def test_the_secret_of_one_repository_takes_no_id_from_another(deliveries: Deliveries) -> None:
    """Whoever knows what will come, and can sign for their own repository alone, sends it first, in every form."""
    forged = replace(ONE, signer="eve/own")
    taken = hashlib.sha256(ONE.body).hexdigest()[:16]
    deliveries.store([forged, replace(forged, delivery=f"{ONE.delivery}~{taken}")])
    for row in deliveries.list():
        deliveries.finish(row.id, "skipped")
    assert deliveries.store([ONE]) == [Stored.NEW]
    (due,) = waiting(deliveries)
    assert (due.signer, deliveries.body(due.id)) == ("", ONE.body)
    assert deliveries.store([forged]) == [Stored.PROCESSED] and deliveries.store([ONE]) == [Stored.AGAIN]


def test_stored_by_many_at_once_it_is_one_row(deliveries: Deliveries) -> None:
    ready = threading.Barrier(8)

    def store() -> None:
        ready.wait()
        deliveries.store([ONE])

    threads = [threading.Thread(target=store) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(deliveries.list()) == 1


def test_a_failure_waits_and_is_tried_again_until_it_is_dead(
    deliveries: Deliveries, clock: ManualClock
) -> None:
    deliveries.store([ONE])
    number = only(deliveries)
    for minutes in (1, 1, 5, 5, 30, 30):
        assert deliveries.begin(number)
        due = deliveries.fail(number, "the forge is away")
        assert due == clock.now() + timedelta(minutes=minutes)
        assert deliveries.due() == [] and deliveries.get(number).state is DeliveryState.FAILED
        assert not deliveries.begin(number), "whoever saw it as due before it failed"
        clock.advance(minutes * 60 - 0.001)
        assert deliveries.due() == []
        clock.advance(0.001)
        assert deliveries.due() == [number]
    assert deliveries.begin(number)
    assert deliveries.fail(number, "still away") is None
    dead = deliveries.get(number)
    assert (dead.state, dead.error, dead.attempts) == (DeliveryState.DEAD, "still away", 7)
    assert deliveries.due() == [] and deliveries.body(number) == ONE.body


def test_one_that_is_retried_by_a_person_begins_before_its_next_try(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    number = only(deliveries)
    assert deliveries.begin(number) and deliveries.fail(number, "the forge is away")
    assert not deliveries.begin(number) and deliveries.get(number).attempts == 1
    deliveries.retry(number)
    assert deliveries.begin(number)


def test_an_attempt_that_kills_its_worker_counts(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    number = only(deliveries)
    begun = [deliveries.begin(number) for _ in range(redelivery.MOST_ATTEMPTS + 1)]
    assert begun == [True] * redelivery.MOST_ATTEMPTS + [False]
    assert deliveries.get(number).state is DeliveryState.DEAD and deliveries.due() == []


def test_one_that_waits_for_its_next_try_is_tried_at_once_when_it_comes_again(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    deliveries.begin(only(deliveries))
    deliveries.fail(only(deliveries), "the forge is away")
    assert deliveries.due() == [] and deliveries.store([ONE]) == [Stored.AGAIN]
    assert [row.attempts for row in waiting(deliveries)] == [0]


def test_a_dead_one_lives_again_when_it_comes_again_or_is_retried(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    number = only(deliveries)
    for again in (lambda: deliveries.store([ONE]), lambda: deliveries.retry(number)):
        for _ in range(redelivery.MOST_ATTEMPTS + 1):
            deliveries.begin(number)
        assert deliveries.due() == []
        again()
        assert [(row.id, row.attempts) for row in waiting(deliveries)] == [(number, 0)]


def test_what_is_processed_is_not_retried(deliveries: Deliveries) -> None:
    deliveries.store([ONE])
    deliveries.finish(only(deliveries), "noted")
    with pytest.raises(errors.Conflict, match="is processed"):
        deliveries.retry(only(deliveries))
    with pytest.raises(errors.NotFound, match="no delivery 99"):
        deliveries.retry(99)


def test_the_bytes_of_what_is_processed_go_after_their_time(
    deliveries: Deliveries, clock: ManualClock
) -> None:
    deliveries.store([ONE, replace(ONE, delivery="waits")])
    waits, done = (row.id for row in deliveries.list())
    deliveries.finish(done, "noted")
    finished = clock.now()
    assert deliveries.old(clock.now()) == [] and not deliveries.drop_body(done, clock.now())
    clock.advance(1)
    assert deliveries.old(clock.now()) == [(done, len(ONE.body), finished)]
    assert not deliveries.drop_body(waits, clock.now())
    assert [deliveries.drop_body(done, clock.now()) for _ in range(2)] == [True, False]
    assert deliveries.body(done) is None and deliveries.body(waits) == ONE.body
    assert deliveries.store([ONE]) == [Stored.PROCESSED], "the row still knows it"
