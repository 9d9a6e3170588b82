"""Twenty-three ways in which meters of others lost, doubled or forgot a bill, each against the real proxy.

A case is a provider on a real socket that does what went wrong there, and what must be true of ours afterwards.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.egress import proxy as proxy_module
from boatwright.egress.booking import Outcome, Payer, Reservation, Reserve, Settle
from boatwright.egress.budget import Budgets
from boatwright.egress.cuts import Cuts
from boatwright.egress.spec import Upstream
from boatwright.rules.budget import Need
from boatwright.values.usage import Cap, Usage

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
GEMINI = "/v1beta/models/m:generateContent"
ONE_CALL = Cap(tokens=7_000)
"""Room for one call of ``ask()`` at a time."""
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}], **changes}


def answers(bench: Any, body: Any, status: int = 200, **headers: str) -> None:
    """Every call is answered with this, in one piece."""

    async def on_call(_: Any, say: Any) -> None:
        await say.whole(body, status, **headers)

    bench.provider.on_call = on_call


def streams(bench: Any, events: Sequence[bytes], *, end: bool = True, **headers: str) -> None:
    """Every call is answered with these events; not ``end``: then the connection is torn."""

    async def on_call(_: Any, say: Any) -> None:
        await say.stream(events, end=end, **headers)
        if not end:
            say.hang_up()

    bench.provider.on_call = on_call


async def asked(bench: Any, count: int = 1) -> None:
    """Wait until the provider has been asked so often."""
    async with asyncio.timeout(60):
        while len(bench.provider.asked) < count:
            await asyncio.sleep(0.005)


async def metered(bench: Any) -> Any:
    """The one usage row, and that nothing is held beside it."""
    (row,) = await bench.settled()
    assert await asyncio.to_thread(bench.budgets.open_reservations) == 0
    return row


def in_full(row: Any) -> bool:
    return (row.source, row.usd, row.usage.tokens) == ("estimate", row.reserved_usd, row.reserved_tokens)


async def gemini(bench: Any) -> None:
    socket = str(bench.provider.path)
    await bench.open(upstreams=(Upstream("gemini", socket=socket, secret="env:KEY"),))


def contents() -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}


async def test_case_01_callers_at_once_see_what_the_others_hold(bench: Any, helpers: Any) -> None:
    """All look at the budget before any of them is booked, and all pass."""
    answer = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        await answer.wait()
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    bench.budgets.set_cap("execution", "ex-1", ONE_CALL)
    await bench.open()
    calls = [asyncio.create_task(bench.call(MESSAGES, ask())) for _ in range(16)]
    async with asyncio.timeout(60):
        while sum(call.done() for call in calls) < 15:
            await asyncio.sleep(0.005)
    used, held = await asyncio.to_thread(bench.budgets.used, "execution", "ex-1")
    assert used.tokens + held.tokens <= 7_000
    answer.set()
    heard = await asyncio.gather(*calls)
    assert sorted(each.status for each in heard) == [200, *[402] * 15]
    assert len(bench.provider.asked) == 1


async def test_case_02_who_was_never_heard_of_has_a_budget_too(bench: Any, helpers: Any) -> None:
    """The first calls of somebody unknown pass while the record with the default budget is still made."""
    answer = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        await answer.wait()
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    await bench.open(execution="ex-new")
    calls = [asyncio.create_task(bench.call(MESSAGES, ask(max_tokens=100_000))) for _ in range(8)]
    async with asyncio.timeout(60):
        while sum(call.done() for call in calls) + len(bench.provider.asked) < 8:
            await asyncio.sleep(0.005)
    _, held = await asyncio.to_thread(bench.budgets.used, "execution", "ex-new")
    assert 0 < held.usd <= 5 * 10**9
    answer.set()
    statuses = [each.status for each in await asyncio.gather(*calls)]
    assert 402 in statuses and 200 in statuses


async def test_case_03_a_client_that_leaves_does_not_take_the_bill_along(bench: Any, helpers: Any) -> None:
    """The client hangs up before the answer, and nothing is booked."""
    left = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        await left.wait()
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    await client.send(MESSAGES, ask())
    await asked(bench)
    client.close()
    left.set()
    row = await metered(bench)
    assert (row.source, row.usage) == ("provider", Usage(input=11, output=7))


async def test_case_04_what_comes_after_the_client_left_is_read_to_its_end(bench: Any, helpers: Any) -> None:
    """Only what had been relayed is billed of a stream whose client hung up."""
    left = asyncio.Event()
    events = helpers.anthropic_events(usage={"input_tokens": 11, "output_tokens": 1_900})

    async def on_call(_: Any, say: Any) -> None:
        await say.stream(events[:2], end=False)
        await left.wait()
        for _ in range(200):
            await say.chunk(events[1])
        await say.chunk(events[2] + events[3])
        say.writer.write(b"0\r\n\r\n")

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    await client.send(MESSAGES, ask(stream=True))
    await client.reader.readuntil(b"hello")
    client.close()
    left.set()
    assert (await metered(bench)).usage == Usage(input=11, output=1_900)


async def test_case_05_a_call_that_is_broken_off_holds_nothing(bench: Any, helpers: Any) -> None:
    """A cancelled call keeps its hold, and later ones are refused for want of room."""

    async def never(_: Any, say: Any) -> None:
        await asyncio.Event().wait()

    bench.provider.on_call = never
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=14_000))
    await bench.open()
    client = await bench.client()
    await client.send(MESSAGES, ask())
    await asked(bench)
    await bench.order({"do": "cut", "id": "w1"})
    assert in_full(await metered(bench))
    await asyncio.to_thread(Cuts(bench.budgets.database).lift, "ex-1")
    answers(bench, {"usage": helpers.ANTHROPIC_USAGE})
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_case_06_a_provider_that_fails_before_its_first_byte_leaves_no_hold(
    bench: Any, helpers: Any
) -> None:
    """Connections fail, holds stay, and the budget is used up by calls that were never made."""
    bench.budgets.set_cap("execution", "ex-1", ONE_CALL)
    await bench.open()
    await bench.provider.stop()
    for _ in range(5):
        assert (await bench.call(MESSAGES, ask())).code == "upstream"
    rows = await bench.settled(count=5)
    assert {(row.source, row.usage.tokens) for row in rows} == {("released", 0)}
    bench.provider.path.unlink(missing_ok=True)
    await bench.provider.start()
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_case_07_whoever_starts_anew_adds_nothing_to_the_account(bench: Any) -> None:
    """Each process that starts seeds the counter by adding what was spent to what was spent."""
    await bench.open()
    await bench.call(MESSAGES, ask())
    before = await asyncio.to_thread(bench.budgets.used, "execution", "ex-1")
    for number in range(4):
        other = Budgets(bench.budgets.database)
        need = Need(10, 10, 10, 1, 0, 0)
        got = await asyncio.to_thread(other.reserve, Reserve(f"n{number}", Payer("ex-1"), need, NOW))
        assert isinstance(got, Reservation)
        await asyncio.to_thread(other.release, f"n{number}")
        assert await asyncio.to_thread(other.used, "execution", "ex-1") == before
    assert before[0].tokens == 18


async def test_case_08_a_settlement_that_fails_is_not_dropped(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away when the real cost is booked, and the estimate, or nothing, stays."""
    monkeypatch.setattr(proxy_module, "REBOOK_SECONDS", 0.02)
    apply, failed = bench.budgets.apply, []

    def sometimes(operations: Any) -> Any:
        if len(failed) < 2 and any(isinstance(one, Settle) for one in operations):
            failed.append(1)
            raise errors.StoreUnavailable("away; nothing was lost")
        return apply(operations)

    monkeypatch.setattr(bench.budgets, "apply", sometimes)
    await bench.open()
    await bench.call(MESSAGES, ask())
    row = await metered(bench)
    assert (row.source, row.usage, len(failed)) == ("provider", Usage(input=11, output=7), 2)


