"""Which events people are told of, what a notice says, and when it is tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from boatwright.rules import notices
from boatwright.rules.fold import fold
from boatwright.testing import samples
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.notice import Notice, Topic
from boatwright.values.place import ForgePlace

PLACE = ForgePlace("github", "https://github.com", "acme/sails")
CANCELLED = events.FeatureCancelled(reason="not wanted", by="ann")
FAILED = events.FeatureFailed(code="rounds", reason="no proof", stage="verify")


def event(payload: events.Payload, sequence: int = 9) -> Event:
    return Event(
        event_id=f"e-{sequence}", stream="ex-1", sequence=sequence, position=sequence, key=f"k-{sequence}",
        time=samples.MOMENT, payload=payload, causation_id=None, correlation_id="e-1", producer="test",
        tenant="local", repository=samples.REPOSITORY, tags=(), hash="",
    )  # fmt: skip


def view(**changes: Any) -> ExecutionView:
    made = fold(None, event(samples.requested(issue=7), 1))
    assert made is not None
    usual: dict[str, Any] = {"usd": Decimal("0.42"), "tokens": 1_000}
    return made.model_copy(update=usual | changes)


def told(payload: events.Payload, place: ForgePlace | None = PLACE, **changes: Any) -> Notice:
    made = notices.notice(event(payload), view(**changes), place)
    assert made is not None
    return made


def test_four_kinds_of_events_are_told_of_and_no_other() -> None:
    kinds = {kind for kind in events.REGISTRY.values() if kind in notices.TOPICS}
    assert {kind.type for kind in kinds} == {
        "feature.parked", "feature.delivered", "feature.failed", "feature.cancelled"
    }  # fmt: skip
    assert set(notices.TOPICS.values()) == set(Topic)
    for make in samples.PALETTE:
        payload = make()
        assert (notices.notice(event(payload), view(), None) is not None) is (type(payload) in kinds)


def test_a_park_says_why_what_next_and_what_it_cost() -> None:
    notice = told(samples.parked(), pull_request=12, word="unproven")
    assert notice.model_dump(mode="json") == {
        "version": 1,
        "id": "ex-1:9",
        "topic": "parked",
        "execution": "ex-1",
        "repository": "acme/sails",
        "at": "2026-01-02T03:04:05.678901Z",
        "title": "Pagination drops the last page",
        "code": "budget",
        "reason": "used 4.90 USD, needed 0.20 USD, cap 5 USD",
        "next_moves": ["boatwright budget raise"],
        "issue": 7,
        "issue_url": "https://github.com/acme/sails/issues/7",
        "pull_request": 12,
        "pull_request_url": "https://github.com/acme/sails/pull/12",
        "ready": False,
        "word": "unproven",
        "usd": "0.42",
        "tokens": 1000,
    }


def test_a_delivery_says_what_the_event_says_whatever_came_after() -> None:
    notice = told(samples.delivered(), pull_request=99, word="regression", usd=Decimal(9))
    assert (notice.topic, notice.pull_request, notice.ready, notice.word) == (
        Topic.DELIVERED,
        8,
        True,
        "proven",
    )
    assert (notice.usd, notice.tokens) == (Decimal("0.0125"), 1_100)
    assert notice.next_moves == ("boatwright show ex-1",)


@pytest.mark.parametrize(
    ("payload", "topic", "code", "reason"),
    [(FAILED, Topic.FAILED, "rounds", "no proof"), (CANCELLED, Topic.CANCELLED, "", "not wanted")],
)
def test_other_ends(payload: events.Payload, topic: Topic, code: str, reason: str) -> None:
    notice = told(payload, None)
    assert (notice.topic, notice.code, notice.reason) == (topic, code, reason)
    assert (notice.issue_url, notice.pull_request_url, notice.pull_request) == ("", "", None)
    assert notice.next_moves == ("boatwright show ex-1",)


def test_words_of_strangers_stay_one_short_line_and_the_body_is_never_there() -> None:
    nasty = "a\nBcc: b@example.org\r\n\u202e\x1b[2J" + "x" * 5_000
    notice = told(samples.parked(reason=nasty, next_moves=(nasty,) * 50), title=nasty, body="the secret body")
    for text in (notice.title, notice.reason, *notice.next_moves, notices.subject(notice)):
        assert text.isprintable() and len(text) <= notices.REASON, text
    assert len(notice.next_moves) == notices.MOVES
    assert "the secret body" not in notices.document(notice).decode() + notices.text(notice)


@pytest.mark.parametrize(
    ("payload", "subject"),
    [
        (samples.parked(), "[boatwright] parked: Pagination drops the last page"),
        (samples.delivered(), "[boatwright] delivered, ready: Pagination drops the last page"),
        (samples.delivered(ready=False), "[boatwright] delivered as a draft: Pagination drops the last page"),
        (FAILED, "[boatwright] failed: Pagination drops the last page"),
        (CANCELLED, "[boatwright] cancelled: Pagination drops the last page"),
    ],
)
def test_subjects(payload: events.Payload, subject: str) -> None:
    assert notices.subject(told(payload)) == subject


def test_the_mail_word_for_word() -> None:
    assert notices.text(told(samples.parked(), pull_request=12, word="unproven")) == (
        "ex-1 is parked\n"
        "  Pagination drops the last page\n"
        "  in acme/sails\n"
        "\n"
        "why: used 4.90 USD, needed 0.20 USD, cap 5 USD (budget)\n"
        "\n"
        "proof: unproven\n"
        "pull request 12: https://github.com/acme/sails/pull/12\n"
        "issue 7: https://github.com/acme/sails/issues/7\n"
        "cost so far: 0.42 USD, 1,000 tokens\n"
        "\n"
        "next:\n"
        "  boatwright budget raise\n"
    )


def test_the_body_is_the_same_whenever_it_is_sent_and_its_signature_is_over_it() -> None:
    notice = told(samples.delivered())
    body = notices.document(notice)
    assert body == notices.document(Notice.model_validate_json(body)) and json.loads(body)["id"] == "ex-1:9"
    right = hmac.new(b"a secret", body, hashlib.sha256).hexdigest()
    assert notices.signature("a secret", body) == f"sha256={right}"


@pytest.mark.parametrize(("attempts", "minutes"), [(1, 1), (2, 5), (3, 30), (4, None), (9, None)])
def test_three_more_tries(attempts: int, minutes: int | None) -> None:
    assert notices.pause(attempts) == (None if minutes is None else timedelta(minutes=minutes))
    assert notices.MOST_ATTEMPTS == 4
