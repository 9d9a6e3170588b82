"""A conversation as the scripted model sees it, whatever protocol it came in, and the place it has reached.

The scripted model keeps no conversation: everything it needs to know stands in what it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MARKER = re.compile(r"\[boatwright round (\d{1,6})\]")
"""A line of a task prompt that says which gate round this is, counted over the whole execution."""

GARBAGE = "garbage-by-script"
"""Stands in every reply the ``garbage`` fault makes, so that such a reply is not counted as one of the
script's.
"""

FILLED_IN = ("API Error", "No response requested.")
"""How words begin that Claude Code puts where a call had failed, as if the model had said them."""

PLAN_TOOL = "submit_plan"
REVIEW_TOOL = "submit_review"


_ASIDE = re.compile(r"\b(title|topic|commit message)\b", re.IGNORECASE)
_ASIDE_WITHIN = 600
"""What a program asks on the side, told from the first so many characters of its instructions."""


class BadRequestError(ValueError):
    """The request breaks its protocol; answered with status 400 and this sentence."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool the asking program offers. ``kind`` is the protocol's own word; a ``custom`` one takes plain text.

    ``namespace`` is where it stands, for a protocol that keeps tools in such; a call must say it.
    """

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "function"
    description: str = ""
    namespace: str = ""

    @property
    def properties(self) -> Mapping[str, Any]:
        found = self.schema.get("properties")
        return found if isinstance(found, dict) else {}

    @property
    def required(self) -> Sequence[str]:
        found = self.schema.get("required")
        return found if isinstance(found, list) else ()


@dataclass(frozen=True, slots=True)
class Said:
    """One message: its text, the tool calls in it, the tool calls it answers."""

    role: str
    text: str = ""
    calls: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    garbage: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    model: str
    messages: tuple[Said, ...]
    offers: tuple[Offer, ...]
    stream: bool
    max_output: int | None
    tell_usage: bool
    """Whether a stream ends with usage: always in Messages, on request in Chat Completions."""
    size: int
    fingerprint: str
    instructions: str = ""
    answer_schema: Mapping[str, Any] | None = None
    """The JSON schema that the words of the answer must fit."""


class Purpose(StrEnum):
    PLAN = "plan"
    REVIEW = "review"
    BUILD = "build"
    CHAT = "chat"  # no tools are offered, as by a program that reads its edits from words; or a health check
    ASIDE = "aside"  # no tools are offered, and it is not the task: a title, a topic, a routing question


@dataclass(frozen=True, slots=True)
class Place:
    """Where a conversation stands: gate round and reply both count from 1."""

    purpose: Purpose
    round: int
    reply: int


def place_of(asked: Asked) -> Place:
    """Find the place; the same conversation always gives the same one."""
    offered = {offer.name for offer in asked.offers}
    number, since = _round(asked.messages)
    if PLAN_TOOL in offered:
        return Place(Purpose.PLAN, number, 1)
    if REVIEW_TOOL in offered:
        return Place(Purpose.REVIEW, number, 1)
    purpose = Purpose.BUILD if offered else Purpose.ASIDE if _aside(asked) else Purpose.CHAT
    return Place(purpose, number, _replies(asked.messages[since:]) + 1)


def _aside(asked: Asked) -> bool:
    return asked.answer_schema is not None or _ASIDE.search(asked.instructions[:_ASIDE_WITHIN]) is not None


def folded(messages: Iterable[Said]) -> tuple[Said, ...]:
    """Messages of one role in a row as one: for protocols that say each call, and each result, by itself."""
    whole: list[Said] = []
    for one in messages:
        if whole and whole[-1].role == one.role:
            last = whole.pop()
            text = "\n".join(text for text in (last.text, one.text) if text)
            calls, answers = last.calls + one.calls, last.answers + one.answers
            whole.append(Said(one.role, text, calls, answers, last.garbage or one.garbage))
        else:
            whole.append(one)
    return tuple(whole)


def _round(messages: Sequence[Said]) -> tuple[int, int]:
    """The gate round, and the index of the message that began it.

    The newest marker decides. Without any, every user message that answers no tool call begins a round; of
    several in a row only the first counts.
    """
    for index in range(len(messages) - 1, -1, -1):
        found = MARKER.findall(messages[index].text) if messages[index].role == "user" else []
        if found:
            return max(int(found[-1]), 1), index
    number, since, previous = 0, 0, ""
    for index, message in enumerate(messages):
        if message.role == "user" and not message.answers and previous != "user":
            number, since = number + 1, index
        previous = previous if message.role in _ASIDES else message.role
    return max(number, 1), since


_ASIDES = frozenset({"system", "developer"})
"""Roles that take no turn: programs put such messages anywhere between the others."""


def _replies(messages: Sequence[Said]) -> int:
    """Assistant messages, several in a row as one; those of the ``garbage`` fault, and what a program put into its own
    mouth about a failed call, not at all.
    """
    count, previous = 0, ""
    for message in messages:
        ours = not message.garbage and not message.text.startswith(FILLED_IN)
        if message.role == "assistant" and previous != "assistant" and ours:
            count += 1
        previous = previous if message.role in _ASIDES else message.role
    return count


def check_pairs(messages: Sequence[Said]) -> None:
    """Every tool call is answered in the messages that follow it, as real providers demand."""
    waiting: set[str] = set()
    for message in messages:
        if message.role == "assistant":
            _refuse_unanswered(waiting)
            waiting = set(message.calls)
        else:
            unknown = set(message.answers) - waiting
            if unknown:
                raise BadRequestError(f"a tool result answers no tool call: {', '.join(sorted(unknown))}")
            waiting -= set(message.answers)
            if not message.answers:
                _refuse_unanswered(waiting)
    _refuse_unanswered(waiting)


def _refuse_unanswered(waiting: set[str]) -> None:
    if waiting:
        raise BadRequestError(f"tool calls without a result right after them: {', '.join(sorted(waiting))}")