async def test_case_09_no_call_is_metered_by_configuration_alone(bench: Any) -> None:
    """The limiter was built and put in nobody's way; no test noticed, since nothing was refused."""
    await bench.open()
    assert not [each for each in await asyncio.to_thread(bench.budgets.standings) if each.scope != "host"]
    assert (await bench.call(MESSAGES, ask())).status == 200
    assert len(await bench.settled()) == len(bench.provider.asked) == 1
    bench.budgets.set_cap("host", "*", Cap(tokens=1))
    assert (await bench.call(MESSAGES, ask())).status == 402
    assert len(bench.provider.asked) == 1


@pytest.mark.parametrize(
    "path",
    ["/v1/completions", "/v1/embeddings", "/v1/files", "/v1/messages/batches", "/v1/responses/compact", "/",
     "/v1/messages/", "//v1/messages", "/v1/./messages", "/v1/messages?unmetered=1", "/v1/models"],
)  # fmt: skip
async def test_case_10_a_path_that_is_not_metered_leads_nowhere(bench: Any, path: str) -> None:
    """Whatever the proxy does not know it passes through, with the key, for free."""
    await bench.open()
    heard = await bench.call(path, ask())
    assert heard.status in {400, 404, 405} and bench.provider.asked == []


async def test_case_11_the_first_and_the_last_word_of_a_stream_are_not_added(
    bench: Any, helpers: Any
) -> None:
    """message_start and message_delta both name tokens; the sum is twice the bill."""
    usage = {"input_tokens": 100, "cache_read_input_tokens": 40, "output_tokens": 50}
    start = {**usage, "output_tokens": 1}
    streams(bench, [
        helpers.sse({"type": "message_start", "message": {"usage": start}}),
        helpers.sse({"type": "message_delta", "delta": {}, "usage": {**usage, "output_tokens": 20}}),
        helpers.sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        helpers.sse({"type": "message_stop"}),
    ])  # fmt: skip
    await bench.open()
    await bench.call(MESSAGES, ask(stream=True))
    assert (await metered(bench)).usage == Usage(input=100, cache_read=40, output=50)


