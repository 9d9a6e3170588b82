"""Gemini: what a request can take, what an answer took.

The model stands in the path, and so does whether the answer is streamed. ``promptTokenCount`` includes
what was read from the cache; thoughts are outside ``candidatesTokenCount``, and what tools brought in is
outside ``promptTokenCount``. In a stream the counts come with every chunk, and the last ones hold; it has
told everything when a candidate has a reason to be finished.

The provider reads every field name in two spellings. Here each has one: the other is rewritten where
names mean something, so that nothing can be said twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
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
)
from boatwright.rules import bound
from boatwright.rules.bound import Bound, Refusal
from boatwright.rules.pricing import CacheWrites
from boatwright.values.usage import Usage

IMAGE_TOKENS = 10_000
"""No image takes more: it is scaled to 3,072 pixels a side and cut into a few dozen tiles of 258 tokens."""

MOST_OUTPUT = 1_000_000
DEFAULT_ANSWER = 32_768
"""Forced into a request that names no limit, beside its thinking budget. Gemini CLI never names one."""

FIELDS = frozenset({
    "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig", "labels",
})  # fmt: skip
"""Top-level fields whose cost the body bounds. Left out on purpose: cachedContent, store, serviceTier."""

GENERATION = frozenset({
    "stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "candidateCount",
    "maxOutputTokens", "temperature", "topP", "topK", "seed", "presencePenalty", "frequencyPenalty",
    "responseLogprobs", "logprobs", "thinkingConfig", "responseModalities", "mediaResolution",
})  # fmt: skip
"""What may stand in ``generationConfig``. Left out on purpose: speechConfig, imageConfig."""

_PLAIN_PARTS = ("text", "functionCall", "functionResponse", "inlineData")
_BESIDE = frozenset({"thought", "thoughtSignature", "partMetadata", "mediaResolution"})
"""What may stand beside a part's own content."""

_PATH = re.compile(r"/v1(?:beta)?/models/([A-Za-z0-9][A-Za-z0-9._-]{0,99}):(\w{1,40})\Z")
_SNAKE = re.compile(r"_([a-z0-9])")


def route(path: str) -> Protocol | None:
    """The protocol of one path: it knows the model, and whether the answer is streamed."""
    found = _PATH.match(path)
    if found is None or found[2] not in ("generateContent", "streamGenerateContent"):
        return None
    stream = found[2] == "streamGenerateContent"
    return replace(
        PROTOCOL,
        path=path,
        bound=partial(bound_of, model=found[1], stream=stream),
        queries=frozenset({"alt=sse"}) if stream else frozenset({"", "alt=json"}),
    )


def counts(path: str) -> bool:
    """Whether ``path`` asks for a count of tokens."""
    found = _PATH.match(path)
    return found is not None and found[2] == "countTokens"


def bound_of(body: Body, ask: Ask, *, model: str, stream: bool) -> Bound:
    _one_spelling(body)
    bound.refuse_unknown(body, FIELDS, ask.allow_fields, "Gemini")
    config = _config(body, ask)
    for tool in items(body.get("tools") or [], "tools"):
        _check_tool(member(tool, "a tool"), ask)
    inline = Inline()
    _check_contents(body, ask, inline)
    thinking = _thinking(config)
    most = bound.whole(config, "maxOutputTokens", least=1, most=MOST_OUTPUT)
    if most is None:
        most = config["maxOutputTokens"] = DEFAULT_ANSWER + thinking
    ask.sent = encode(body)
    return Bound(
        model=model,
        stream=stream,
        sent_tokens=bound.sent_tokens(len(ask.sent), inline.bytes, inline.images, IMAGE_TOKENS),
        most=most,
        least=bound.least_answer(most, thinking),
        answers=bound.whole(config, "candidateCount", least=1, most=bound.MOST_ANSWERS) or 1,
        writes=CacheWrites.SHORT,
    )


def _config(body: Body, ask: Ask) -> Body:
    if body.get("generationConfig") is None:
        body["generationConfig"] = {}
    config = _one_spelling(member(body["generationConfig"], "generationConfig"))
    bound.refuse_unknown(config, GENERATION, ask.allow_fields, "Gemini's generationConfig")
    kinds = config.get("responseModalities")
    if kinds not in (None, [], ["TEXT"]) and "responseModalities" not in ask.allow_fields:
        raise bound.unbounded("responseModalities other than TEXT", "responseModalities")
    return config


def _thinking(config: Body) -> int:
    """The thinking budget, which is part of the answer's limit; -1 leaves it to the model."""
    if config.get("thinkingConfig") is None:
        return 0
    thinking = _one_spelling(member(config["thinkingConfig"], "thinkingConfig"))
    return max(bound.whole(thinking, "thinkingBudget", least=-1, most=MOST_OUTPUT) or 0, 0)


