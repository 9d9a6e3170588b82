"""The Gemini protocol: read a request, write an answer, whole or as server-sent events.

The model, and whether to stream, stand in the path.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boatwright.testing.conversation import GARBAGE, Asked, BadRequestError, Offer, Said, folded
from boatwright.testing.dialect_anthropic import pieces
from boatwright.testing.replying import Answer, Bill, Call

NAME = "gemini"
PATHS = ("/v1beta/models/MODEL:generateContent", "/v1beta/models/MODEL:streamGenerateContent?alt=sse")
_PATH = re.compile(r"/v1(?:beta)?/models/([\w.-]+):(\w+)\Z")
_STATUS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL", 529: "UNAVAILABLE",
}  # fmt: skip


def stated(path: str) -> dict[str, Any] | None:
    """What a path says that other protocols say in the body; None for a path of another kind."""
    found = _PATH.match(path)
    if found is None or found[2] not in ("generateContent", "streamGenerateContent"):
        return None
    return {"model": found[1], "stream": found[2] == "streamGenerateContent"}


def counts(path: str) -> bool:
    found = _PATH.match(path)
    return found is not None and found[2] == "countTokens"


def parse(body: Mapping[str, Any], *, size: int, fingerprint: str) -> Asked:
    """The request in neutral form. Raises BadRequestError for what the real provider would refuse."""
    contents = body.get("contents")
    if not isinstance(contents, list) or not contents:
        raise BadRequestError("contents: a list that is not empty is required")
    config = _mapping(body.get("generationConfig"))
    limit = config.get("maxOutputTokens")
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    return Asked(
        model=str(body.get("model", "")),
        messages=folded(_said(content) for content in contents),
        offers=tuple(_offers(body.get("tools") or ())),
        stream=body.get("stream") is True,
        max_output=limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        tell_usage=True,
        size=size,
        fingerprint=fingerprint,
        instructions=_text(_parts(_mapping(body.get("systemInstruction")))),
        answer_schema=schema if isinstance(schema, dict) else None,
    )


def _offers(tools: Sequence[Any]) -> Iterator[Offer]:
    for tool in tools:
        for one in _mapping(tool).get("functionDeclarations") or ():
            schema = one.get("parametersJsonSchema") or one.get("parameters")
            yield Offer(str(one.get("name")), schema if isinstance(schema, dict) else {})


def _said(content: Any) -> Said:
    parts = _parts(content) if isinstance(content, dict) else []
    if not parts:
        raise BadRequestError("contents: each has a role, user or model, and parts")
    calls = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
    answers = [part["functionResponse"] for part in parts if isinstance(part.get("functionResponse"), dict)]
    return Said(
        role="assistant" if content.get("role") == "model" else "user",
        text=_text(parts),
        calls=_names(calls),
        answers=_names(answers),
        garbage=GARBAGE in json.dumps([part for part in parts if "functionResponse" not in part]),
    )


def _names(calls: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Calls by their id; where they have none, by name and number, as their order tells."""
    seen: Counter[str] = Counter()
    named = []
    for call in calls:
        name = str(call.get("name"))
        seen[name] += 1
        named.append(str(call.get("id") or f"{name}/{seen[name]}"))
    return tuple(named)


def _parts(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = content.get("parts")
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _text(parts: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(str(part["text"]) for part in parts if "text" in part and not part.get("thought"))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def whole(asked: Asked, answer: Answer, *, usage: bool) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    words = [{"text": answer.text}] if answer.text else []
    return _chunk(asked, words + [_part(call) for call in answer.calls], answer, usage=usage, last=True)


def events(asked: Asked, answer: Answer, *, usage: bool) -> Iterator[bytes]:
    """The answer to a request that streams: counts with every chunk, the last ones hold."""
    for piece in pieces(answer.text):
        yield _event(_chunk(asked, [{"text": piece}], answer, usage=usage, last=False))
    parts: list[dict[str, Any]] = [_part(call) for call in answer.calls]
    yield _event(_chunk(asked, parts or [{"text": ""}], answer, usage=usage, last=True))


def error(status: int, sentence: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": sentence, "status": _STATUS.get(status, "UNKNOWN")}}


def _chunk(
    asked: Asked, parts: Sequence[Mapping[str, Any]], answer: Answer, *, usage: bool, last: bool
) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if last:
        candidate["finishReason"] = "MAX_TOKENS" if answer.cut_at_limit else "STOP"
    chunk = {"candidates": [candidate], "modelVersion": asked.model, "responseId": asked.fingerprint}
    return chunk | ({"usageMetadata": _usage(answer.bill, last=last)} if usage else {})


def _part(call: Call) -> dict[str, Any]:
    """A call's arguments are an object here, so broken JSON is handed over as a wrong one."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = {GARBAGE: call.arguments}
    return {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}


def _usage(bill: Bill, *, last: bool) -> dict[str, int]:
    """``promptTokenCount`` includes what came from the cache; this protocol has no word for writing to it."""
    prompt = bill.input + bill.cache_read + bill.cache_write
    output = bill.output if last else 1
    return {
        "promptTokenCount": prompt, "cachedContentTokenCount": bill.cache_read,
        "candidatesTokenCount": output, "totalTokenCount": prompt + output,
    }  # fmt: skip


def _event(data: Mapping[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\r\n\r\n".encode()