async def test_case_12_what_only_the_last_word_says_counts(bench: Any, helpers: Any) -> None:
    """Input and cache come in message_delta alone, and are thrown away."""
    usage = {"input_tokens": 60, "cache_creation_input_tokens": 8, "output_tokens": 5}
    streams(bench, [
        helpers.sse({"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 0}}}),
        helpers.sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
        helpers.sse({"type": "message_stop"}),
    ])  # fmt: skip
    await bench.open()
    await bench.call(MESSAGES, ask(stream=True))
    assert (await metered(bench)).usage == Usage(input=60, cache_write=8, output=5)


@pytest.mark.parametrize("end", ["completed", "incomplete", "failed"])
async def test_case_13_every_kind_of_last_event_tells_the_usage(bench: Any, helpers: Any, end: str) -> None:
    """response.incomplete and response.failed carry a bill, and are booked as nothing."""
    told = {"input_tokens": 30, "output_tokens": 12, "input_tokens_details": {"cached_tokens": 10}}
    response = {"status": end, "usage": told}
    streams(bench, [
        helpers.sse({"type": "response.created", "response": {"status": "in_progress"}}, "response.created"),
        helpers.sse({"type": f"response.{end}", "response": response}, f"response.{end}"),
    ])  # fmt: skip
    await bench.open()
    await bench.call(RESPONSES, {"model": "m", "input": "hi", "max_output_tokens": 2_000, "stream": True})
    assert (await metered(bench)).usage == Usage(input=20, cache_read=10, output=12)


async def test_case_14_cached_tokens_inside_the_total_count_once(bench: Any) -> None:
    """One provider's input holds the cached tokens, another's does not; mixed up, they count twice."""
    told = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 80}}
    answers(bench, {"choices": [], "usage": told})
    await bench.open()
    await bench.call(CHAT, ask())
    row = await metered(bench)
    assert (row.usage, row.usage.tokens) == (Usage(input=20, cache_read=80, output=9), 109)


