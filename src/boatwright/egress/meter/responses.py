"""OpenAI Responses: what a request can take, what an answer took.

``input_tokens`` includes what was read from and written to the cache; reasoning is inside
``output_tokens``. A stream tells its usage once, in its last event, which may be ``response.completed``,
``response.incomplete`` or ``response.failed``.

What a request may refer to at the provider (an earlier response, a conversation, a stored prompt or item,
a file) is not bounded by its body, and neither is a tool that runs there. Storing is off unless a setting
allows it, so that nothing from this wire can be referred to later.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from boatwright.egress.meter import openai
from boatwright.egress.meter.protocol import (
    Ask,
    Body,
    Inline,
    Protocol,
    Reading,
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

IMAGE_TOKENS = 50_000
"""No image takes more: small models count a tile many times over (48,169 at the most)."""

MOST_OUTPUT = 1_000_000
DEFAULT_ANSWER = 32_768
"""Forced into a request that names no limit. Codex never does, and takes an answer cut short for a failure."""

CHATGPT = "chatgpt"
CHATGPT_ANSWER = 128_000
"""The longest answer of the models behind a ChatGPT login. Its backend refuses ``max_output_tokens``, so this is what
every call holds: one that finds less room is refused, never cut short.
"""

FIELDS = frozenset({
    "model", "input", "instructions", "max_output_tokens", "stream", "stream_options", "include",
    "temperature", "top_p", "top_logprobs", "tools", "tool_choice", "parallel_tool_calls", "max_tool_calls",
    "reasoning", "text", "truncation", "user", "safety_identifier", "metadata", "store", "service_tier",
    "prompt_cache_key", "prompt_cache_retention",
    "client_metadata",  # Codex 0.169: who asks, never part of the prompt
})  # fmt: skip
"""Top-level fields whose cost the body bounds. Left out on purpose: background, previous_response_id,
conversation, prompt (stored), context_management (compacts in calls of its own), prompt_cache_options
(dearer cache entries), moderation, image, access_programs.
"""

REASONING = frozenset({"effort", "summary", "generate_summary", "context"})
"""What may stand in ``reasoning``. Left out on purpose: mode (more than one answer is worked out)."""

_FREE_TOOLS = frozenset({"function", "custom", "local_shell", "apply_patch"})
"""Tools that run on the client's side."""

_PLAIN_ITEMS = frozenset({
    "function_call", "custom_tool_call", "local_shell_call", "local_shell_call_output", "shell_call",
    "shell_call_output", "apply_patch_call", "apply_patch_call_output",
})  # fmt: skip
"""Items whose text stands in the body and that hold nothing else."""

_PLAIN_PARTS = frozenset({"input_text", "output_text", "text", "refusal", "summary_text", "reasoning_text"})


def bound_of(body: Body, ask: Ask) -> Bound:
    bound.refuse_unknown(body, FIELDS, ask.allow_fields, "OpenAI Responses")
    only(body, "service_tier", {"auto", "default", "flex"}, ask.allow_fields)
    only(body, "store", {False}, ask.allow_fields)
    _check_reasoning(body, ask)
    _check_tools(body.get("tools"), ask, 0)
    inline = Inline()
    _check_input(body.get("input"), ask, inline)
    most = _of_login(body) if ask.login == CHATGPT else _of_key(body, ask)
    if body.get("store") is None:
        body["store"] = False  # absent means true at the provider
    ask.sent = encode(body)
    return Bound(
        model=model_name(body),
        stream=truth(body, "stream"),
        sent_tokens=bound.sent_tokens(len(ask.sent), inline.bytes, inline.images, IMAGE_TOKENS),
        most=most,
        least=most if ask.login == CHATGPT else bound.least_answer(most),
        writes=CacheWrites.SHORT,
    )


def _of_key(body: Body, ask: Ask) -> int:
    """The answer's limit, put into the body where it names none."""
    most = bound.whole(body, "max_output_tokens", least=1, most=MOST_OUTPUT)
    if most is None:
        most = body["max_output_tokens"] = DEFAULT_ANSWER
    if ask.provider == "openai" and body.get("service_tier") in {None, "auto"}:
        body["service_tier"] = "default"  # "auto" lets a project's setting choose the dearer tier
    return most


def _of_login(body: Body) -> int:
    """A ChatGPT login's backend takes no limit: the models' own is what binds."""
    body.pop("max_output_tokens", None)
    return CHATGPT_ANSWER


def _check_reasoning(body: Body, ask: Ask) -> None:
    if body.get("reasoning") is None:
        return
    for name in member(body["reasoning"], "reasoning"):
        full = f"reasoning.{name}"
        if name not in REASONING and full not in ask.allow_fields:
            raise bound.unbounded(f"the field {full[:64]} is not on the list of OpenAI Responses", full)


def _check_tools(tools: Any, ask: Ask, depth: int) -> None:
    for one in items(tools if tools is not None else [], "tools"):
        tool = member(one, "a tool")
        if tool.get("type") == "namespace":
            _check_tools(tool.get("tools"), ask, deeper(depth))
        else:
            _check_tool(tool, ask)


