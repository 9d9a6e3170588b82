"""OpenAI Responses by table: what a request can take, what is refused by name, what an answer took."""

from __future__ import annotations

import json
from typing import Any

import pytest

from boatwright.egress.meter import by_path, responses
from boatwright.egress.meter.protocol import Ask
from boatwright.rules.bound import ROUTE_TOKENS, Refusal
from boatwright.values.usage import Usage

ASK = Ask("scripted")
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 90_000}
FUNCTION = {"type": "function", "name": "f", "parameters": {}}


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_output_tokens": 100, "input": "hi", **changes}


def item(**fields: Any) -> dict[str, Any]:
    return ask(input=[fields])


def part(**fields: Any) -> dict[str, Any]:
    return item(role="user", content=[fields])


def tool(**fields: Any) -> dict[str, Any]:
    return ask(tools=[fields])


def test_it_shares_the_other_openai_upstream() -> None:
    found = by_path("/v1/responses")
    assert found is responses.PROTOCOL and found.side == "openai"


def test_the_bound_is_bytes_and_a_constant() -> None:
    body = ask(instructions="é" * 1_000)
    found = responses.bound_of(body, ASK)
    assert body["store"] is False
    plain = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert found.sent_tokens == len(plain) + ROUTE_TOKENS
    assert (found.most, found.least, found.answers, found.stream) == (100, 100, 1, False)


def test_an_image_counts_as_its_maximum_wherever_it_stands() -> None:
    output = {"type": "function_call_output", "call_id": "c", "output": [IMAGE]}
    found = responses.bound_of(ask(input=[{"role": "user", "content": [IMAGE]}, output]), ASK)
    assert 2 * responses.IMAGE_TOKENS < found.sent_tokens < 2 * responses.IMAGE_TOKENS + 5_000


@pytest.mark.parametrize(("given", "most"), [({}, responses.DEFAULT_ANSWER), ({"max_output_tokens": 7}, 7)])
def test_the_limit_is_filled_in_and_clamped(given: dict[str, int], most: int) -> None:
    body: dict[str, Any] = {"model": "m", "input": "hi", **given}
    assert responses.bound_of(body, ASK).most == body["max_output_tokens"] == most
    responses.limit(body, 5)
    assert body["max_output_tokens"] == 5


def test_the_price_tier_is_pinned_where_it_is_openai() -> None:
    body = ask(service_tier="auto")
    responses.bound_of(body, Ask("openai"))
    assert body["service_tier"] == "default"


