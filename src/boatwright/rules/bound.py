"""The most a model call can take, told from its request alone.

A token of a byte-level tokenizer covers at least one byte, so a text never has more tokens than UTF-8
bytes; no divisor of the bytes is a bound (hexadecimal text and rare characters come close to one). Bytes
of inline images are not tokenised: they count as a maximum per image instead. What a body does not bound
is refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from boatwright import errors
from boatwright.rules.pricing import CacheWrites

ROUTE_TOKENS = 4_096
"""For what a provider adds to the prompt: its template, tool instructions, hidden prompts of client-side
tools.
"""

DEFAULT_ANSWER = 8_192
"""Forced into a request that does not say how long the answer may be."""

LEAST_ANSWER = 1_024
"""An answer is never cut below this for lack of room; the call is refused instead."""

MOST_ANSWERS = 16
MOST_DEPTH = 64


class Refusal(errors.Refused):
    """A request is refused by rule. ``code`` is for programs, the next move names the setting that permits
    it.
    """

    def __init__(self, sentence: str, *, code: str = "unbounded", allow: str = "") -> None:
        super().__init__(sentence, next_moves=(f"an operator may set {allow}",) if allow else ())
        self.code = code


@dataclass(frozen=True, slots=True)
class Bound:
    """What a request can take at most. ``sent_tokens`` is the input, ``most`` the tokens of each of
    ``answers``.
    """

    model: str
    stream: bool
    sent_tokens: int
    most: int
    least: int
    answers: int = 1
    writes: CacheWrites = CacheWrites.NONE


def sent_tokens(body_bytes: int, inline_bytes: int, images: int, image_tokens: int) -> int:
    """At most this many input tokens: body without inline image data, the route's constant, a maximum per
    image.
    """
    return body_bytes - inline_bytes + ROUTE_TOKENS + images * image_tokens


def least_answer(most: int, thinking: int = 0) -> int:
    """The smallest answer worth sending the call for; a thinking budget must fit inside it."""
    return min(most, max(LEAST_ANSWER, thinking + 1 if thinking else 0))


def refuse_unknown(
    body: Mapping[str, Any], known: Collection[str], allowed: Collection[str], route: str
) -> None:
    """Refuse, by name, the first field that is neither on the route's list nor allowed by a setting."""
    for name in body:
        if name not in known and name not in allowed:
            raise unbounded(f"the field {_shown(name)} is not on the list of {route}", name)


def unbounded(what: str, name: str) -> Refusal:
    """The refusal for something a body does not bound, with the setting that would let it through."""
    return Refusal(
        f"{what}: its cost is not bounded by the request", allow=f"wire.allow_fields: [{_shown(name)}]"
    )


def whole(body: Mapping[str, Any], name: str, *, least: int, most: int) -> int | None:
    """The whole number in field ``name``, None when absent or null; refused outside ``least`` … ``most``."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Refusal(f"{name} must be a whole number from {least} to {most:,}", code="invalid")
    return value


def _shown(name: str) -> str:
    return "".join(char for char in name[:64] if char.isprintable() and char.isascii()) or "(unreadable)"