def _check_tool(tool: Body, ask: Ask) -> None:
    kind = tool.get("type")
    if not isinstance(kind, str) or not (kind in _FREE_TOOLS or kind in ask.allow_fields or _local(tool)):
        raise bound.unbounded(f"the tool type {str(kind)[:64]!r} runs at the provider", str(kind))


def _local(tool: Body) -> bool:
    """Tools that run on either side, and say here that it is the client's."""
    if tool["type"] == "shell":
        return mapping(tool.get("environment")).get("type") == "local"
    return tool["type"] == "tool_search" and tool.get("execution") == "client"


def _check_input(given: Any, ask: Ask, inline: Inline) -> None:
    if isinstance(given, str):
        return
    for item in items(given, "input"):
        _check_item(member(item, "an input item"), ask, inline)


def _check_item(item: Body, ask: Ask, inline: Inline) -> None:
    kind = item.get("type", "message" if "role" in item else None)
    if kind == "message":
        _check_content(item.get("content"), ask, inline)
    elif kind in ("function_call_output", "custom_tool_call_output"):
        _check_content(item.get("output"), ask, inline)
    elif kind == "additional_tools" or (kind == "tool_search_output" and item.get("execution") == "client"):
        _check_tools(item.get("tools"), ask, 0)  # Codex 0.169: tools that stand in the input
    elif kind == "reasoning":
        _check_thoughts(item, ask, inline)
    elif kind == "tool_search_call" and item.get("execution") == "client":
        return  # what was looked for stands in the body
    elif kind not in _PLAIN_ITEMS and (not isinstance(kind, str) or kind not in ask.allow_fields):
        raise bound.unbounded(f"an input item of type {str(kind)[:64]!r} is not on the list", str(kind))


def _check_thoughts(item: Body, ask: Ask, inline: Inline) -> None:
    """Thoughts come whole, encrypted or plain; by name alone the provider would look them up."""
    _check_content(item.get("content"), ask, inline)
    whole = item.get("encrypted_content") or item.get("content") or not item.get("id")
    if not whole and "reasoning" not in ask.allow_fields:
        raise bound.unbounded("a reasoning item named by its id alone", "reasoning")


def _check_content(content: Any, ask: Ask, inline: Inline) -> None:
    if content is None or isinstance(content, str):
        return
    for part in items(content, "content"):
        _check_part(member(part, "a content part"), ask, inline)


def _check_part(part: Body, ask: Ask, inline: Inline) -> None:
    kind = part.get("type")
    if kind in _PLAIN_PARTS:
        return
    if kind == "input_image":
        _check_image(part, inline)
    elif not isinstance(kind, str) or kind not in ask.allow_fields:
        raise bound.unbounded(f"a content part of type {str(kind)[:64]!r} is not on the list", str(kind))


def _check_image(part: Body, inline: Inline) -> None:
    url = part.get("image_url")
    inside = isinstance(url, str) and url.startswith("data:image/") and ";base64," in url[:100]
    if not inside or part.get("file_id") is not None:
        raise Refusal(
            "an image must be a data: URL: one fetched from elsewhere is not bounded by the request"
        )
    inline.image(url, "an image")


def limit(body: Body, answer_tokens: int) -> None:
    body["max_output_tokens"] = answer_tokens


def read(answer: Any) -> Reading | None:
    return _reading(mapping(answer).get("usage"))


def _reading(usage: Any) -> Reading | None:
    return openai.reading_of(usage, "input", "output")


_ENDS: Collection[str] = ("response.completed", "response.incomplete", "response.failed")


class Stream:
    """The meter of one streamed answer. Every event is for the client's eyes."""

    def __init__(self) -> None:
        self._usage: Any = None
        self._ended = False

    def event(self, data: bytes) -> bool:
        try:
            event = mapping(json.loads(data))
        except (ValueError, RecursionError):
            return True
        kind = event.get("type")
        if kind in _ENDS:
            self._usage = mapping(event.get("response")).get("usage") or self._usage
        self._ended = self._ended or kind in _ENDS or kind == "error"
        return True

    @property
    def complete(self) -> bool:
        return self._ended

    def reading(self) -> Reading | None:
        return _reading(self._usage)


_PASSED_HEADERS = frozenset({
    "session-id",  # Codex 0.169: finds the prompt cache again
    "originator",  # Codex says so itself; a ChatGPT login's backend asks for it
    "x-openai-internal-codex-responses-lite",  # Codex 0.169, newest models: the tools stand in the input
})  # fmt: skip

PROTOCOL = Protocol(
    name="responses",
    shares="openai",
    path="/v1/responses",
    key_header="authorization",
    key_prefix="Bearer ",
    passed_headers=_PASSED_HEADERS,
    bound=bound_of,
    limit=limit,
    read=read,
    stream=lambda _asked: Stream(),
    usage_marks=(*(f'"{end}"'.encode() for end in _ENDS), b'"error"'),
)
