"""OpenAI Chat Completions: what a request can take, what an answer took.

``prompt_tokens`` includes what was read from the cache; reasoning is inside ``completion_tokens``; ``n``
multiplies the output. A stream tells its usage only when ``stream_options.include_usage`` asks for it, in
a last chunk without choices: it is forced upstream, also over an explicit no, and that chunk is hidden
from a client that did not ask. Gemini's provider tells running totals with every chunk instead: those of
the chunk that says why the answer ended hold, once the stream has ended as it should.
"""

from __future__ import annotations

import json
from typing import Any

from boatwright.egress.meter.protocol import (
    Ask,
    Body,
    Inline,
    Protocol,
    Reading,
    count,
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

IMAGE_TOKENS = 50_000
"""No image takes more: small models count a tile many times over (48,169 at the most)."""

MOST_OUTPUT = 1_000_000

FIELDS = frozenset({
    "model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "stream_options",
    "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty", "logit_bias", "logprobs",
    "top_logprobs", "seed", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
    "response_format", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention",
    "reasoning_effort", "verbosity", "metadata", "store", "service_tier", "modalities", "top_k", "min_p",
    "repetition_penalty", })  # fmt: skip
"""Top-level fields whose cost the body bounds. Left out on purpose: prediction (what it misses is billed
as output), web_search_options, audio."""

_LIMITS = ("max_completion_tokens", "max_tokens")


def bound_of(body: Body, ask: Ask) -> Bound:
    bound.refuse_unknown(body, FIELDS, ask.allow_fields, "OpenAI Chat Completions")
    only(body, "service_tier", {"auto", "default", "flex"}, ask.allow_fields)
    only(body, "store", {False}, ask.allow_fields)
    _check_modalities(body, ask)
    for tool in items(body.get("tools") or [], "tools"):
        _check_tool(member(tool, "a tool"), ask)
    inline = Inline()
    for message in items(body.get("messages"), "messages"):
        _check_message(member(message, "a message"), ask, inline)
    most = _most(body, ask)
    stream = truth(body, "stream")
    if stream:
        body["stream_options"] = {**mapping(body.get("stream_options")), "include_usage": True}
    if ask.provider == "openai" and body.get("service_tier") in {None, "auto"}:
        body["service_tier"] = "default"  # "auto" lets a project's setting choose the dearer tier
    ask.sent = encode(body)
    return Bound(
        model=model_name(body),
        stream=stream,
        sent_tokens=bound.sent_tokens(len(ask.sent), inline.bytes, inline.images, IMAGE_TOKENS),
        most=most,
        least=bound.least_answer(most),
        answers=bound.whole(body, "n", least=1, most=bound.MOST_ANSWERS) or 1,
        writes=CacheWrites.SHORT,
    )


def _most(body: Body, ask: Ask) -> int:
    given = {name: bound.whole(body, name, least=1, most=MOST_OUTPUT) for name in _LIMITS}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise Refusal("max_tokens and max_completion_tokens are both given: send one", code="invalid")
    for name in _LIMITS:
        if given[name] is None:
            body.pop(name, None)
    if named and ask.provider == "google":  # it documents this name alone
        body["max_tokens"] = body.pop(named[0])
        return int(body["max_tokens"])
    if named:
        return int(body[named[0]])
    body["max_completion_tokens" if ask.provider == "openai" else "max_tokens"] = bound.DEFAULT_ANSWER
    return bound.DEFAULT_ANSWER


def _check_modalities(body: Body, ask: Ask) -> None:
    if body.get("modalities") not in (None, ["text"]) and "modalities" not in ask.allow_fields:
        raise bound.unbounded("modalities other than text", "modalities")


def _check_tool(tool: Body, ask: Ask) -> None:
    kind = tool.get("type", "function")
    if kind not in ("function", "custom") and kind not in ask.allow_fields:
        raise bound.unbounded(f"the tool type {str(kind)[:64]!r} runs at the provider", str(kind))


def _check_message(message: Body, ask: Ask, inline: Inline) -> None:
    if message.get("audio") is not None:
        raise bound.unbounded("audio in a message", "audio")
    content = message.get("content")
    if content is None or isinstance(content, str):
        return
    for part in items(content, "content"):
        _check_part(member(part, "a content part"), ask, inline)


def _check_part(part: Body, ask: Ask, inline: Inline) -> None:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return
    if kind == "image_url":
        image = part.get("image_url")
        _check_image(image if isinstance(image, str) else mapping(image).get("url"), inline)
    elif not isinstance(kind, str) or kind not in ask.allow_fields:
        raise bound.unbounded(f"a content part of type {str(kind)[:64]!r} is not on the list", str(kind))


def _check_image(url: Any, inline: Inline) -> None:
    if not isinstance(url, str) or not url.startswith("data:image/") or ";base64," not in url[:100]:
        raise Refusal(
            "an image must be a data: URL: one fetched from elsewhere is not bounded by the request"
        )
    inline.image(url, "an image")


def limit(body: Body, answer_tokens: int) -> None:
    name = next((one for one in _LIMITS if one in body), _LIMITS[1])
    body[name] = answer_tokens


def read(answer: Any) -> Reading | None:
    return reading_of(mapping(answer).get("usage"))


def reading_of(usage: Any, sent: str = "prompt", said: str = "completion") -> Reading | None:
    """What OpenAI's usage says. Chat Completions and Responses differ only in what they call the two sides."""
    if not isinstance(usage, dict):
        return None
    whole = count(usage.get(f"{sent}_tokens"))
    details = mapping(usage.get(f"{sent}_tokens_details"))
    cached = min(count(details.get("cached_tokens")), whole)
    written = min(count(details.get("cache_write_tokens")), whole - cached)
    if not whole:
        return None  # no prompt is free: these figures are not complete
    output = max(count(usage.get(f"{said}_tokens")), count(usage.get("total_tokens")) - whole)
    reasoning = count(mapping(usage.get(f"{said}_tokens_details")).get("reasoning_tokens"))
    return Reading(
        Usage(
            input=whole - cached - written,
            cache_read=cached,
            cache_write=written,
            output=output,
            reasoning=min(reasoning, output),
        )
    )


class Stream:
    """The meter of one streamed answer. Running totals replace each other; the last chunk has no choices."""

    def __init__(self, asked: bool) -> None:
        self._asked = asked
        self._last: Any = None
        self._told = False
        self._finished = False
        self._done = False

    def event(self, data: bytes) -> bool:
        if data.strip() == b"[DONE]":
            self._done = True
            return True
        try:
            chunk = mapping(json.loads(data))
        except (ValueError, RecursionError):
            return True
        self._done = self._done or chunk.get("error") is not None
        if not isinstance(chunk.get("usage"), dict):
            return True
        self._last = chunk["usage"]
        if choices := chunk.get("choices"):
            listed = choices if isinstance(choices, list) else []
            self._finished = any(mapping(one).get("finish_reason") for one in listed)
            return True
        self._told = True
        return self._asked

    @property
    def complete(self) -> bool:
        return self._done

    def reading(self) -> Reading | None:
        told = self._told or (self._finished and self._done)
        return reading_of(self._last) if told else None


PROTOCOL = Protocol(
    name="openai",
    path="/v1/chat/completions",
    key_header="authorization",
    key_prefix="Bearer ",
    passed_headers=frozenset(),
    bound=bound_of,
    limit=limit,
    read=read,
    stream=Stream,
    usage_marks=(b'"usage"', b"[DONE]", b'"error"'),
)
