"""When a forge asks us to wait, and what may be asked twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from boatwright.rules import forge_waiting
from boatwright.rules.forge_waiting import Next

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RESET = str(int(NOW.timestamp()) + 90)
SECONDARY = '{"message": "You have exceeded a secondary rate limit."}'


@pytest.mark.parametrize(
    ("status", "headers", "text", "means"),
    [
        (200, {}, "", Next.TAKE),
        (200, {"x-ratelimit-remaining": "0"}, "", Next.TAKE),
        (404, {"retry-after": "5"}, "", Next.TAKE),
        (403, {}, "Resource not accessible by integration", Next.TAKE),
        (403, {"x-ratelimit-remaining": "12"}, "", Next.TAKE),
        (403, {"x-ratelimit-remaining": "0"}, "", Next.WAIT),
        (403, {"retry-after": "5"}, "", Next.WAIT),
        (403, {}, SECONDARY, Next.WAIT),
        (429, {}, "", Next.WAIT),
        (500, {}, "", Next.TAKE),
        (502, {}, "", Next.UNSURE),
        (503, {"retry-after": "5"}, "", Next.UNSURE),
        (504, {}, "", Next.UNSURE),
    ],
)
def test_what_an_answer_means(status: int, headers: dict[str, str], text: str, means: Next) -> None:
    assert forge_waiting.meaning(status, headers, text) is means


@pytest.mark.parametrize(
    ("headers", "attempt", "seconds"),
    [
        ({"retry-after": "7"}, 0, 7.0),
        ({"retry-after": "7", "x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, 3, 7.0),
        ({"retry-after": "0"}, 0, 1.0),
        ({"retry-after": "Fri, 02 Jan 2026 03:05:05 GMT"}, 0, 60.0),
        ({"retry-after": "soon"}, 0, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": RESET}, 0, 91.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": RESET}, 0, 91.0),
        ({"x-ratelimit-remaining": "3", "x-ratelimit-reset": RESET}, 0, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "never"}, 0, 60.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "5"}, 0, 1.0),
        ({}, 0, 60.0),
        ({}, 1, 120.0),
        ({}, 2, 240.0),
    ],
)
def test_how_long_a_limit_lasts(headers: dict[str, str], attempt: int, seconds: float) -> None:
    assert forge_waiting.pause(headers, NOW, attempt) == seconds


@pytest.mark.parametrize(
    ("headers", "attempt", "seconds"), [({}, 0, 0.5), ({}, 3, 4.0), ({"retry-after": "9"}, 0, 9.0)]
)
def test_how_long_a_lost_answer_is_waited_for(headers: dict[str, str], attempt: int, seconds: float) -> None:
    assert forge_waiting.short(headers, NOW, attempt) == seconds


@pytest.mark.parametrize(
    ("method", "may"),
    [("GET", True), ("PUT", True), ("PATCH", True), ("DELETE", True), ("POST", False), ("get", False)],
)
def test_what_may_be_sent_twice(method: str, may: bool) -> None:
    assert forge_waiting.repeatable(method) is may
