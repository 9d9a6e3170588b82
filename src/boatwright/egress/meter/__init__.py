"""What a model call can take at most, told from its request; what it took, told from its answer.

One module per protocol: :mod:`anthropic` (Messages), :mod:`openai` (Chat Completions), :mod:`responses`
(OpenAI Responses, on the same upstream) and :mod:`gemini`. Each offers a
:class:`~boatwright.egress.meter.protocol.Protocol`.
"""

from __future__ import annotations

from boatwright.egress.meter import anthropic, gemini, openai, responses
from boatwright.egress.meter.protocol import Protocol

PROTOCOLS: dict[str, Protocol] = {
    one.PROTOCOL.name: one.PROTOCOL for one in (anthropic, openai, responses, gemini)
}
SIDES = frozenset(one.side for one in PROTOCOLS.values())
"""What an upstream's protocol may be."""

_COUNTS = {
    "/v1/messages/count_tokens": ("anthropic", "input_tokens"),
    "/v1/responses/input_tokens": ("openai", "input_tokens"),
}


def by_path(path: str) -> Protocol | None:
    """The protocol a path on the gateway speaks."""
    plain = next((one for one in PROTOCOLS.values() if one.path == path), None)
    return gemini.route(path) if plain in (None, gemini.PROTOCOL) else plain


def count_by_path(path: str) -> tuple[str, str] | None:
    """For a path that asks to count tokens: the upstream it belongs to, and the field that answers."""
    return ("gemini", "totalTokens") if gemini.counts(path) else _COUNTS.get(path)


def of_side(side: str) -> tuple[Protocol, ...]:
    """The protocols an upstream serves."""
    return tuple(one for one in PROTOCOLS.values() if one.side == side)


def without_key(query: str) -> str:
    """A query without the key a client put there (Gemini's clients may): it stays here."""
    return "&".join(part for part in query.split("&") if not part.startswith("key="))
