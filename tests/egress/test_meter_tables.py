"""Both protocols by table: what a request can take, what is refused by name, what an answer took."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.egress.chunks import Broken, Chunks
from boatwright.egress.meter import anthropic, by_path, openai
from boatwright.egress.meter import protocol as base
from boatwright.egress.meter.protocol import Ask
from boatwright.egress.meter.sse import Splitter, data_of, events
from boatwright.rules.bound import DEFAULT_ANSWER, ROUTE_TOKENS, Refusal
from boatwright.rules.pricing import CacheWrites
from boatwright.values.usage import Usage

ASK = Ask("scripted")
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 90_000}}


def messages(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}], **changes}


def content(*blocks: Any, **changes: Any) -> dict[str, Any]:
    return messages(messages=[{"role": "user", "content": list(blocks)}], **changes)


def test_the_bound_is_bytes_and_a_constant() -> None:
    body = messages(system="é" * 1_000)
    found = anthropic.bound_of(body, ASK)
    assert (
        found.sent_tokens
        == len(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()) + ROUTE_TOKENS
    )
    assert (found.most, found.least, found.answers, found.writes) == (100, 100, 1, CacheWrites.NONE)


def test_an_image_counts_as_its_maximum_not_its_bytes() -> None:
    found = anthropic.bound_of(content(IMAGE, IMAGE), ASK)
    assert 10_000 < found.sent_tokens < 15_500


def test_a_tool_result_may_hold_an_image() -> None:
    found = anthropic.bound_of(content({"type": "tool_result", "tool_use_id": "t", "content": [IMAGE]}), ASK)
    assert found.sent_tokens < 10_000


@pytest.mark.parametrize(
    ("mark", "writes"),
    [
        ({"type": "ephemeral"}, CacheWrites.SHORT),
        ({"type": "ephemeral", "ttl": "5m"}, CacheWrites.SHORT),
        ({"type": "ephemeral", "ttl": "1h"}, CacheWrites.LONG),
        ({"type": "ephemeral", "ttl": "9d"}, CacheWrites.LONG),
    ],
)
def test_cache_writes_are_seen_wherever_they_stand(mark: Any, writes: CacheWrites) -> None:
    assert (
        anthropic.bound_of(content({"type": "text", "text": "a", "cache_control": mark}), ASK).writes
        is writes
    )
    tool = {"name": "t", "input_schema": {}, "cache_control": mark}
    assert anthropic.bound_of(messages(tools=[tool]), ASK).writes is writes
    assert anthropic.bound_of(messages(cache_control=mark), ASK).writes is writes


ANTHROPIC_REFUSED = {
    "mcp_servers": messages(mcp_servers=[]),
    "container": messages(container="c"),
    "inference_geo": messages(inference_geo="us"),
    "a new field": messages(brand_new=1),
    "speed": messages(speed="fast"),
    "compact_20260112": messages(context_management={"edits": [{"type": "compact_20260112"}]}),
    "service_tier": messages(service_tier="priority"),
    "web_search_20250305": messages(tools=[{"type": "web_search_20250305", "name": "web_search"}]),
    "code_execution_20250825": messages(tools=[{"type": "code_execution_20250825", "name": "x"}]),
    "web_fetch_20250910": messages(tools=[{"type": "web_fetch_20250910", "name": "x"}]),
    "image by url": content({"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}}),
    "image by id": content({"type": "image", "source": {"type": "file", "file_id": "f"}}),
    "document": content({"type": "document", "source": {"type": "base64", "data": "AAAA"}}),
    "document by url": content({"type": "document", "source": {"type": "url", "url": "https://a.example/b"}}),
    "hidden in a tool result": content(
        {"type": "tool_result", "content": [{"type": "image", "source": {"type": "url", "url": "u"}}]}
    ),
    "container_upload": content({"type": "container_upload", "file_id": "f"}),
    "server_tool_use": content({"type": "server_tool_use", "id": "x"}),
    "max_tokens 0": messages(max_tokens=0),
    "max_tokens text": messages(max_tokens="9"),
    "max_tokens true": messages(max_tokens=True),
    "no model": {"messages": []},
    "messages missing": {"model": "m"},
    "thinking": messages(thinking={"type": "enabled", "budget_tokens": -1}),
}


@pytest.mark.parametrize("name", ANTHROPIC_REFUSED)
def test_anthropic_refuses(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        anthropic.bound_of(ANTHROPIC_REFUSED[name], ASK)
    assert str(refused.value)


@pytest.mark.parametrize("name", ["mcp_servers", "container", "speed", "web_search_20250305", "document"])
def test_an_operator_may_allow_by_name(name: str) -> None:
    anthropic.bound_of(ANTHROPIC_REFUSED[name], Ask("anthropic", allow_fields=(name,)))


def test_the_refusal_names_the_field_and_the_setting() -> None:
    with pytest.raises(Refusal) as refused:
        anthropic.bound_of(messages(mcp_servers=[]), ASK)
    assert "mcp_servers" in str(refused.value)
    assert refused.value.next_moves == ("an operator may set wire.allow_fields: [mcp_servers]",)


def test_thinking_fits_inside_the_least_answer() -> None:
    body = messages(max_tokens=32_000, thinking={"type": "enabled", "budget_tokens": 10_000})
    assert anthropic.bound_of(body, ASK).least == 10_001


OPENAI_REFUSED = {
    "prediction": messages(prediction={"type": "content", "content": "x"}),
    "web_search_options": messages(web_search_options={}),
    "audio": messages(audio={"voice": "x"}),
    "modalities": messages(modalities=["text", "audio"]),
    "store": messages(store=True),
    "service_tier": messages(service_tier="priority"),
    "both limits": messages(max_completion_tokens=5),
    "n": messages(n=100),
    "n zero": messages(n=0),
    "tool": messages(tools=[{"type": "web_search"}]),
    "image by url": content({"type": "image_url", "image_url": {"url": "https://a.example/b.png"}}),
    "pdf as image": content({"type": "image_url", "image_url": {"url": "data:application/pdf;base64,AA"}}),
    "file": content({"type": "file", "file": {"file_id": "f"}}),
    "input_audio": content({"type": "input_audio", "input_audio": {}}),
    "stored audio": {"model": "m", "messages": [{"role": "assistant", "audio": {"id": "a"}}]},
    "stream text": messages(stream="yes"),
}


@pytest.mark.parametrize("name", OPENAI_REFUSED)
def test_openai_refuses(name: str) -> None:
    with pytest.raises(Refusal):
        openai.bound_of(OPENAI_REFUSED[name], ASK)


@pytest.mark.parametrize(
    ("provider", "given", "sent"),
    [
        ("openai", {}, {"max_completion_tokens": DEFAULT_ANSWER}),
        ("scripted", {}, {"max_tokens": DEFAULT_ANSWER}),
        ("openai", {"max_tokens": 7}, {"max_tokens": 7}),
        ("google", {}, {"max_tokens": DEFAULT_ANSWER}),
        ("google", {"max_completion_tokens": 7}, {"max_tokens": 7}),
        ("openai", {"max_tokens": None, "max_completion_tokens": 8}, {"max_completion_tokens": 8}),
    ],
)
def test_openai_limits(provider: str, given: dict[str, Any], sent: dict[str, int]) -> None:
    body: dict[str, Any] = {"model": "m", "messages": [], **given}
    assert openai.bound_of(body, Ask(provider)).most == next(iter(sent.values()))
    assert {name: body[name] for name in body if name.startswith("max_")} == sent
    openai.limit(body, 5)
    assert [body[name] for name in sent] == [5]


def test_openai_pins_the_price_tier_where_it_is_openai() -> None:
    body: dict[str, Any] = {"model": "m", "messages": [], "service_tier": "auto"}
    openai.bound_of(body, Ask("openai"))
    assert body["service_tier"] == "default"


def test_paths() -> None:
    assert by_path("/v1/messages") is anthropic.PROTOCOL
    assert by_path("/v1/chat/completions") is openai.PROTOCOL
    assert by_path("/v1/embeddings") is None


# --- answers ---


@pytest.mark.parametrize(
    ("usage", "expected", "long"),
    [
        ({"input_tokens": 5, "output_tokens": 2}, Usage(input=5, output=2), 0),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 128_955, "cache_creation_input_tokens": 1_253,
             "output_tokens": 9},
            Usage(input=5, cache_read=128_955, cache_write=1_253, output=9), 0,
        ),
        (
            {"input_tokens": 1, "cache_creation_input_tokens": 30, "output_tokens": 1,
             "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20}},
            Usage(input=1, cache_write=30, output=1), 20,
        ),
        (
            {"input_tokens": 1, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}},
            Usage(input=1, output=1, requests=3), 0,
        ),
    ],
)  # fmt: skip
def test_anthropic_reads(usage: Any, expected: Usage, long: int) -> None:
    reading = anthropic.read({"usage": usage})
    assert reading is not None and (reading.usage, reading.cache_write_long) == (expected, long)


@pytest.mark.parametrize(
    "answer",
    [None, [], {}, {"usage": None}, {"usage": {}}, {"usage": {"output_tokens": 5}}, {"usage": {"input_tokens": "5"}},
     {"usage": {"input_tokens": -5}}, {"usage": {"input_tokens": True}}],
)  # fmt: skip
def test_what_is_no_complete_usage(answer: Any) -> None:
    assert anthropic.read(answer) is None


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4}, Usage(input=10, output=4)),
        (
            {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8},
             "completion_tokens_details": {"reasoning_tokens": 3}},
            Usage(input=2, cache_read=8, output=4, reasoning=3),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 20}, Usage(input=10, output=10)),
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(input=10, output=4)),
        ({"prompt_tokens": 0, "completion_tokens": 4}, None),
        ("none", None),
    ],
)  # fmt: skip
def test_openai_reads(usage: Any, expected: Usage | None) -> None:
    reading = openai.read({"usage": usage})
    assert (reading.usage if reading else None) == expected


def anthropic_stream(*events: Any) -> anthropic.Stream:
    stream = anthropic.Stream()
    for event in events:
        stream.event(json.dumps(event).encode())
    return stream


START = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}


def delta(stop: str | None, **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": usage}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ((START,), None),
        ((START, delta(None, output_tokens=3)), None),
        ((START, delta("end_turn", output_tokens=3)), Usage(input=9, output=3)),
        (
            (START, delta(None, output_tokens=30), delta("end_turn", output_tokens=50)),
            Usage(input=9, output=50),
        ),
        ((START, delta("end_turn", input_tokens=9, output_tokens=3)), Usage(input=9, output=3)),
        ((delta("end_turn", input_tokens=4, output_tokens=3),), Usage(input=4, output=3)),
        ((START, delta("end_turn", cache_read_input_tokens=7)), Usage(input=9, cache_read=7, output=1)),
        ((START, {"type": "error", "error": {}}), None),
    ],
)
def test_anthropic_streams(events: tuple[Any, ...], expected: Usage | None) -> None:
    reading = anthropic_stream(*events).reading()
    assert (reading.usage if reading else None) == expected


def test_geminis_running_totals_hold_once_the_stream_ended_as_it_should() -> None:
    """Its provider tells them with every chunk, and has no chunk without choices."""
    stream = openai.Stream(asked=False)
    for reason, output in ((None, 1), ("stop", 7)):
        usage = {"prompt_tokens": 5, "completion_tokens": output, "total_tokens": 15 + output}
        chunk = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}
        assert stream.event(json.dumps(chunk).encode()) and stream.reading() is None
    assert stream.event(b"[DONE]")
    reading = stream.reading()
    assert reading is not None and reading.usage == Usage(
        input=5, output=17
    )  # what it thought is in the total


def test_openai_running_totals_replace_each_other_and_count_only_with_the_last_chunk() -> None:
    stream = openai.Stream(asked=False)
    for total in (1, 2, 3):
        usage = {"prompt_tokens": 5, "completion_tokens": total}
        assert stream.event(json.dumps({"choices": [{}], "usage": usage}).encode())
    assert stream.reading() is None
    assert not stream.event(json.dumps({"choices": None, "usage": usage}).encode())
    reading = stream.reading()
    assert reading is not None and reading.usage == Usage(input=5, output=3)


# --- events ---


@given(
    st.lists(st.sampled_from([b"data: a\n\n", b"data: b\r\n\r\n", b": c\n\n", b"event: x\ndata: y\n\n"])),
    st.data(),
)
def test_events_come_out_as_they_went_in_however_they_are_cut(given: list[bytes], data: Any) -> None:
    whole = b"".join(given)
    splitter = Splitter()
    out: list[bytes] = []
    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        out += events(splitter.feed(rest[:size]))
        rest = rest[size:]
    assert b"".join(out) + splitter.rest == whole
    assert [data_of(event) for event in out] == [data_of(event) for event in given]


@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_chunks_come_out_as_they_went_in_however_they_are_cut(parts: list[bytes], data: Any) -> None:
    whole = b"".join(b"%X;ext=1\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\nx: y\r\n\r\n"
    chunks = Chunks()
    out = b""
    rest = whole
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        out += chunks.feed(rest[:size])
        rest = rest[size:]
    assert out == b"".join(parts) and chunks.clean


@pytest.mark.parametrize(
    "raw",
    [b"x\r\n", b"-1\r\n", b"0x5\r\n", b" 5\r\n", b"5\r\nabcdefg\r\n", b"\r\n", b"123456789\r\n", b"1" * 2_000,
     b"0\r\n" + b"a: b\r\n" * 100],
)  # fmt: skip
def test_what_is_not_chunked(raw: bytes) -> None:
    with pytest.raises(Broken):
        Chunks().feed(raw)


def test_bytes_after_the_end_are_not_clean() -> None:
    chunks = Chunks()
    assert chunks.feed(b"1\r\na\r\n0\r\n\r\nHTTP/1.1 200") == b"a"
    assert chunks.done and not chunks.clean


def test_data_lines_join() -> None:
    assert data_of(b"event: e\ndata: a\ndata:b\nid: 3\n\n") == b"a\nb"


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"a":Infinity}', b"\xff", b"[" * 100_000]
)
def test_bodies_that_are_refused(raw: bytes) -> None:
    with pytest.raises(Refusal):
        base.parse(raw)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(Refusal):
        base.encode(base.parse(b'{"a":"\\ud800"}'))
