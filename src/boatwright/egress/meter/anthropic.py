"""Anthropic Messages: what a request can take, what an answer took.

``input_tokens`` excludes what is read from or written to the cache. In a stream ``message_start`` carries
the input and ``message_delta`` running totals, perhaps with input again, perhaps only there: each field
keeps its largest value. A stream has told everything once a ``message_delta`` named a stop reason.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from boatwright.egress.meter.protocol import (
    Ask,
    Body,
    Inline,
    Protocol,
    Reading,
    count,
    deeper,
    encode,
    items,
    mapping,
    member,
    model_name,
    only,
    truth,
)
from boatwright.rules import bound
from boatwright.rules.bound import Bound, Refusal
from boatwright.rules.pricing import CacheWrites
from boatwright.values.usage import Usage

IMAGE_TOKENS = 5_000
"""No image takes more: the provider scales larger ones down (at most 4,784 tokens at high resolution)."""

MOST_OUTPUT = 1_000_000

FIELDS = frozenset({
    "model", "messages", "max_tokens", "system", "stream", "temperature", "top_p", "top_k", "stop_sequences",
    "tools", "tool_choice", "thinking", "metadata", "service_tier", "cache_control", "output_config",
    "output_format", "context_management", "speed",
})  # fmt: skip
"""Top-level fields whose cost the body bounds. Left out on purpose: mcp_servers, container, inference_geo."""

_CLIENT_TOOLS = ("bash_", "text_editor_", "memory_")
"""Tools defined by the provider that run on the client's side; their hidden prompts fit in the route's
constant.
"""

_PLAIN_BLOCKS = frozenset({"text", "thinking", "redacted_thinking", "tool_use"})
_NESTED_BLOCKS = frozenset({"tool_result", "search_result"})


def bound_of(body: Body, ask: Ask) -> Bound:
    bound.refuse_unknown(body, FIELDS, ask.allow_fields, "Anthropic Messages")
    only(body, "service_tier", {"auto", "standard_only"}, ask.allow_fields)
    only(body, "speed", {"standard"}, ask.allow_fields)
    _check_edits(mapping(body.get("context_management")).get("edits"), ask)
    for tool in items(body.get("tools") or [], "tools"):
        _check_tool(member(tool, "a tool"), ask)
    inline = Inline()
    _check_messages(body, ask, inline)
    most = bound.whole(body, "max_tokens", least=1, most=MOST_OUTPUT)
    if most is None:
        most = body["max_tokens"] = bound.DEFAULT_ANSWER
    ask.sent = encode(body)
    return Bound(
        model=model_name(body),
        stream=truth(body, "stream"),
        sent_tokens=bound.sent_tokens(len(ask.sent), inline.bytes, inline.images, IMAGE_TOKENS),
        most=most,
        least=bound.least_answer(most, _thinking(body)),
        writes=_cache_writes(body),
    )


def _thinking(body: Body) -> int:
    thinking = mapping(body.get("thinking"))
    return bound.whole(dict(thinking), "budget_tokens", least=0, most=MOST_OUTPUT) or 0


def _check_edits(edits: Any, ask: Ask) -> None:
    """Edits of the context take away (Claude Code 2.1 sends one); compacting it is another call of the model."""
    for edit in items(edits if edits is not None else [], "context_management.edits"):
        kind = mapping(edit).get("type")
        if not isinstance(kind, str) or not (kind.startswith("clear_") or kind in ask.allow_fields):
            raise bound.unbounded(f"the context edit {str(kind)[:64]!r} is not on the list", str(kind))


def _check_tool(tool: Body, ask: Ask) -> None:
    kind = tool.get("type")
    if kind is None or kind == "custom" or kind in ask.allow_fields:
        return
    if not isinstance(kind, str) or not kind.startswith(_CLIENT_TOOLS):
        raise bound.unbounded(f"the tool type {str(kind)[:64]!r} runs at the provider", str(kind))


def _check_messages(body: Body, ask: Ask, inline: Inline) -> None:
    _check_content(body.get("system"), ask, inline, 0)
    for message in items(body.get("messages"), "messages"):
        _check_content(member(message, "a message").get("content"), ask, inline, 0)


def _check_content(content: Any, ask: Ask, inline: Inline, depth: int) -> None:
    if content is None or isinstance(content, str):
        return
    for block in items(content, "content"):
        _check_block(member(block, "a content block"), ask, inline, deeper(depth))


def _check_block(block: Body, ask: Ask, inline: Inline, depth: int) -> None:
    kind = block.get("type")
    if kind in _PLAIN_BLOCKS:
        return
    if kind in _NESTED_BLOCKS:
        _check_content(block.get("content"), ask, inline, depth)
    elif kind == "image":
        _check_image(member(block.get("source"), "an image source"), inline)
    elif kind == "document":
        _check_document(member(block.get("source"), "a document source"), ask, inline, depth)
    elif not isinstance(kind, str) or kind not in ask.allow_fields:
        raise bound.unbounded(f"a content block of type {str(kind)[:64]!r} is not on the list", str(kind))


def _check_image(source: Body, inline: Inline) -> None:
    if source.get("type") != "base64":
        raise Refusal(
            "an image must be inline base64: one fetched from elsewhere is not bounded by the request"
        )
    inline.image(source.get("data"), "an image")


def _check_document(source: Body, ask: Ask, inline: Inline, depth: int) -> None:
    if source.get("type") == "content":
        _check_content(source.get("content"), ask, inline, depth)
    elif source.get("type") != "text" and "document" not in ask.allow_fields:
        raise bound.unbounded("a document that is not plain text", "document")


def _cache_writes(body: Body) -> CacheWrites:
    """Whether the request asks for cache entries, and for how long; looked for anywhere it could stand."""
    marks = list(_cache_marks(body, 0))
    if not marks:
        return CacheWrites.NONE
    short = all(mark.get("ttl", "5m") == "5m" for mark in marks)
    return CacheWrites.SHORT if short else CacheWrites.LONG


def _cache_marks(value: Any, depth: int) -> Any:
    if isinstance(value, list):
        for one in value:
            yield from _cache_marks(one, deeper(depth))
    elif isinstance(value, dict):
        if value.get("cache_control") is not None:
            yield mapping(value["cache_control"])
        for one in value.values():
            if isinstance(one, list | dict):
                yield from _cache_marks(one, deeper(depth))


def limit(body: Body, answer_tokens: int) -> None:
    body["max_tokens"] = answer_tokens


class _Fields:
    """The usage fields seen so far; each keeps its largest value."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def take(self, usage: Mapping[str, Any]) -> None:
        created = mapping(usage.get("cache_creation"))
        tools = mapping(usage.get("server_tool_use"))
        for name, value in (
            ("input", usage.get("input_tokens")),
            ("output", usage.get("output_tokens")),
            ("cache_read", usage.get("cache_read_input_tokens")),
            ("cache_write", usage.get("cache_creation_input_tokens")),
            ("short", created.get("ephemeral_5m_input_tokens")),
            ("long", created.get("ephemeral_1h_input_tokens")),
            ("requests", sum(count(one) for one in tools.values())),
        ):
            self._seen[name] = max(self._seen.get(name, 0), count(value))

    def reading(self) -> Reading | None:
        seen = self._seen
        write = max(seen.get("cache_write", 0), seen.get("short", 0) + seen.get("long", 0))
        if not seen.get("input", 0) + seen.get("cache_read", 0) + write:
            return None  # no prompt is free: these figures are not complete
        usage = Usage(
            input=seen["input"],
            cache_read=seen["cache_read"],
            cache_write=write,
            output=seen["output"],
            requests=seen["requests"],
        )
        return Reading(usage, cache_write_long=seen["long"])