def _check_tool(tool: Body, ask: Ask) -> None:
    for name in _one_spelling(tool):
        if name != "functionDeclarations" and name not in ask.allow_fields:
            raise bound.unbounded(f"the tool {name[:64]!r} runs at the provider", name)


def _check_contents(body: Body, ask: Ask, inline: Inline) -> None:
    system = body.get("systemInstruction")
    if system is not None and not isinstance(system, str):
        _check_parts(member(system, "systemInstruction").get("parts"), ask, inline, 0)
    for content in items(body.get("contents"), "contents"):
        _check_parts(member(content, "a content").get("parts"), ask, inline, 0)


def _check_parts(parts: Any, ask: Ask, inline: Inline, depth: int) -> None:
    if isinstance(parts, dict):
        parts = [parts]  # the provider takes one for a list of one
    for part in items(parts if parts is not None else [], "parts"):
        _check_part(_one_spelling(member(part, "a part")), ask, inline, deeper(depth))


def _check_part(part: Body, ask: Ask, inline: Inline, depth: int) -> None:
    for name in part:
        if name not in _PLAIN_PARTS and name not in _BESIDE and name not in ask.allow_fields:
            raise bound.unbounded(f"a part with {name[:64]!r} is not on the list", name)
    if part.get("inlineData") is not None:
        _check_inline(_one_spelling(member(part["inlineData"], "inlineData")), ask, inline)
    if part.get("functionResponse") is not None:
        answer = _one_spelling(member(part["functionResponse"], "functionResponse"))
        _check_parts(answer.get("parts"), ask, inline, depth)


def _check_inline(data: Body, ask: Ask, inline: Inline) -> None:
    kind = data.get("mimeType")
    if isinstance(kind, str) and kind.startswith("image/"):
        inline.image(data.get("data"), "an image")
    elif "inlineData" not in ask.allow_fields:
        raise bound.unbounded("inline data that is not an image", "inlineData")


def _one_spelling(value: Body) -> Body:
    """Rewrite names with underscores to the other spelling, in place; refuse what is there in both."""
    for name in [name for name in value if "_" in name]:
        other = _SNAKE.sub(lambda found: found[1].upper(), name)
        if other in value:
            raise Refusal(f"the request body names {other[:64]} twice", code="invalid")
        value[other] = value.pop(name)
    return value


def limit(body: Body, answer_tokens: int) -> None:
    body["generationConfig"]["maxOutputTokens"] = answer_tokens


def read(answer: Any) -> Reading | None:
    return _reading(mapping(answer).get("usageMetadata"))


def _reading(usage: Any) -> Reading | None:
    if not isinstance(usage, dict):
        return None
    prompt = count(usage.get("promptTokenCount"))
    if not prompt:
        return None  # no prompt is free: these figures are not complete
    cached = min(count(usage.get("cachedContentTokenCount")), prompt)
    tools = count(usage.get("toolUsePromptTokenCount"))
    thoughts = count(usage.get("thoughtsTokenCount"))
    told = count(usage.get("candidatesTokenCount")) + thoughts
    output = max(told, count(usage.get("totalTokenCount")) - prompt - tools)
    return Reading(
        Usage(
            input=prompt - cached,
            cache_read=cached,
            tool_input=tools,
            output=output,
            reasoning=thoughts,
        )
    )


class Stream:
    """The meter of one streamed answer. Every event is for the client's eyes; none says it is the last."""

    def __init__(self) -> None:
        self._usage: Any = None
        self._finished = False

    def event(self, data: bytes) -> bool:
        try:
            chunk = mapping(json.loads(data))
        except (ValueError, RecursionError):
            return True
        if isinstance(chunk.get("usageMetadata"), dict):
            self._usage = chunk["usageMetadata"]
        candidates = chunk.get("candidates")
        listed = candidates if isinstance(candidates, list) else []
        finished = any(mapping(one).get("finishReason") for one in listed)
        blocked = mapping(chunk.get("promptFeedback")).get("blockReason")
        self._finished = self._finished or finished or bool(blocked)
        return True

    @property
    def complete(self) -> bool:
        return False

    def reading(self) -> Reading | None:
        return _reading(self._usage) if self._finished else None


PROTOCOL = Protocol(
    name="gemini",
    path="/v1beta/models/MODEL:generateContent",
    key_header="x-goog-api-key",
    key_prefix="",
    passed_headers=frozenset(),
    bound=partial(bound_of, model="", stream=False),
    limit=limit,
    read=read,
    stream=lambda _asked: Stream(),
    usage_marks=(b'"usageMetadata"', b'"finishReason"', b'"promptFeedback"'),
)