TAKEN = {
    "text": ask(input="hi"),
    "function": tool(**FUNCTION),
    "custom": tool(type="custom", name="c", format={"type": "grammar"}),
    "namespace": tool(type="namespace", name="n", tools=[FUNCTION]),
    "local shell": tool(type="shell", environment={"type": "local"}),
    "tool search here": tool(type="tool_search", execution="client"),
    "apply_patch": tool(type="apply_patch"),
    "call": item(type="function_call", call_id="c", name="f", arguments="{}"),
    "custom call": item(type="custom_tool_call", call_id="c", name="f", input="x"),
    "thoughts": item(type="reasoning", id="rs_1", summary=[], encrypted_content="AAAA"),
    "thoughts, plain": item(
        type="reasoning", id="r", content=[{"type": "reasoning_text", "text": "hm"}], summary=[]
    ),
    "own words": item(role="assistant", content=[{"type": "output_text", "text": "x"}]),
    "not stored": ask(store=False),
    "tools looked for here": item(type="tool_search_call", call_id="c", execution="client", arguments={}),
    "tools found here": item(type="tool_search_output", call_id="c", execution="client", tools=[FUNCTION]),
    "tools in the input": item(type="additional_tools", role="developer", tools=[FUNCTION]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:
    assert responses.bound_of(TAKEN[name], ASK).model == "m"


REFUSED = {
    "background": ask(background=True),
    "previous_response_id": ask(previous_response_id="resp_1"),
    "prompt": ask(prompt={"id": "pmpt_1"}),
    "conversation": ask(conversation="conv_1"),
    "store": ask(store=True),
    "context_management": ask(context_management=[{"type": "compaction"}]),
    "prompt_cache_options": ask(prompt_cache_options={"ttl": "12h"}),
    "moderation": ask(moderation={"model": "x"}),
    "service_tier": ask(service_tier="priority"),
    "reasoning.mode": ask(reasoning={"mode": "pro"}),
    "brand_new": ask(brand_new=1),
    "web_search": tool(type="web_search"),
    "web_search_preview": tool(type="web_search_preview"),
    "file_search": tool(type="file_search", vector_store_ids=["v"]),
    "computer_use_preview": tool(type="computer_use_preview"),
    "code_interpreter": tool(type="code_interpreter", container={"type": "auto"}),
    "mcp": tool(type="mcp", server_url="https://a.example"),
    "image_generation": tool(type="image_generation"),
    "shell": tool(type="shell", environment={"type": "container_auto"}),
    "tool_search": tool(type="tool_search"),
    "programmatic_tool_calling": tool(type="programmatic_tool_calling"),
    "tool_search_call": item(type="tool_search_call", call_id="c", arguments={}),
    "tool_search_output": item(type="tool_search_output", call_id="c", execution="server", tools=[]),
    "item_reference": item(type="item_reference", id="msg_1"),
    "compaction": item(type="compaction", encrypted_content="A"),
    "reasoning": item(type="reasoning", id="rs_1", summary=[]),
    "input_file": part(type="input_file", file_id="file_1"),
    "input_audio": part(type="input_audio", input_audio={}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_body_does_not_bound_is_refused_by_name_unless_allowed(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        responses.bound_of(REFUSED[name], ASK)
    assert name in str(refused.value)
    assert refused.value.next_moves == (f"an operator may set wire.allow_fields: [{name}]",)
    responses.bound_of(REFUSED[name], Ask("scripted", allow_fields=(name,)))


NEVER = {
    "image by url": part(type="input_image", image_url="https://a.example/b.png"),
    "image by id": part(type="input_image", file_id="file_1"),
    "image by both": part(**IMAGE, file_id="file_1"),
    "pdf as image": part(type="input_image", image_url="data:application/pdf;base64,AA"),
    "hidden in a result": item(
        type="function_call_output", call_id="c", output=[{"type": "input_image", "image_url": "https://a.b"}]
    ),
    "hidden in a namespace": tool(
        type="namespace", name="n", tools=[{"type": "mcp", "server_url": "https://a.example"}]
    ),
    "hidden in the input": item(type="additional_tools", tools=[{"type": "web_search"}]),
    "hidden in what was found": item(
        type="tool_search_output", execution="client", tools=[{"type": "web_search"}]
    ),
    "no input": {"model": "m"},
    "input item text": ask(input=["hi"]),
    "no model": {"input": "hi"},
    "limit 0": ask(max_output_tokens=0),
    "limit text": ask(max_output_tokens="9"),
    "stream text": ask(stream="yes"),
    "reasoning text": ask(reasoning="high"),
}


@pytest.mark.parametrize("name", NEVER)
def test_refused(name: str) -> None:
    with pytest.raises(Refusal):
        responses.bound_of(NEVER[name], ASK)


# --- answers ---

USAGE = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (USAGE, Usage(input=9, output=3)),
        (
            {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 7, "cache_write_tokens": 2},
             "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 3}},
            Usage(input=1, cache_read=7, cache_write=2, output=4, reasoning=3),
        ),
        ({"input_tokens": 10, "output_tokens": 4, "total_tokens": 20}, Usage(input=10, output=10)),
        ({"input_tokens": 10, "output_tokens": 4, "input_tokens_details": None}, Usage(input=10, output=4)),
        ({"input_tokens": 3, "input_tokens_details": {"cached_tokens": 7}, "output_tokens": 1},
         Usage(cache_read=3, output=1)),
        ({"input_tokens": 0, "output_tokens": 4}, None),
        (None, None),
        ("none", None),
    ],
)  # fmt: skip
def test_reads(usage: Any, expected: Usage | None) -> None:
    reading = responses.read({"usage": usage})
    assert (reading.usage if reading else None) == expected


def ended(kind: str, usage: Any = USAGE) -> dict[str, Any]:
    return {"type": kind, "response": {"usage": usage}}


@pytest.mark.parametrize(
    ("events", "expected", "complete"),
    [
        ((), None, False),
        (({"type": "response.created", "response": {"usage": None}},), None, False),
        (({"type": "response.in_progress", "response": {"usage": USAGE}},), None, False),
        ((ended("response.completed"),), Usage(input=9, output=3), True),
        ((ended("response.incomplete"),), Usage(input=9, output=3), True),
        ((ended("response.failed"),), Usage(input=9, output=3), True),
        ((ended("response.failed", None),), None, True),
        (({"type": "error", "message": "overloaded"},), None, True),
        (("[DONE]",), None, False),
        ((ended("response.completed"), "[DONE]"), Usage(input=9, output=3), True),
        (({"type": "response.output_text.delta", "delta": '"response.completed"'},), None, False),
    ],
)
def test_streams(events: tuple[Any, ...], expected: Usage | None, complete: bool) -> None:
    stream = responses.Stream()
    for event in events:
        assert stream.event(json.dumps(event).encode() if isinstance(event, dict) else event.encode())
    reading = stream.reading()
    assert (reading.usage if reading else None, stream.complete) == (expected, complete)