async def test_case_15_cache_that_is_written_is_charged_once(bench: Any) -> None:
    """The sum of cache writes and its parts by lifetime stand side by side; adding both doubles them."""
    parts = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 10}
    told = {"input_tokens": 5, "cache_creation_input_tokens": 40, "cache_creation": parts, "output_tokens": 2}
    answers(bench, {"usage": told})
    await bench.open()
    await bench.call(MESSAGES, ask())
    row = await metered(bench)
    assert row.usage == Usage(input=5, cache_write=40, output=2)
    once = Decimal(5 * 3 + 2 * 15) / 1_000_000
    assert once < row.usd <= once + Decimal(40 * 6) / 1_000_000


async def test_case_15_and_so_is_what_a_gemini_prompt_found_in_the_cache(bench: Any) -> None:
    """The cached tokens are inside promptTokenCount already."""
    told = {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 4}
    answers(bench, {"candidates": [], "usageMetadata": {**told, "totalTokenCount": 104}})
    await gemini(bench)
    await bench.call(GEMINI, contents())
    assert (await metered(bench)).usage == Usage(input=40, cache_read=60, output=4)


async def test_case_16_a_torn_gzip_stream_keeps_what_it_has_told(bench: Any, helpers: Any) -> None:
    """The trailer of a compressed stream is missing, and the usage that was read is thrown away."""
    packed = gzip.compress(b"".join(helpers.anthropic_events()))
    streams(bench, [packed[:-6]], end=False, content_encoding="gzip")
    await bench.open()
    await bench.call(MESSAGES, ask(stream=True))
    row = await metered(bench)
    assert (row.source, row.usage) == ("provider", Usage(input=11, output=7))


async def test_case_17_figures_that_grow_with_each_chunk_are_not_summed(bench: Any, helpers: Any) -> None:
    """Each chunk tells the usage so far; the sum of them is a multiple of the bill."""
    chunks = [
        helpers.sse({
            "choices": [{"index": 0, "delta": {"content": "x"}}],
            "usage": {"prompt_tokens": 13, "completion_tokens": number, "total_tokens": 13 + number},
        })
        for number in range(1, 8)
    ]  # fmt: skip
    streams(bench, [*chunks, *helpers.openai_events(usage={"prompt_tokens": 13, "completion_tokens": 8})])
    await bench.open()
    await bench.call(CHAT, ask(stream=True))
    assert (await metered(bench)).usage == Usage(input=13, output=8)


@pytest.mark.parametrize("options", [{"include_usage": False}, {}, None])
async def test_case_18_a_client_cannot_ask_for_a_stream_without_a_bill(bench: Any, options: Any) -> None:
    """The client says include_usage: false, and two thirds of what it takes go uncounted."""
    await bench.open()
    heard = await bench.call(CHAT, ask(stream=True, stream_options=options))
    assert heard.status == 200 and b'"choices": []' not in heard.body
    assert bench.provider.asked[0].body["stream_options"]["include_usage"] is True
    row = await metered(bench)
    assert (row.source, row.usage) == ("provider", Usage(input=13, output=5))


async def test_case_19_a_server_that_never_tells_is_charged_in_full(bench: Any, helpers: Any) -> None:
    """A server answers streams without usage, even when it is asked for it: that is not nothing."""
    events = helpers.openai_events()
    streams(bench, [*events[:2], events[3]])
    await bench.open()
    assert (await bench.call(CHAT, ask(stream=True))).whole
    row = await metered(bench)
    assert in_full(row) and row.usage.tokens > 0


