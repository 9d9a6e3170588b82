"""Which events people outside are told of, in which words, and when telling is tried again."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta

from boatwright.rules import forge_place, plain
from boatwright.rules.saying import dollars, one_line, pull
from boatwright.values import events
from boatwright.values.event import Event
from boatwright.values.execution import ExecutionView
from boatwright.values.notice import Notice, Topic
from boatwright.values.place import ForgePlace

PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30))
"""After each failure; after the last try nobody is told any more, and ``boatwright status --since`` says so."""
MOST_ATTEMPTS = len(PAUSES) + 1
HELD = timedelta(minutes=10)
"""How long whoever sends has it to themselves: longer than any channel waits for an answer."""
OLDEST = timedelta(days=1)
"""What happened longer ago is told to nobody: telling may have been off for a month."""
TITLE, REASON, MOVE, MOVES = 200, 1_000, 300, 10

TOPICS: dict[type[events.Payload], Topic] = {
    events.FeatureParked: Topic.PARKED,
    events.FeatureDelivered: Topic.DELIVERED,
    events.FeatureFailed: Topic.FAILED,
    events.FeatureCancelled: Topic.CANCELLED,
}


def pause(attempts: int) -> timedelta | None:
    """How long to wait after ``attempts`` failed ones; None when that was the last."""
    return PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def topic(event: Event) -> Topic | None:
    return TOPICS.get(type(event.payload))


def notice(event: Event, view: ExecutionView, place: ForgePlace | None) -> Notice | None:
    """What to tell of ``event``; None where it is nothing anybody waits for. ``view`` is its execution."""
    about = topic(event)
    if about is None:
        return None
    payload = event.payload
    delivered = payload if isinstance(payload, events.FeatureDelivered) else None
    number = delivered.pull_request if delivered else view.pull_request
    return Notice(
        id=f"{event.stream}:{event.sequence}",
        topic=about,
        execution=event.stream,
        repository=one_line(event.repository, TITLE),
        at=event.time,
        title=one_line(view.title, TITLE),
        code=one_line(str(getattr(payload, "code", "")), 40),
        reason=one_line(str(getattr(payload, "reason", "")), REASON),
        next_moves=_moves(event),
        issue=view.issue,
        issue_url=forge_place.issue_url(place, view.issue),
        pull_request=number,
        pull_request_url=forge_place.pull_url(place, number),
        ready=delivered.ready if delivered else False,
        word=one_line((delivered.word if delivered else view.word) or "", 60),
        usd=delivered.usd if delivered else view.usd,
        tokens=delivered.tokens if delivered else view.tokens,
    )


def _moves(event: Event) -> tuple[str, ...]:
    """Its own; else where to look. A cancelled one waits for nobody."""
    payload = event.payload
    if isinstance(payload, events.FeatureParked | events.FeatureFailed) and payload.next_moves:
        return tuple(one_line(move, MOVE) for move in payload.next_moves[:MOVES])
    return (f"boatwright show {event.stream}",)


def signature(secret: str, body: bytes) -> str:
    """``sha256=`` and the HMAC-SHA256 of the body in hex: what GitHub's deliveries carry, so that tools know it."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def document(told: Notice) -> bytes:
    """The body of the webhook: the same bytes for the same notice."""
    return json.dumps(told.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()


def subject(told: Notice) -> str:
    """The subject of the mail."""
    return plain.short(f"[boatwright] {_state(told)}: {told.title or told.execution}", 150)


def text(told: Notice) -> str:
    """The mail, as plain text."""
    parts = [f"{told.execution} is {_state(told)}", f"  {told.title}", f"  in {told.repository}", ""]
    if told.reason:
        parts += [f"why: {told.reason}" + (f" ({told.code})" if told.code else ""), ""]
    if told.word:
        parts.append(f"proof: {told.word}")
    if told.pull_request is not None:
        parts.append(f"{pull(told.pull_request)}{_address(told.pull_request_url)}")
    if told.issue is not None:
        parts.append(f"issue {told.issue}{_address(told.issue_url)}")
    parts += [f"cost so far: {dollars(told.usd)}, {told.tokens:,} tokens", "", "next:"]
    parts += [f"  {move}" for move in told.next_moves]
    return "\n".join(parts) + "\n"


def _state(told: Notice) -> str:
    if told.topic is Topic.DELIVERED:
        return "delivered, ready" if told.ready else "delivered as a draft"
    return told.topic.value


def _address(url: str) -> str:
    return f": {url}" if url else ""
