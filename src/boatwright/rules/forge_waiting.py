"""When a forge asks us to wait, and for how long; and what may be sent again.

Sources: GitHub, "Rate limits for the REST API" and "Best practices for using the REST API" (retry-after first, then
x-ratelimit-reset where nothing remains, else from one minute, longer each time); GitLab, "Rate limits" (429 with
Retry-After and RateLimit-Reset). Gitea has no limits of its own; a proxy in front of it may answer 429.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

SECONDARY = 60.0
"""The first pause after a secondary limit that names none, in seconds; doubled each time."""
SHORT = 0.5
"""The first pause after an answer that got lost, in seconds; doubled each time."""
_UNSURE = frozenset({502, 503, 504})
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE"})


class Next(StrEnum):
    """What an answer means for whoever asked."""

    TAKE = "take"
    """It is the answer, good or bad."""
    WAIT = "wait"
    """Nothing was done: ask again after the pause, whatever was asked."""
    UNSURE = "unsure"
    """It may or may not have been done: ask again only what may be asked twice."""


def meaning(status: int, headers: Mapping[str, str], text: str) -> Next:
    """``headers`` in lower case; ``text`` is the head of the body."""
    if _limited(status, headers, text):
        return Next.WAIT
    return Next.UNSURE if status in _UNSURE else Next.TAKE


def _limited(status: int, headers: Mapping[str, str], text: str) -> bool:
    if status == 429:
        return True
    if status != 403:
        return False
    spent = headers.get("x-ratelimit-remaining") == "0"
    return spent or "retry-after" in headers or "rate limit" in text.lower()


def pause(headers: Mapping[str, str], now: datetime, attempt: int) -> float:
    """Seconds to wait after a limit. ``attempt`` counts from 0."""
    asked = _seconds(headers.get("retry-after", ""), now)
    if asked is not None:
        return max(asked, 1.0)
    for remaining, reset in (
        ("x-ratelimit-remaining", "x-ratelimit-reset"),
        ("ratelimit-remaining", "ratelimit-reset"),
    ):
        if headers.get(remaining) == "0" and headers.get(reset, "").isdecimal():
            return max(int(headers[reset]) - now.timestamp(), 0.0) + 1.0
    return SECONDARY * float(1 << min(attempt, 10))


def _seconds(text: str, now: datetime) -> float | None:
    """What ``Retry-After`` says: seconds, or a date."""
    text = text.strip()
    if text.isdecimal() and text.isascii():
        return float(text[:9])
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def short(headers: Mapping[str, str], now: datetime, attempt: int) -> float:
    """Seconds to wait after an answer that got lost, or a server that is not well: what it asks for, else not long."""
    asked = _seconds(headers.get("retry-after", ""), now)
    return max(asked, 0.0) if asked is not None else SHORT * float(1 << min(attempt, 10))


def repeatable(method: str) -> bool:
    """Whether asking twice does what asking once does. Never POST: what it makes is looked for first."""
    return method in _REPEATABLE