async def test_case_20_a_long_context_costs_what_long_contexts_cost(bench: Any) -> None:
    """Past some input the whole call has a dearer price, and is booked at the cheaper one."""
    answers(bench, {"usage": {"input_tokens": 250_000, "output_tokens": 100}})
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal(40)))
    long = [{"role": "user", "content": "x" * 260_000}]
    await bench.open(provider="anthropic", models=())
    await bench.call(MESSAGES, ask(model="claude-sonnet-4-5", messages=long))
    row = await metered(bench)
    dearer = Decimal(250_000 * 6) / 1_000_000 + Decimal("0.00225")
    assert (row.source, row.usd) == ("provider", dearer)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:443", "169.254.169.254"])
async def test_case_21_the_key_goes_to_the_wire_s_own_provider_alone(bench: Any, host: str) -> None:
    """A client says another Host, and the proxy sends the key there."""
    await bench.open()
    client = await bench.client()
    raw = b'{"model":"m","max_tokens":2000,"messages":[{"role":"user","content":"hi"}]}'
    head = f"POST /v1/messages HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(raw)}\r\nconnection: close\r\n\r\n"
    await client.raw(head.encode() + raw)
    assert [each.headers["host"] for each in bench.provider.asked] == ["localhost"]
    other = await bench.client()
    head = f"POST http://{host}/v1/messages HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(raw)}\r\nconnection: close\r\n\r\n"
    said = await other.raw(head.encode() + raw)
    assert b" 403 " in said.split(b"\r\n")[0] and b"sk-real" not in said
    assert len(bench.provider.asked) == 1


async def test_case_22_what_tools_put_into_a_gemini_prompt_is_no_answer(bench: Any) -> None:
    """Tokens of tool use are booked as output, at the output's price."""
    told = {
        "promptTokenCount": 50,
        "toolUsePromptTokenCount": 7,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 3,
    }
    answers(bench, {"candidates": [], "usageMetadata": {**told, "totalTokenCount": 64}})
    await gemini(bench)
    await bench.call(GEMINI, contents())
    assert (await metered(bench)).usage == Usage(input=50, tool_input=7, output=7, reasoning=3)


@pytest.mark.parametrize("closed", ["between calls", "after the whole call"])
async def test_case_23_a_kept_connection_that_was_closed_is_replaced_or_paid_for(
    bench: Any, helpers: Any, closed: str
) -> None:
    """A provider closes a connection that was kept: not sent is asked again once, sent is charged."""

    async def on_call(each: Any, say: Any) -> None:
        if closed == "after the whole call" and len(bench.provider.asked) == 2:
            say.hang_up()
            return
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})
        if closed == "between calls" and each.connection == 1:
            say.writer.close()
            say.open = False

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    assert (await client.call(MESSAGES, ask())).status == 200
    second = await client.call(MESSAGES, ask())
    rows = await bench.settled(count=2)
    if closed == "between calls":
        assert second.status == 200 and [row.source for row in rows] == ["provider", "provider"]
    else:
        assert second.code == "upstream" and in_full(rows[1]) and len(bench.provider.asked) == 2


# --- beside them ---


async def test_a_clock_that_jumps_over_midnight_charges_the_day_of_the_reservation(bench: Any) -> None:
    budgets = bench.budgets
    await asyncio.to_thread(budgets.set_cap, "repository", "repo", Cap(tokens=100), daily=True)
    request = Reserve("r", Payer("ex-1", "repo"), Need(10, 10, 10, 1, 0, 0), NOW)
    late = NOW.replace(hour=23, minute=59)
    assert isinstance(await asyncio.to_thread(budgets.reserve, replace(request, at=late)), Reservation)
    for moment in (NOW.replace(day=22), NOW.replace(day=20)):  # forward, and back again
        settle = Settle("r", Outcome("provider", 200, Usage(input=9), 0), moment)
        await asyncio.to_thread(budgets.apply, [settle])
    for day, tokens in (("2026-11-20", 0), ("2026-11-21", 9), ("2026-11-22", 0)):
        used, held = await asyncio.to_thread(budgets.used, "repository", "repo", day=day)
        assert (used.tokens, held.tokens) == (tokens, 0)