def read(answer: Any) -> Reading | None:
    usage = mapping(answer).get("usage")
    if not isinstance(usage, dict):
        return None
    fields = _Fields()
    fields.take(usage)
    return fields.reading()


class Stream:
    """The meter of one streamed answer. Every event is for the client's eyes."""

    def __init__(self) -> None:
        self._fields = _Fields()
        self._stopped = False
        self._ended = False

    def event(self, data: bytes) -> bool:
        try:
            event = mapping(json.loads(data))
        except (ValueError, RecursionError):
            return True
        kind = event.get("type")
        if kind == "message_start":
            self._fields.take(mapping(mapping(event.get("message")).get("usage")))
        elif kind == "message_delta":
            self._fields.take(mapping(event.get("usage")))
            self._stopped = self._stopped or bool(mapping(event.get("delta")).get("stop_reason"))
        self._ended = self._ended or kind in {"message_stop", "error"}
        return True

    @property
    def complete(self) -> bool:
        return self._ended

    def reading(self) -> Reading | None:
        return self._fields.reading() if self._stopped else None


PROTOCOL = Protocol(
    name="anthropic",
    path="/v1/messages",
    key_header="x-api-key",
    key_prefix="",
    passed_headers=frozenset({"anthropic-version", "anthropic-beta"}),
    bound=bound_of,
    limit=limit,
    read=read,
    stream=lambda _asked: Stream(),
    usage_marks=(b'"message_start"', b'"message_delta"', b'"message_stop"', b'"error"'),
)
