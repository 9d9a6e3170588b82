"""A real model behind the wire: what is metered is what its own server counted, on every protocol, to the token."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import urllib.error
import urllib.request
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from boatwright.egress.client import Upstream
from boatwright.values.usage import Usage

pytestmark = [pytest.mark.model, pytest.mark.timeout(900)]

CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"
PATHS = pytest.mark.parametrize("path", [CHAT, RESPONSES, MESSAGES])
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
SAILORS = "Say hello to the sailors."


def body(path: str, text: str = SAILORS, *, stream: bool = False, most: int = 12) -> dict[str, Any]:
    """The same question in the words of each protocol."""
    given = {"model": "smollm2", "stream": stream, "temperature": 0}
    if path == RESPONSES:
        return {**given, "input": text, "max_output_tokens": most}
    return {**given, "messages": [{"role": "user", "content": text}], "max_tokens": most}


def told(path: str, usage: dict[str, Any]) -> Usage:
    """What an answer says it took, read here by hand."""
    if path == MESSAGES:
        return Usage(
            input=usage["input_tokens"],
            cache_read=usage["cache_read_input_tokens"],
            output=usage["output_tokens"],
        )
    sent, said = ("prompt", "completion") if path == CHAT else ("input", "output")
    cached = usage[f"{sent}_tokens_details"]["cached_tokens"]
    return Usage(input=usage[f"{sent}_tokens"] - cached, cache_read=cached, output=usage[f"{said}_tokens"])


def reported(path: str, heard: Any, stream: bool) -> Usage:
    """What the client was told, in the answer or along the stream."""
    if not stream:
        return told(path, heard.json["usage"])
    events = heard.events()
    if path == CHAT:
        return told(path, events[-1]["usage"])
    if path == RESPONSES:
        return told(path, events[-1]["response"]["usage"])
    starts = next(one["message"]["usage"] for one in events if one["type"] == "message_start")
    ends = next(one["usage"] for one in events if one["type"] == "message_delta")
    return told(path, {**starts, **ends})


def directly(model: Any, path: str, asked: dict[str, Any]) -> Usage:
    """The same call without the wire."""
    headers = {"authorization": f"Bearer {model.key}", "content-type": "application/json"}
    sent = urllib.request.Request(model.url + path, json.dumps(asked).encode(), headers)
    with urllib.request.urlopen(sent, timeout=300) as answer:
        return told(path, json.load(answer)["usage"])


@PATHS
@STREAMED
async def test_metered_is_what_the_server_counted(
    through: Any, helpers: Any, path: str, stream: bool
) -> None:
    asked = body(path, stream=stream)
    if path == CHAT and stream:
        asked["stream_options"] = {"include_usage": True}
    before = through.model.counted()
    heard = await through.call(path, asked)
    counted = helpers.between(before, through.model.counted())
    assert heard.status == 200, heard.text
    (row,) = through.rows()
    assert row.source == "provider" and row.usage == counted == reported(path, heard, stream)
    assert row.usage.output == 12 and row.usage.input + row.usage.cache_read > len(SAILORS.split())
    straight = await asyncio.to_thread(directly, through.model, path, body(path))
    assert straight.tokens == row.usage.tokens
    assert (
        row.usd
        == Decimal(row.usage.input + row.usage.cache_read * Decimal("0.5")) / 10**6
        + Decimal(row.usage.output * 20_000) / 10**6
    )
    assert through.held() == 0


@PATHS
async def test_what_the_cache_gave_is_metered_as_that(through: Any, helpers: Any, path: str) -> None:
    long = f"Remember these words: {' '.join(f'{path[4:8]}{number}' for number in range(12))}."
    before = through.model.counted()
    for stream in (False, True):
        assert (await through.call(path, body(path, long, stream=stream, most=2))).status == 200
    first, second = through.rows()
    assert second.usage.cache_read > 40 > second.usage.input > 0
    assert second.usage.cache_read + second.usage.input == first.usage.cache_read + first.usage.input
    assert second.usd < first.usd
    counted = helpers.between(before, through.model.counted())
    assert helpers.total([first.usage, second.usage]) == counted


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {"include_usage": True}])
async def test_a_stream_is_metered_whether_its_client_asks_or_not(through: Any, options: Any) -> None:
    asked = body(CHAT, stream=True)
    if options is not None:
        asked["stream_options"] = options
    heard = await through.call(CHAT, asked)
    (row,) = through.rows()
    assert row.source == "provider" and row.usage.output == 12
    wants = bool(options and options["include_usage"])
    assert any(one.get("usage") for one in heard.events()) is wants
    assert sum(bool(one["choices"]) for one in heard.events()) >= 12


async def test_tools_and_a_system_prompt_pass_and_are_counted(through: Any, helpers: Any) -> None:
    schema = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]}
    function = {"name": "bash", "description": "run it", "parameters": schema}
    chat = {**body(CHAT, most=8), "tools": [{"type": "function", "function": function}]}
    responses = {
        **body(RESPONSES, most=8),
        "tools": [{"type": "function", **function}],
        "instructions": "Be brief.",
    }
    messages = {
        **body(MESSAGES, most=8),
        "tools": [{"name": "bash", "input_schema": schema}],
        "system": "Be brief.",
    }
    before = through.model.counted()
    for path, asked in ((CHAT, chat), (RESPONSES, responses), (MESSAGES, messages)):
        heard = await through.call(path, asked)
        assert heard.status == 200, heard.text
    rows = through.rows()
    assert [row.source for row in rows] == ["provider"] * 3
    counted = helpers.between(before, through.model.counted())
    assert helpers.total([row.usage for row in rows]) == counted


@PATHS
@STREAMED
async def test_a_refusal_of_the_server_costs_nothing(through: Any, path: str, stream: bool) -> None:
    before = through.model.counted()
    heard = await through.call(path, body(path, "word " * 6_000, stream=stream))
    assert heard.status == 400 and "context size" in heard.text
    (row,) = through.rows()
    assert (row.status, row.source, row.usd, row.usage.tokens) == (400, "provider", 0, 0)
    assert through.model.counted() == before and through.held() == 0


async def test_the_key_is_added_here_and_a_wrong_one_costs_nothing(wire_to: Any, model: Any) -> None:
    wrong = await wire_to(
        model, upstreams=(Upstream("openai", base_url=f"{model.url}/v1", secret="env:WRONG_KEY"),)
    )
    heard = await wrong.call(CHAT, body(CHAT))
    (row,) = wrong.rows()
    assert (heard.status, row.status, row.usd) == (401, 401, 0)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(model.url + CHAT, b"{}"))


async def test_without_a_price_nothing_is_sent_under_a_dollar_cap(wire_to: Any, model: Any) -> None:
    through = await wire_to(model, prices={})
    before = model.counted()
    heard = await through.call(CHAT, body(CHAT))
    assert (heard.status, heard.json["error"]["code"]) == (402, "price")
    assert model.counted() == before and through.rows() == []


async def test_a_server_that_dies_in_mid_stream_is_charged_in_full(
    wire_to: Any, helpers: Any, python: Path
) -> None:
    with helpers.running(python, key=helpers.KEY, slots=1) as model:
        through = await wire_to(model)
        call = asyncio.create_task(through.call(CHAT, body(CHAT, stream=True, most=3_000)))
        async with asyncio.timeout(120):
            while through.held() == 0 or (await asyncio.to_thread(model.counted)).input == 0:
                await asyncio.sleep(0.02)
        os.kill(model.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):  # how the client hears of it is not the point
            await call
        async with asyncio.timeout(60):
            while not (rows := through.rows()):
                await asyncio.sleep(0.02)
    (row,) = rows
    assert (row.source, row.usd, row.usage.tokens) == ("estimate", row.reserved_usd, row.reserved_tokens)
    assert through.held() == 0


# --- the cap ---

STREAMS = 16
MOST = 16
CAP = "8usd"
"""Room for some 24 answers: sixteen at once hold more than half of it."""


@pytest.mark.parametrize("seed", [20261126, 7])
async def test_the_cap_holds_with_sixteen_streams_and_clients_that_leave(
    through: Any, helpers: Any, seed: int
) -> None:
    through.cap(CAP)
    before = through.model.counted()
    chance = random.Random(seed)
    looks: list[tuple[Decimal, Decimal]] = []

    async def one(number: int, own: random.Random) -> int:
        """Calls until it is refused; leaves now and then, before the answer, inside it, or at its end."""
        calls = 0
        while True:
            calls += 1
            path = own.choice([CHAT, RESPONSES, MESSAGES])
            asked = body(path, f"Ship {number}, call {calls}: hello!", stream=True, most=MOST)
            leaves = own.choice([None, 0, own.randrange(1, 400), own.randrange(400, 4_000)])
            if leaves is None:
                status = (await through.call(path, asked)).status
            else:
                status = await through.call_and_leave(path, asked, leaves)
            # 403: another stream was told that the cap is at its end, and with that the wire was cut.
            assert status in (0, 200, 402, 403)
            if status in (402, 403) or (status == 0 and _full(through)):
                return calls

    async def look() -> None:
        while True:
            now = await asyncio.to_thread(through.standing)
            looks.append((now.used_usd + now.held_usd, now.held_usd))
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    try:
        calls = await asyncio.gather(
            *(one(number, random.Random(chance.random())) for number in range(STREAMS))
        )
        async with asyncio.timeout(300):
            while await asyncio.to_thread(through.held):
                await asyncio.sleep(0.02)
        while (last := await through.call(MESSAGES, body(MESSAGES, most=MOST))).status == 200:
            pass  # a stream that was refused while others held the room leaves some
        after = await through.call(MESSAGES, body(MESSAGES, most=MOST))
    finally:
        looking.cancel()
    assert (last.status, last.json["error"]["code"]) in {(402, "budget"), (403, "cut")}
    assert (after.status, after.json["error"]["code"]) == (403, "cut")
    limit = through.standing().cap.usd
    assert len(looks) > STREAMS and all(booked <= limit for booked, _ in looks)
    assert max(held for _, held in looks) > limit / 2  # many were under way at once
    rows, end = through.rows(), through.standing()
    assert end.held_usd == 0 and end.used_usd == sum(row.usd for row in rows) <= limit
    assert sum(calls) > len(rows) > STREAMS
    assert end.used_usd + max(row.reserved_usd for row in rows) > limit  # it is full, not merely shut
    # Whoever left, the stream was read to its end: nothing had to be guessed, and the two counts agree.
    assert {row.source for row in rows} == {"provider"}
    counted = helpers.between(before, await asyncio.to_thread(through.model.counted))
    assert helpers.total([row.usage for row in rows]) == counted


def _full(through: Any) -> bool:
    """Whether the next call would be refused for good: for a client that left before it saw a status."""
    now = through.standing()
    return now.held_usd == 0 and now.used_usd + Decimal(MOST * 20_000) / 10**6 > now.cap.usd
