"""Notices: kept with the mark in one transaction, claimed before they are sent, given up after a few tries."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from boatwright.ledger.database import Database
from boatwright.ledger.events import EventLog
from boatwright.ledger.notices import MARK, Kept, Notices, NoticeState
from boatwright.ledger.tables import notices, read_marks
from boatwright.rules import notices as rule
from boatwright.rules.fold import fold
from boatwright.testing import samples
from boatwright.testing.clock import ManualClock
from boatwright.values.notice import Channel, Notice

BOTH = tuple(Channel)


@pytest.fixture
def kept(database: Database, clock: ManualClock) -> Notices:
    return Notices(database, clock)


def told(log: EventLog, name: str = "ex-1") -> tuple[int, Notice]:
    first = log.append(name, samples.requested(), key="requested").event
    event = log.append(name, samples.parked(), key="parked").event
    view = fold(None, first)
    assert view is not None
    made = rule.notice(event, view, None)
    assert made is not None
    return event.sequence, made


def one(kept: Notices, log: EventLog, *channels: Channel) -> Kept:
    kept.mark(0)
    assert kept.keep([told(log)], channels or (Channel.MAIL,), after=0, upto=2)
    return kept.due(BOTH)[0]


def test_whoever_begins_reads_from_then_on(kept: Notices) -> None:
    assert kept.mark(40) == 40
    assert kept.mark(70) == 40


def test_the_mark_and_the_rows_move_together_and_once(kept: Notices, log: EventLog) -> None:
    kept.mark(0)
    what = [told(log)]
    assert kept.keep(what, BOTH, after=0, upto=2)
    assert not kept.keep(what, BOTH, after=0, upto=2)  # another worker was there
    assert kept.keep(what, BOTH, after=2, upto=3)  # the same event again: the rows are there
    assert kept.mark(0) == 3
    assert [(each.channel, each.notice, each.attempts) for each in kept.due(BOTH)] == [
        (Channel.MAIL, what[0][1], 0), (Channel.WEBHOOK, what[0][1], 0)
    ]  # fmt: skip


def test_a_broken_write_leaves_the_mark_where_it_was(
    database: Database, kept: Notices, log: EventLog
) -> None:
    kept.mark(0)
    sequence, notice = told(log)
    broken = notice.model_copy(update={"execution": None})
    with pytest.raises(Exception, match="(?i)null"):
        kept.keep([(sequence, notice), (sequence, broken)], (Channel.MAIL,), after=0, upto=2)
    assert kept.mark(9) == 0 and kept.due(BOTH) == []


def test_only_channels_that_are_named_are_due(kept: Notices, log: EventLog) -> None:
    one(kept, log, *BOTH)
    assert [each.channel for each in kept.due((Channel.WEBHOOK,))] == [Channel.WEBHOOK]
    assert len(kept.due(BOTH, limit=1)) == 1


def test_one_of_many_claims_it(kept: Notices, log: EventLog) -> None:
    row = one(kept, log)
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(kept.claim(row))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
    assert kept.due(BOTH) == []


def test_what_was_claimed_and_never_finished_is_due_again_after_its_time(
    kept: Notices, log: EventLog, clock: ManualClock
) -> None:
    row = one(kept, log)
    assert kept.claim(row)
    clock.advance(rule.HELD.total_seconds() - 1)
    assert kept.due(BOTH) == [] and not kept.claim(row)
    clock.advance(1)
    (again,) = kept.due(BOTH)
    assert again.attempts == 1 and kept.claim(again) and not kept.claim(row)


def test_what_arrived_is_never_due_again_and_says_nothing_any_more(
    database: Database, kept: Notices, log: EventLog, clock: ManualClock
) -> None:
    row = one(kept, log)
    kept.claim(row)
    kept.sent(row)
    clock.advance(10**6)
    assert kept.due(BOTH) == [] and not kept.claim(row) and kept.unsent(row.created) == []
    with database.read() as reader:
        (stored,) = reader.execute(notices.select()).mappings().all()
        marks = reader.execute(read_marks.select()).all()
    assert (stored["state"], stored["document"], stored["attempts"]) == ("sent", "", 1)
    assert marks == [(MARK, 2)]


def test_it_is_tried_again_with_growing_pauses_and_then_given_up(
    kept: Notices, log: EventLog, clock: ManualClock
) -> None:
    row = one(kept, log)
    for number, pause in enumerate([*rule.PAUSES, None], 1):
        assert row.attempts == number - 1 and kept.claim(row)
        due = kept.failed(row, f"no {number}" + "x" * 600)
        assert due == (None if pause is None else clock.now() + pause)
        assert kept.due(BOTH) == []
        if pause is not None:
            clock.advance(pause.total_seconds())
            (row,) = kept.due(BOTH)
            assert row.error.startswith(f"no {number}") and len(row.error) == 500
    clock.advance(10**6)
    assert kept.due(BOTH) == []
    (dead,) = kept.unsent(row.created)
    assert (dead.state, dead.attempts) == (NoticeState.DEAD, 4)
    assert kept.unsent(row.created + timedelta(seconds=1)) == []


def test_what_waits_is_among_the_unsent(kept: Notices, log: EventLog) -> None:
    row = one(kept, log)
    assert [each.state for each in kept.unsent(row.created)] == [NoticeState.WAITING]
