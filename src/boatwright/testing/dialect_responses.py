"""The OpenAI Responses protocol: read a request, write an answer, whole or as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from boatwright.testing import dialect_openai
from boatwright.testing.conversation import GARBAGE, Asked, BadRequestError, Offer, Said, folded
from boatwright.testing.dialect_anthropic import pieces
from boatwright.testing.replying import Answer, Bill, Call
from boatwright.testing.tool_calls import COMMAND_ARGUMENTS, TEXT

NAME = "responses"
PATHS = ("/v1/responses", "/responses")

error = dialect_openai.error
_Item = dict[str, Any]


def parse(body: Mapping[str, Any], *, size: int, fingerprint: str) -> Asked:
    """The request in neutral form. Raises BadRequestError for what the real provider would refuse."""
    given = body.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise BadRequestError("input: text, or a list of items that is not empty, is required")
    said = folded(one for item in items if (one := _said(item)) is not None)
    system = [one.text for one in said if one.role in dialect_openai.SYSTEM]
    limit = body.get("max_output_tokens")
    return Asked(
        model=str(body.get("model", "")),
        messages=said,
        offers=tuple(_offers(body.get("tools") or ())) + tuple(_offered_in(items)),
        stream=body.get("stream") is True,
        max_output=limit if isinstance(limit, int) and not isinstance(limit, bool) else None,
        tell_usage=True,
        size=size,
        fingerprint=fingerprint,
        instructions="\n".join([str(body.get("instructions") or ""), *system]).strip(),
        answer_schema=_schema(body.get("text")),
    )


def _schema(text: Any) -> Mapping[str, Any] | None:
    form = text.get("format") if isinstance(text, dict) else None
    schema = form.get("schema") if isinstance(form, dict) else None
    return schema if isinstance(schema, dict) else None


def _offered_in(items: Sequence[_Item]) -> Iterator[Offer]:
    """Tools that stand in the input: Codex sends no ``tools`` with its newest models."""
    for item in items:
        if item.get("type") == "additional_tools":
            yield from _offers(item.get("tools") or ())


def _offers(tools: Sequence[Any], namespace: str = "") -> Iterator[Offer]:
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        kind = str(tool.get("type", "function"))
        if kind == "namespace":
            yield from _offers(tool.get("tools") or (), str(tool.get("name", "")))
        elif kind == "local_shell" or "name" in tool:
            schema = tool.get("parameters")
            yield Offer(
                str(tool.get("name", kind)),
                schema if isinstance(schema, dict) else {},
                kind,
                str(tool.get("description", "")),
                namespace,
            )


def _said(item: _Item) -> Said | None:
    """One input item as a message; None for one that takes no turn."""
    kind = str(item.get("type", "message"))
    garbage = GARBAGE in json.dumps(item)
    if kind == "message":
        if not isinstance(item.get("role"), str):
            raise BadRequestError("input: each message has a role and content")
        return Said(item["role"], _text(item.get("content")), garbage=garbage)
    if kind.endswith("_call_output") or kind == "tool_search_output":
        return Said(
            "user", answers=(str(item.get("call_id")),)
        )  # what a tool printed is not what a person asked
    if kind.endswith("_call"):
        return Said("assistant", calls=(str(item.get("call_id")),), garbage=garbage)
    return None


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = [part for part in content or () if isinstance(part, dict)]
    return "\n".join(str(part.get("text", "")) for part in parts)


def whole(asked: Asked, answer: Answer, *, usage: bool) -> dict[str, Any]:
    """The answer to a request that does not stream."""
    return _response(asked, answer, usage=usage)


def events(asked: Asked, answer: Answer, *, usage: bool) -> Iterator[bytes]:
    """The answer to a request that streams; usage stands in the last event."""
    numbers = count()
    last = "response.incomplete" if answer.cut_at_limit else "response.completed"
    begun = _head(asked) | {"status": "in_progress", "output": [], "usage": None}
    for event in (
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *_items_streamed(asked, answer),
        {"type": last, "response": _response(asked, answer, usage=usage)},
    ):
        data = json.dumps(event | {"sequence_number": next(numbers)})
        yield f"event: {event['type']}\ndata: {data}\n\n".encode()


def _items_streamed(asked: Asked, answer: Answer) -> Iterator[_Item]:
    for index, item in enumerate(_output(asked, answer)):
        at = {"output_index": index, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": index, "item": _empty(item)}
        if item["type"] == "message":
            yield from _words_streamed(item, at)
        elif "arguments" in item:
            yield from _streamed("function_call_arguments", "arguments", item, at)
        elif "input" in item:
            yield from _streamed("custom_tool_call_input", "input", item, at)
        yield {"type": "response.output_item.done", "output_index": index, "item": item}


def _words_streamed(item: _Item, at: _Item) -> Iterator[_Item]:
    part = item["content"][0]
    place = at | {"content_index": 0}
    yield {"type": "response.content_part.added"} | place | {"part": part | {"text": ""}}
    for piece in pieces(part["text"]):
        yield {"type": "response.output_text.delta"} | place | {"delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done"} | place | {"text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done"} | place | {"part": part}


def _streamed(what: str, name: str, item: _Item, at: _Item) -> Iterator[_Item]:
    for piece in pieces(item[name]):
        yield {"type": f"response.{what}.delta"} | at | {"delta": piece}
    done = {"type": f"response.{what}.done"} | at | {name: item[name]}
    yield done | ({"name": item["name"]} if name == "arguments" else {})


def _empty(item: _Item) -> _Item:
    """An item before anything is in it."""
    started = item | {"status": "in_progress"}
    for name, nothing in (("content", []), ("arguments", ""), ("input", "")):
        if name in item:
            started |= {name: nothing}
    return started


def _head(asked: Asked) -> _Item:
    return {
        "id": f"resp_{asked.fingerprint}", "object": "response", "created_at": dialect_openai.CREATED,
        "model": asked.model, "error": None, "incomplete_details": None, "instructions": None, "metadata": {},
        "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
        "store": False,
    }  # fmt: skip


def _response(asked: Asked, answer: Answer, *, usage: bool) -> dict[str, Any]:
    response = _head(asked) | {"status": "completed", "output": _output(asked, answer)}
    if answer.cut_at_limit:
        response |= {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    return response | {"usage": _usage(answer.bill) if usage else None}


def _output(asked: Asked, answer: Answer) -> list[_Item]:
    offers = {offer.name: offer for offer in asked.offers}
    said = [_message(asked, answer.text)] if answer.text or not answer.calls else []
    return said + [_call(call, offers.get(call.name, Offer(call.name))) for call in answer.calls]


def _message(asked: Asked, text: str) -> _Item:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {
        "type": "message", "id": f"msg_{asked.fingerprint}", "role": "assistant", "status": "completed",
        "content": content,
    }  # fmt: skip


def _call(call: Call, offer: Offer) -> _Item:
    base = {"call_id": call.id, "status": "completed"}
    if offer.kind == "custom":
        text = _argument(call, TEXT)
        return {"type": "custom_tool_call", "id": f"ctc_{call.id}", "name": call.name, "input": text} | base
    if offer.kind == "local_shell":
        command = next((_argument(call, name) for name in COMMAND_ARGUMENTS), call.arguments)
        action = {"type": "exec", "command": ["bash", "-lc", command], "env": {}}
        return {"type": "local_shell_call", "id": f"lsh_{call.id}", "action": action} | base
    where = {"namespace": offer.namespace} if offer.namespace else {}
    return {
        "type": "function_call", "id": f"fc_{call.id}", "name": call.name, "arguments": call.arguments,
    } | where | base  # fmt: skip


def _argument(call: Call, name: str) -> str:
    """One argument as text; all there is where the arguments are not JSON."""
    try:
        return str(json.loads(call.arguments)[name])
    except (ValueError, KeyError, TypeError):
        return call.arguments


def _usage(bill: Bill) -> dict[str, Any]:
    """``input_tokens`` includes what came from the cache and what was written to it."""
    sent = bill.input + bill.cache_read + bill.cache_write
    return {
        "input_tokens": sent, "output_tokens": bill.output, "total_tokens": sent + bill.output,
        "input_tokens_details": {"cached_tokens": bill.cache_read, "cache_write_tokens": bill.cache_write},
        "output_tokens_details": {"reasoning_tokens": 0},
    }  # fmt: skip
