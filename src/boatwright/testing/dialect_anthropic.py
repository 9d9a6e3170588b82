"""The Anthropic Messages protocol: read a request, write an answer, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boatwright.testing.conversation import GARBAGE, Asked, BadRequestError, Offer, Said
from boatwright.testing.replying import Answer, Bill, Call

NAME = "anthropic"
PATHS = ("/v1/messages",)
PIECE = 24
"""Characters of text or JSON in one streamed delta."""

ERROR_TYPES = {
    400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 500: "api_error", 529: "overloaded_error",
}  # fmt: skip


def parse(body: Mapping[str, Any], *, size: int, fingerprint: str) -> Asked:
    """The request in neutral form. Raises BadRequestError for what the real provider would refuse."""
    limit = body.get("max_tokens")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise BadRequestError("max_tokens: a positive whole number is required")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages: a list that is not empty is required")
    return Asked(
        model=str(body.get("model", "")),
        messages=tuple(_said(message) for message in messages),
        offers=tuple(_offers(body.get("tools") or ())),
        stream=body.get("stream") is True,
        max_output=limit,
        tell_usage=True,
        size=size,
        fingerprint=fingerprint,
        instructions=_system(body.get("system")),
        answer_schema=_schema(body),
    )


def _system(system: Any) -> str:
    blocks = system if isinstance(system, list) else [{"text": system or ""}]
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What structured output is asked for, in either of the two fields that can say so."""
    config = body.get("output_config")
    form = config.get("format") if isinstance(config, dict) else body.get("output_format")
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None


def _offers(tools: Sequence[Any]) -> Iterator[Offer]:
    for tool in tools:
        if isinstance(tool, dict) and "name" in tool:
            schema = tool.get("input_schema")
            yield Offer(str(tool["name"]), schema if isinstance(schema, dict) else {})


def _said(message: Any) -> Said:
    if not isinstance(message, dict) or message.get("role") not in {"user", "assistant", "system"}:
        raise BadRequestError("messages: each has a role, user or assistant, and content")
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise BadRequestError("messages: content is text or a list of blocks")
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    text = "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
    return Said(
        role=str(message["role"]),
        text=text,
        calls=tuple(str(call.get("id")) for call in calls),
        answers=tuple(str(b.get("tool_use_id")) for b in blocks if b.get("type") == "tool_result"),
        garbage=GARBAGE in text or any(GARBAGE in json.dumps(call.get("input")) for call in calls),
    )


def whole(asked: Asked, answer: Answer, *, usage: bool) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": _object(c)} for c in answer.calls]
    message = _message(asked) | {"content": content, "stop_reason": _stop_reason(answer)}
    return message | {"usage": _usage(answer.bill) if usage else {}}


def events(asked: Asked, answer: Answer, *, usage: bool) -> Iterator[bytes]:
    """The answer to a request that streams, one server-sent event at a time."""
    start = _message(asked) | {"usage": _usage(answer.bill) | {"output_tokens": 1} if usage else {}}
    yield _event({"type": "message_start", "message": start})
    yield _event({"type": "ping"})
    index = 0
    if answer.text:
        yield from _text_block(index, answer.text)
        index += 1
    for call in answer.calls:
        yield from _tool_block(index, call)
        index += 1
    end: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": _stop_reason(answer), "stop_sequence": None},
    }
    yield _event(end | {"usage": {"output_tokens": answer.bill.output} if usage else {}})
    yield _event({"type": "message_stop"})


def error(status: int, sentence: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": ERROR_TYPES.get(status, "api_error"), "message": sentence}}


def _message(asked: Asked) -> dict[str, Any]:
    return {
        "id": f"msg_{asked.fingerprint}", "type": "message", "role": "assistant", "model": asked.model,
        "content": [], "stop_reason": None, "stop_sequence": None,
    }  # fmt: skip


def _text_block(index: int, text: str) -> Iterator[bytes]:
    yield _event(
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
    )
    for piece in pieces(text):
        yield _delta(index, {"type": "text_delta", "text": piece})
    yield _event({"type": "content_block_stop", "index": index})


def _tool_block(index: int, call: Call) -> Iterator[bytes]:
    block = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
    yield _event({"type": "content_block_start", "index": index, "content_block": block})
    for piece in pieces(call.arguments):
        yield _delta(index, {"type": "input_json_delta", "partial_json": piece})
    yield _event({"type": "content_block_stop", "index": index})


def _delta(index: int, delta: dict[str, Any]) -> bytes:
    return _event({"type": "content_block_delta", "index": index, "delta": delta})


def pieces(text: str) -> Iterator[str]:
    for start in range(0, len(text), PIECE):
        yield text[start : start + PIECE]


def _usage(bill: Bill) -> dict[str, int]:
    return {
        "input_tokens": bill.input, "cache_read_input_tokens": bill.cache_read,
        "cache_creation_input_tokens": bill.cache_write, "output_tokens": bill.output,
    }  # fmt: skip


def _stop_reason(answer: Answer) -> str:
    if answer.cut_at_limit:
        return "max_tokens"
    return "tool_use" if answer.calls else "end_turn"


def _object(call: Call) -> Any:
    """Outside a stream the arguments are an object, so broken JSON is handed over as a wrong one."""
    try:
        return json.loads(call.arguments)
    except ValueError:
        return {GARBAGE: call.arguments}


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
