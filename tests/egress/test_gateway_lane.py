"""The gateway lane against a real socket at each end: what is sent on, what is metered, what every failure
costs.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.egress import proxy as proxy_module
from boatwright.egress.booking import Settle
from boatwright.egress.cuts import Cuts
from boatwright.egress.spec import to_json
from boatwright.egress.upstream import NotSent, Pool
from boatwright.values.usage import Cap, Usage

MESSAGES = "/v1/messages"
CHAT = "/v1/chat/completions"


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}], **changes}


async def test_a_call_carries_the_key_and_nothing_of_the_clients_secrets(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    heard = await client.call(
        MESSAGES + "?beta=true",
        ask(),
        headers=[
            ("x-api-key", "dummy"),
            ("authorization", "Bearer dummy"),
            ("cookie", "a=b"),
            ("anthropic-version", "2023-06-01"),
            ("accept-encoding", "gzip, br"),
            ("openai-organization", "other"),
        ],
    )
    assert heard.status == 200 and heard.json["usage"]["output_tokens"] == 7
    (asked,) = bench.provider.asked
    assert asked.target == MESSAGES + "?beta=true"
    assert asked.headers["x-api-key"] == "sk-real"
    assert asked.headers["accept-encoding"] == "identity"
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert not {"authorization", "cookie", "openai-organization"} & asked.headers.keys()
    (row,) = bench.budgets.usage("ex-1")
    assert (row.usage, row.source, row.status) == (Usage(input=11, output=7), "provider", 200)
    assert row.usd == Decimal(11 * 3 + 7 * 15) / 1_000_000
    assert row.event().reservation == row.reservation


@pytest.mark.parametrize("key", ["sk-plain", 'sk-"re/al\\'])
@pytest.mark.parametrize("slash", ["/", "\\/"])
async def test_a_key_said_back_is_blotted_out_as_json_writes_it_too(bench: Any, key: str, slash: str) -> None:
    """In the body, where a client would undo the escapes, and in a header that passes."""

    async def answer(_: Any, say: Any) -> None:
        said = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}}).replace("/", slash)
        await say.whole(said.encode(), 401, request_id=f"r-{key}")

    bench.provider.on_call = answer
    order = {"do": "open", "spec": to_json(bench.spec()), "keys": {"anthropic": key, "openai": key}}
    assert "ok" in await bench.order(order)
    heard = await bench.call(MESSAGES, ask())
    assert bench.provider.asked[0].headers["x-api-key"] == key
    assert heard.status == 401 and heard.json["error"]["message"].startswith("Incorrect API key provided: **")
    assert key not in heard.json["error"]["message"] and key not in heard.headers["request-id"]


async def test_openai_gets_a_bearer_key_and_is_asked_for_usage(bench: Any) -> None:
    await bench.open()
    heard = await bench.call(CHAT, ask(stream=True, stream_options={"include_usage": False}))
    (asked,) = bench.provider.asked
    assert asked.headers["authorization"] == "Bearer sk-real"
    assert asked.body["stream_options"]["include_usage"] is True
    assert b'"choices": []' not in heard.body and b"[DONE]" in heard.body
    (row,) = bench.budgets.usage("ex-1")
    assert (row.usage, row.source) == (Usage(input=13, output=5), "provider")


async def test_a_client_that_asked_for_usage_sees_it(bench: Any) -> None:
    await bench.open()
    heard = await bench.call(CHAT, ask(stream=True, stream_options={"include_usage": True}))
    assert b'"choices": []' in heard.body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
async def test_the_end_is_heard_only_after_the_row_is_durable(bench: Any, path: str, stream: bool) -> None:
    await bench.open()
    heard = await bench.call(path, ask(stream=stream))
    assert heard.whole
    (row,) = bench.budgets.usage("ex-1")
    assert row.source == "provider"
    assert bench.budgets.open_reservations() == 0


async def test_one_connection_carries_many_calls_and_so_does_the_one_upstream(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    for _ in range(5):
        assert (await client.call(MESSAGES, ask())).status == 200
    assert bench.provider.connections == 1
    assert len(bench.budgets.usage("ex-1")) == 5


# --- streams that go wrong ---


async def test_usage_only_in_message_delta(bench: Any, helpers: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        usage = {"input_tokens": 40, "cache_read_input_tokens": 9, "output_tokens": 3}
        await say.stream([
            helpers.sse({"type": "message_start", "message": {"usage": {"input_tokens": 0}}}),
            helpers.sse({"type": "message_delta", "delta": {}, "usage": {**usage, "output_tokens": 2}}),
            helpers.sse({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}),
            helpers.sse({"type": "message_stop"}),
        ])  # fmt: skip

    bench.provider.on_call = on_call
    await bench.open()
    await bench.call(MESSAGES, ask(stream=True))
    (row,) = bench.budgets.usage("ex-1")
    assert (row.usage, row.source) == (Usage(input=40, cache_read=9, output=3), "provider")


def charged_in_full(row: Any) -> bool:
    return (row.source, row.usd, row.usage.tokens) == ("estimate", row.reserved_usd, row.reserved_tokens)


@pytest.mark.parametrize("protocol", ["anthropic", "openai"])
@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_a_cut_stream_is_charged_in_full_and_the_client_sees_the_cut(
    bench: Any, helpers: Any, protocol: str, kept: int
) -> None:
    events = helpers.anthropic_events() if protocol == "anthropic" else helpers.openai_events()

    async def on_call(_: Any, say: Any) -> None:
        await say.stream(events[:kept], end=False)
        say.hang_up()

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES if protocol == "anthropic" else CHAT, ask(stream=True))
    assert not heard.whole
    (row,) = await bench.settled()
    assert charged_in_full(row)


async def test_a_stream_cut_after_it_told_everything_costs_what_it_told(bench: Any, helpers: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.stream(helpers.anthropic_events()[:3], end=False)
        say.hang_up()

    bench.provider.on_call = on_call
    await bench.open()
    assert not (await bench.call(MESSAGES, ask(stream=True))).whole
    (row,) = await bench.settled()
    assert (row.source, row.usage) == ("provider", Usage(input=11, output=7))


async def test_an_error_event_after_200_is_charged_in_full(bench: Any, helpers: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
        await say.stream([helpers.anthropic_events()[0], helpers.sse(overloaded, "error")])

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES, ask(stream=True))
    assert heard.whole and b"overloaded_error" in heard.body
    assert charged_in_full((await bench.settled())[0])


@pytest.mark.parametrize("stream", [False, True])
async def test_no_usage_is_charged_in_full(bench: Any, helpers: Any, stream: bool) -> None:
    async def on_call(_: Any, say: Any) -> None:
        if stream:
            await say.stream([*helpers.openai_events()[:2], helpers.openai_events()[3]])
        else:
            await say.whole({"choices": []})

    bench.provider.on_call = on_call
    await bench.open()
    assert (await bench.call(CHAT, ask(stream=stream))).status == 200
    assert charged_in_full((await bench.settled())[0])


async def test_garbage_with_status_200_is_charged_in_full(bench: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole(b"<html>not json", content_type="text/html")

    bench.provider.on_call = on_call
    await bench.open()
    assert (await bench.call(MESSAGES, ask())).body == b"<html>not json"
    assert charged_in_full((await bench.settled())[0])


@pytest.mark.parametrize("stream", [False, True])
async def test_gzip_although_identity_was_asked_is_read_and_passed_on_plain(
    bench: Any, helpers: Any, stream: bool
) -> None:
    async def on_call(_: Any, say: Any) -> None:
        if stream:
            await say.stream([gzip.compress(b"".join(helpers.anthropic_events()))], content_encoding="gzip")
        else:
            packed = gzip.compress(json.dumps({"usage": helpers.ANTHROPIC_USAGE}).encode())
            await say.whole(packed, content_encoding="gzip")

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES, ask(stream=stream))
    assert b"input_tokens" in heard.body and "content-encoding" not in heard.headers
    assert (await bench.settled())[0].source == "provider"


async def test_a_client_that_leaves_in_mid_stream_pays_what_the_provider_says(
    bench: Any, helpers: Any
) -> None:
    left = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        events = helpers.anthropic_events()
        await say.stream(events[:2], end=False)
        await left.wait()
        for _ in range(50):
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
    (row,) = await bench.settled()
    assert (row.source, row.usage) == ("provider", Usage(input=11, output=7))


# --- answers that are errors ---


@pytest.mark.parametrize(
    ("status", "body", "free"),
    [
        (400, {"error": {"message": "bad"}}, True),
        (401, {"error": {"message": "no key"}}, True),
        (404, {"error": {"message": "no model"}}, True),
        (429, {"error": {"message": "slow down"}}, True),
        (500, {"error": {"message": "oops"}}, True),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, True),
        (502, b"<html>bad gateway", False),
        (504, b"", False),
    ],
)
async def test_what_an_error_costs(bench: Any, status: int, body: Any, free: bool) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole(body, status, retry_after="7", set_cookie="a=b")

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES, ask())
    assert (
        heard.status == status and heard.headers["retry-after"] == "7" and "set-cookie" not in heard.headers
    )
    (row,) = await bench.settled()
    assert row.status == status
    if free:
        assert (row.source, row.usd, row.usage.tokens) == ("provider", 0, 0)
    else:
        assert charged_in_full(row)


async def test_an_error_that_tells_usage_costs_it(bench: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole({"error": {}, "usage": {"input_tokens": 5, "output_tokens": 0}}, 400)

    bench.provider.on_call = on_call
    await bench.open()
    await bench.call(MESSAGES, ask())
    assert (await bench.settled())[0].usage == Usage(input=5)


async def test_a_redirect_is_not_followed_and_not_passed_on(bench: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole(b"", 307, location="https://elsewhere.example/")

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES, ask())
    assert heard.status == 502 and "location" not in heard.headers
    assert (await bench.settled())[0].usd == 0


# --- connections that go wrong ---


async def test_a_kept_connection_that_closed_under_us_is_replaced_once(bench: Any, helpers: Any) -> None:
    async def on_call(asked: Any, say: Any) -> None:
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})
        if asked.connection == 1:
            say.writer.close()
            say.open = False

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    assert (await client.call(MESSAGES, ask())).status == 200
    assert (await client.call(MESSAGES, ask())).status == 200
    assert bench.provider.connections == 2
    rows = await bench.settled(count=2)
    assert [row.source for row in rows] == ["provider", "provider"]


class _Torn:
    """A kept connection that ends while the call is written."""

    reused = True

    async def send(self, *_: Any) -> None:
        raise NotSent

    def close(self) -> None: ...


@pytest.mark.parametrize("there", [True, False])
async def test_a_kept_connection_that_ends_while_the_call_is_written_costs_nothing(
    bench: Any, helpers: Any, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    taken = Pool.take
    torn = [_Torn()]

    async def take(self: Pool, where: Any, *, fresh: bool = False) -> Any:
        return torn.pop() if torn and not fresh else await taken(self, where, fresh=fresh)

    monkeypatch.setattr(Pool, "take", take)
    await bench.open()
    if not there:
        await bench.provider.stop()
    assert (await bench.call(MESSAGES, ask())).status == (200 if there else 502)
    (row,) = await bench.settled()
    assert row.source == ("provider" if there else "released")


@pytest.mark.parametrize("there", [True, False])
async def test_a_kept_connection_that_closes_after_the_whole_call_is_charged_and_not_asked_again(
    bench: Any, helpers: Any, there: bool
) -> None:
    async def on_call(asked: Any, say: Any) -> None:
        if len(bench.provider.asked) == 2:
            if not there:
                bench.provider._server.close()
            say.hang_up()
        else:
            await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    assert (await client.call(MESSAGES, ask())).status == 200
    heard = await client.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (502, "upstream")
    assert len(bench.provider.asked) == 2
    rows = await bench.settled(count=2)
    assert rows[0].source == "provider"
    assert charged_in_full(rows[1])
    if there:
        assert (await client.call(MESSAGES, ask())).status == 200


async def test_a_fresh_connection_without_an_answer_is_charged_and_not_asked_again(bench: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        say.hang_up()

    bench.provider.on_call = on_call
    await bench.open()
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (502, "upstream")
    assert len(bench.provider.asked) == 1
    assert charged_in_full((await bench.settled())[0])


async def test_a_provider_that_is_not_there_costs_nothing(bench: Any) -> None:
    await bench.open()
    await bench.provider.stop()
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (502, "upstream")
    (row,) = await bench.settled()
    assert (row.source, row.usd, row.usage.tokens) == ("released", 0, 0)


# --- the budget ---


async def test_an_answer_limit_is_forced_where_there_is_none(bench: Any) -> None:
    await bench.open()
    body = ask()
    del body["max_tokens"]
    await bench.call(MESSAGES, body)
    await bench.call(CHAT, body)
    assert [asked.body["max_tokens"] for asked in bench.provider.asked] == [8_192, 8_192]


async def test_the_answer_is_clamped_into_the_room_left(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=8_000))
    await bench.open()
    await bench.call(MESSAGES, ask(max_tokens=100_000))
    (asked,) = bench.provider.asked
    assert 1_024 <= asked.body["max_tokens"] < 4_000
    (row,) = bench.budgets.usage("ex-1")
    assert row.reserved_tokens <= 8_000


async def test_too_little_room_is_refused_with_the_figures_and_nothing_is_sent(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal("0.01")))
    await bench.open()
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (402, "budget")
    assert heard.headers["x-should-retry"] == "false"
    assert "used 0.00 USD, needed 0.0" in heard.json["error"]["message"]
    assert "cap 0.01" in heard.json["error"]["message"]
    assert bench.provider.asked == [] and bench.budgets.usage("ex-1") == []
    await bench.proxy._booked()
    (denial,) = await bench.denied()
    assert (denial.kind, denial.count) == ("budget", 1)


async def test_an_unpriced_model_is_refused_under_dollars_and_may_be_priced_by_the_operator(
    bench: Any,
) -> None:
    await bench.open(provider="anthropic")
    heard = await bench.call(MESSAGES, ask(model="nobody-knows-me"))
    assert (heard.status, heard.code) == (402, "price")
    await bench.open(provider="anthropic", prices={"nobody-knows-me": {"input": "1", "output": "2"}})
    assert (await bench.call(MESSAGES, ask(model="nobody-knows-me"))).status == 200
    (row,) = bench.budgets.usage("ex-1")
    assert (row.usd, row.price_table) == (Decimal(11 + 14) / 1_000_000, "settings")


async def test_a_model_that_bills_above_its_bound_is_frozen_until_a_person_says_so(bench: Any) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole({"usage": {"input_tokens": 11, "output_tokens": 5_000}})

    bench.provider.on_call = on_call
    await bench.open()
    assert (await bench.call(MESSAGES, ask())).status == 200
    assert (await bench.call(MESSAGES, ask())).code == "frozen"
    assert bench.budgets.frozen() == [("scripted", "m")]
    bench.budgets.unfreeze("scripted", "m")
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_n_answers_are_reserved_n_times(bench: Any) -> None:
    await bench.open()
    await bench.call(CHAT, ask(n=3))
    (row,) = bench.budgets.usage("ex-1")
    assert row.reserved_tokens > 3 * 2_000


async def test_only_listed_models(bench: Any) -> None:
    await bench.open(models=("good",))
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code, heard.json["error"]["allowed"]) == (403, "model", ["good"])
    assert (await bench.call(MESSAGES, ask(model="good"))).status == 200


async def test_count_tokens_is_answered_here(bench: Any) -> None:
    await bench.open()
    heard = await bench.call("/v1/messages/count_tokens", ask())
    assert heard.json["input_tokens"] > 10
    assert bench.provider.asked == [] and bench.budgets.usage("ex-1") == []


async def test_an_exact_count_is_the_providers(bench: Any) -> None:
    async def on_call(asked: Any, say: Any) -> None:
        await say.whole({"input_tokens": 4_321})

    bench.provider.on_call = on_call
    await bench.open(exact_counts=True)
    assert (await bench.call("/v1/messages/count_tokens", ask())).json == {"input_tokens": 4_321}
    (asked,) = bench.provider.asked
    assert asked.target == "/v1/messages/count_tokens" and asked.body["messages"] == ask()["messages"]
    assert bench.budgets.usage("ex-1") == [] and bench.budgets.open_reservations() == 0


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (500, {"error": {}}),
        (200, {"input_tokens": "many"}),
        (200, {"input_tokens": -1}),
        (200, b"words"),
        (200, []),
    ],
)
async def test_a_count_the_provider_does_not_give_well_is_estimated(
    bench: Any, status: int, answer: Any
) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.whole(answer, status)

    bench.provider.on_call = on_call
    await bench.open(exact_counts=True)
    heard = await bench.call("/v1/messages/count_tokens", ask())
    assert heard.status == 200 and heard.json["input_tokens"] > 10


async def test_a_count_for_a_model_of_another_wire_is_not_carried(bench: Any) -> None:
    await bench.open(exact_counts=True, models=("good",))
    assert (await bench.call("/v1/messages/count_tokens", ask())).json["input_tokens"] > 10
    assert bench.provider.asked == []


async def test_a_gzip_request_is_judged_by_what_it_says(bench: Any) -> None:
    await bench.open()
    client = await bench.client()
    packed = gzip.compress(json.dumps(ask(messages=[{"role": "user", "content": "x" * 50_000}])).encode())
    heard = await client.call(MESSAGES, packed, headers=[("content-encoding", "gzip")])
    assert heard.status == 200
    assert bench.budgets.usage("ex-1")[0].reserved_tokens > 50_000


async def test_a_database_that_cannot_take_a_reservation_lets_no_call_through(
    bench: Any, monkeypatch: Any
) -> None:
    await bench.open()

    def full(_: Any) -> Any:
        raise errors.StoreUnavailable("the disk is full; nothing was lost")

    monkeypatch.setattr(bench.budgets, "apply", full)
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (503, "store") and bench.provider.asked == []


async def test_a_settlement_the_database_could_not_take_is_tried_again(bench: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(proxy_module, "REBOOK_SECONDS", 0.05)
    apply, failed = bench.budgets.apply, []

    def sometimes(operations: Any) -> Any:
        if len(failed) < 3 and any(isinstance(one, Settle) for one in operations):
            failed.append(1)
            raise errors.StoreUnavailable("the disk is full; nothing was lost")
        return apply(operations)

    monkeypatch.setattr(bench.budgets, "apply", sometimes)
    await bench.open()
    assert (await bench.call(MESSAGES, ask())).code == "store"
    (row,) = await bench.settled()
    assert (row.source, row.usage, len(failed)) == ("provider", Usage(input=11, output=7), 3)
    assert bench.budgets.open_reservations() == 0


# --- wires ---


async def test_a_cut_wire_charges_what_is_under_way_and_refuses_more_until_that_is_lifted(
    bench: Any, helpers: Any
) -> None:
    async def on_call(_: Any, say: Any) -> None:
        await say.stream(helpers.anthropic_events()[:2], end=False)
        await asyncio.Event().wait()

    bench.provider.on_call = on_call
    spec = await bench.open()
    client = await bench.client()
    await client.send(MESSAGES, ask(stream=True))
    await client.reader.readuntil(b"hello")
    assert await bench.order({"do": "cut", "id": "w1"}) == {"ok": {}}
    (row,) = bench.budgets.usage("ex-1")
    assert charged_in_full(row)
    assert (await bench.call(MESSAGES, ask())).code == "cut"
    await bench.open(spec)
    assert (await bench.call(MESSAGES, ask())).code == "cut"
    assert await asyncio.to_thread(Cuts(bench.budgets.database).lift, "ex-1")
    assert (await bench.call("/v1/messages/count_tokens", ask())).status == 200


async def test_closing_is_idempotent_and_takes_the_socket_away(bench: Any) -> None:
    await bench.open()
    await bench.call(MESSAGES, ask())
    for _ in range(2):
        assert await bench.order({"do": "close", "id": "w1"}) == {"ok": {}}
    with pytest.raises(FileNotFoundError):
        await bench.client()
    assert (await bench.order({"do": "status"}))["ok"]["wires"] == []


async def test_two_wires_are_two_identities(bench: Any) -> None:
    await bench.open()
    await bench.open(id="w2", execution="ex-2", upstreams=())
    await bench.call(MESSAGES, ask())
    assert (await bench.call(MESSAGES, ask(), wire="w2")).code == "unknown"
    assert len(bench.budgets.usage("ex-1")) == 1 and bench.budgets.usage("ex-2") == []


async def test_nothing_secret_is_logged(bench: Any) -> None:
    await bench.open()
    await bench.call(MESSAGES, ask(messages=[{"role": "user", "content": "the prompt itself"}]))
    await bench.call("/nope\t".strip() + "/%0a%1b[31m", ask())
    text = (bench.state.logs / "proxy.log").read_text()
    assert "sk-real" not in text and "the prompt itself" not in text and "\x1b" not in text
