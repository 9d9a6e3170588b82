"""What the scripted model answers at a place, and what that costs. Pure: the same request gives the same
answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from boatwright.testing.conversation import (
    GARBAGE,
    PLAN_TOOL,
    REVIEW_TOOL,
    Asked,
    BadRequestError,
    Place,
    Purpose,
)
from boatwright.testing.scripted import Loaded, Reply, UsageOverride
from boatwright.testing.tool_calls import sample, translate

NOTHING_LEFT = "Nothing left to do."
ASIDE = "A scripted run"
BYTES_PER_TOKEN = 4
"""Tokens are counted as bytes / 4, rounded up: of the request body as received, of what is said and
called.
"""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. ``arguments`` is JSON text; broken JSON when the ``garbage`` fault made it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Bill:
    """Tokens of one call in normal form: ``input`` excludes what is read from or written to the cache."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    calls: tuple[Call, ...]
    bill: Bill
    cut_at_limit: bool = False
    """The reply was longer than the request's output limit allows and was cut there."""


def answer(loaded: Loaded, asked: Asked, place: Place) -> Answer:
    """The answer of the script at ``place``. Raises BadRequestError when the script has none to give."""
    said, override = _content(loaded, asked, place)
    whole = replace(said, bill=_bill(asked, said, override))
    return _within_limit(whole, asked, override)


def garbage(asked: Asked) -> Answer:
    """The ``garbage`` fault: a tool call with broken JSON, or words without sense where no tools are
    offered.
    """
    if asked.offers:
        call = Call(f"call_{asked.fingerprint}_0", asked.offers[0].name, f'{{"{GARBAGE}": tru')
        said = Answer("", (call,), Bill(0, 0))
    else:
        said = Answer(f"%%{GARBAGE}%%", (), Bill(0, 0))
    return replace(said, bill=_bill(asked, said, None))


def tokens(size: int) -> int:
    return -(-size // BYTES_PER_TOKEN)


def _content(loaded: Loaded, asked: Asked, place: Place) -> tuple[Answer, UsageOverride | None]:
    script = loaded.script
    if place.purpose is Purpose.PLAN:
        return _submit(asked, PLAN_TOOL, _required(script.plan, "plan", loaded)), None
    if place.purpose is Purpose.REVIEW:
        return _submit(asked, REVIEW_TOOL, _required(script.review_of(place.round), "review", loaded)), None
    if place.purpose is Purpose.ASIDE:
        return _aside(asked), None
    replies = script.round(place.round)
    if place.reply > len(replies):
        return Answer(NOTHING_LEFT, (), Bill(0, 0)), None
    reply = replies[place.reply - 1]
    return _spoken(asked, reply), reply.usage


def _aside(asked: Asked) -> Answer:
    """A few words for what is asked on the side; as JSON where the asking program wants that."""
    schema = asked.answer_schema
    return Answer(ASIDE if schema is None else json.dumps(sample(schema, ASIDE)), (), Bill(0, 0))


def _required(value: Any, key: str, loaded: Loaded) -> dict[str, Any]:
    if value is None:
        raise BadRequestError(
            f"the script {loaded.path.name} has no '{key}', and one was asked for; add '{key}:' to it"
        )
    dumped: dict[str, Any] = value.model_dump(mode="json", exclude_defaults=True)
    return dumped


def _submit(asked: Asked, tool: str, arguments: dict[str, Any]) -> Answer:
    return Answer("", (Call(f"call_{asked.fingerprint}_0", tool, json.dumps(arguments)),), Bill(0, 0))


def _spoken(asked: Asked, reply: Reply) -> Answer:
    words, calls = [reply.say] if reply.say else [], []
    for number, tool in enumerate(reply.tools if asked.offers else ()):
        call = translate(tool, asked.offers)
        if call is None:
            offered = ", ".join(offer.name for offer in asked.offers)
            words.append(f"(The script wants a tool that is not offered here; offered are: {offered}.)")
            continue
        calls.append(Call(f"call_{asked.fingerprint}_{number}", call[0], json.dumps(call[1])))
    return Answer("\n".join(words) or ("" if calls else NOTHING_LEFT), tuple(calls), Bill(0, 0))


def _bill(asked: Asked, said: Answer, override: UsageOverride | None) -> Bill:
    size = len(said.text.encode()) + sum(
        len(call.name.encode()) + len(call.arguments.encode()) for call in said.calls
    )
    bill = Bill(input=tokens(asked.size), output=max(tokens(size), 1))
    if override is None:
        return bill
    return Bill(
        input=bill.input if override.input is None else override.input,
        output=bill.output if override.output is None else override.output,
        cache_read=override.cache_read, cache_write=override.cache_write,
    )  # fmt: skip


def _within_limit(said: Answer, asked: Asked, override: UsageOverride | None) -> Answer:
    """Cut at the request's output limit like a provider does: calls that do not fit are not made."""
    limit = asked.max_output
    if limit is None or said.bill.output <= limit or (override and override.output is not None):
        return said
    text = said.text.encode()[: limit * BYTES_PER_TOKEN].decode("utf-8", "ignore")
    return replace(said, text=text, calls=(), bill=replace(said.bill, output=limit), cut_at_limit=True)
