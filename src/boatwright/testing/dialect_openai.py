"""The OpenAI Chat Completions protocol: read a request, write an answer, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boatwright.testing.conversation import GARBAGE, Asked, BadRequestError, Offer, Said
from boatwright.testing.dialect_anthropic import pieces
from boatwright.testing.replying import Answer, Bill, Call

NAME = "openai"
PATHS = ("/v1/chat/completions", "/chat/completions", "/v1beta/openai/chat/completions")
"""The last is where Gemini's provider has it."""
SYSTEM = ("system", "developer")
CREATED = 1_767_225_600
"""A fixed second: the same request gives the same bytes."""

ERROR_TYPES = {
    400: "invalid_request_error", 401: "invalid_request_error", 429: "rate_limit_exceeded",
    500: "server_error",
}  # fmt: skip
ERROR_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


def parse(body: Mapping[str, Any], *, size: int, fingerprint: str) -> Asked:
    """The request in neutral form. Raises BadRequestError for what the real provider would refuse."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages: a list that is not empty is required")
    said = tuple(_said(message) for message in messages)
    options = body.get("stream_options")
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    return Asked(
        model=str(body.get("model", "")),
        messages=said,
        offers=tuple(_offers(body.get("tools") or ())),
        stream=body.get("stream") is True,
        max_output=limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        tell_usage=isinstance(options, dict) and options.get("include_usage") is True,
        size=size,
        fingerprint=fingerprint,
        instructions="\n".join(_text(one.get("content")) for one in messages if one.get("role") in SYSTEM),
        answer_schema=_schema(body.get("response_format")),
    )


def _schema(form: Any) -> Mapping[str, Any] | None:
    told = form.get("json_schema") if isinstance(form, dict) else None
    schema = told.get("schema") if isinstance(told, dict) else None
    return schema if isinstance(schema, dict) else None


def _offers(tools: Sequence[Any]) -> Iterator[Offer]:
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and "name" in function:
            schema = function.get("parameters")
            yield Offer(str(function["name"]), schema if isinstance(schema, dict) else {})


def _said(message: Any) -> Said:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise BadRequestError("messages: each has a role and content")
    text = _text(message.get("content"))
    calls = [call for call in message.get("tool_calls") or () if isinstance(call, dict)]
    answers = (str(message.get("tool_call_id")),) if message["role"] == "tool" else ()
    return Said(
        role="user" if answers else str(message["role"]),
        text="" if answers else text,  # what a tool printed is not what a person asked
        calls=tuple(str(call.get("id")) for call in calls),
        answers=answers,
        garbage=GARBAGE in text or GARBAGE in json.dumps(calls),
    )


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, dict)]
    return "\n".join(str(part.get("text", "")) for part in parts)


def whole(asked: Asked, answer: Answer, *, usage: bool) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [_call(call) for call in answer.calls]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
    head = _head(asked, "chat.completion") | {"choices": [choice]}
    return head | ({"usage": _usage(answer.bill)} if usage else {})


def events(asked: Asked, answer: Answer, *, usage: bool) -> Iterator[bytes]:
    """The answer to a request that streams; usage comes last, only when the request asks for it."""
    yield _chunk(asked, {"role": "assistant", "content": ""})
    for piece in pieces(answer.text):
        yield _chunk(asked, {"content": piece})
    for index, call in enumerate(answer.calls):
        yield _chunk(
            asked, {"tool_calls": [{"index": index} | _call(call) | {"function": _function(call, "")}]}
        )
        for piece in pieces(call.arguments):
            yield _chunk(asked, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield _chunk(asked, {}, finish=_finish(answer))
    if usage and asked.tell_usage:
        last = _head(asked, "chat.completion.chunk") | {"choices": [], "usage": _usage(answer.bill)}
        yield _data(json.dumps(last))
    yield _data("[DONE]")


def error(status: int, sentence: str) -> dict[str, Any]:
    kind = ERROR_TYPES.get(status, "server_error")
    return {"error": {"message": sentence, "type": kind, "param": None, "code": ERROR_CODES.get(status)}}


def _head(asked: Asked, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{asked.fingerprint}", "object": kind, "created": CREATED, "model": asked.model}


def _chunk(asked: Asked, delta: Mapping[str, Any], *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    chunk = _head(asked, "chat.completion.chunk") | {"choices": [choice]}
    return _data(json.dumps(chunk | ({"usage": None} if asked.tell_usage else {})))


def _call(call: Call) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": _function(call, call.arguments)}


def _function(call: Call, arguments: str) -> dict[str, str]:
    return {"name": call.name, "arguments": arguments}


def _usage(bill: Bill) -> dict[str, Any]:
    """``prompt_tokens`` includes what came from the cache; this protocol has no word for writing to it."""
    prompt = bill.input + bill.cache_read + bill.cache_write
    return {
        "prompt_tokens": prompt, "completion_tokens": bill.output, "total_tokens": prompt + bill.output,
        "prompt_tokens_details": {"cached_tokens": bill.cache_read},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip


def _finish(answer: Answer) -> str:
    if answer.cut_at_limit:
        return "length"
    return "tool_calls" if answer.calls else "stop"


def _data(text: str) -> bytes:
    return f"data: {text}\n\n".encode()
