"""Models that stand in for the first: when they are asked, what each attempt costs, and what is never tried again."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from boatwright.egress import spec as spec_module
from boatwright.egress.upstream import Pool, Unreachable
from boatwright.values.usage import Cap, Usage

MESSAGES, CHAT, RESPONSES = "/v1/messages", "/v1/chat/completions", "/v1/responses"
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}

Act = Callable[[Any, Any], Awaitable[None]]


def ask(model: str = "a", **changes: Any) -> dict[str, Any]:
    return {
        "model": model, "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}], **changes
    }  # fmt: skip


def unwell(bench: Any, *, a: Act, b: Act | None = None) -> None:
    """The provider does ``a`` for model a, ``b`` for model b, and is well for any other."""
    well = bench.provider.on_call

    async def on_call(asked: Any, say: Any) -> None:
        act = {"a": a, "b": b}.get(asked.body.get("model")) or well
        await act(asked, say)

    bench.provider.on_call = on_call


def answers(status: int, body: Any = OVERLOADED) -> Act:
    async def act(_: Any, say: Any) -> None:
        await say.whole(body, status)

    return act


async def hangs_up(_: Any, say: Any) -> None:
    say.hang_up()


def models(bench: Any) -> list[str]:
    return [asked.body.get("model") for asked in bench.provider.asked]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 529])
@pytest.mark.parametrize("path", [MESSAGES, CHAT])
@pytest.mark.parametrize("stream", [False, True])
async def test_the_next_model_answers(bench: Any, path: str, status: int, stream: bool) -> None:
    unwell(bench, a=answers(status))
    await bench.open(fallback=("a", "b"), models=("a",))
    heard = await bench.call(path, ask(stream=stream))
    assert heard.status == 200 and heard.whole
    assert models(bench) == ["a", "b"]
    first, second = await bench.settled(count=2)
    assert (first.model, first.status, first.usage, first.usd) == ("a", status, Usage(), Decimal(0))
    assert (second.model, second.status, second.source) == ("b", 200, "provider")
    assert second.usage.output > 0
    (line,) = [line for line in bench.log() if line["what"] == "fallback"]
    assert (line["model"], line["to"], line["why"]) == ("a", "b", f"status {status}")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
async def test_what_another_model_cannot_mend_is_not_tried_again(bench: Any, status: int) -> None:
    unwell(bench, a=answers(status))
    await bench.open(fallback=("a", "b"))
    heard = await bench.call(MESSAGES, ask())
    assert heard.status == status and models(bench) == ["a"]


async def test_the_last_one_s_word_is_what_the_client_hears(bench: Any) -> None:
    unwell(bench, a=answers(529), b=answers(429, {"error": {"message": "slow down"}}))
    await bench.open(fallback=("a", "b"))
    heard = await bench.call(MESSAGES, ask())
    assert heard.status == 429 and heard.json["error"]["message"] == "slow down"
    assert [row.model for row in await bench.settled(count=2)] == ["a", "b"]


async def test_three_in_order(bench: Any) -> None:
    unwell(bench, a=answers(503), b=answers(503))
    await bench.open(fallback=("a", "b", "c"))
    assert (await bench.call(MESSAGES, ask())).status == 200
    assert models(bench) == ["a", "b", "c"]


async def test_another_model_than_the_first_stands_alone(bench: Any) -> None:
    """The stand-ins are for the model that was asked for; a side call of another name is none of theirs."""
    unwell(bench, a=answers(529), b=answers(529))
    await bench.open(fallback=("a", "c"))
    assert (await bench.call(MESSAGES, ask("b"))).status == 529
    assert models(bench) == ["b"]


async def test_the_program_may_not_name_a_stand_in_itself(bench: Any) -> None:
    await bench.open(fallback=("a", "b"), models=("a",))
    heard = await bench.call(MESSAGES, ask("b"))
    assert (heard.status, heard.code) == (403, "model") and not bench.provider.asked


async def test_a_provider_that_hangs_up_is_charged_and_the_next_one_asked(bench: Any) -> None:
    """It may have done the work: that attempt costs all it held; the next one has a reservation of its own."""
    unwell(bench, a=hangs_up)
    await bench.open(fallback=("a", "b"))
    assert (await bench.call(MESSAGES, ask())).status == 200
    first, second = await bench.settled(count=2)
    assert (first.model, first.source, first.usd) == ("a", "estimate", first.reserved_usd)
    assert (second.model, second.source) == ("b", "provider")


async def test_a_provider_that_cannot_be_reached_costs_nothing(bench: Any, monkeypatch: Any) -> None:
    take, away = Pool.take, [Unreachable("no route")]

    async def first_away(pool: Pool, where: Any, *, fresh: bool = False) -> Any:
        if away:
            raise away.pop()
        return await take(pool, where, fresh=fresh)

    monkeypatch.setattr(Pool, "take", first_away)
    await bench.open(fallback=("a", "b"))
    assert (await bench.call(MESSAGES, ask())).status == 200
    first, second = await bench.settled(count=2)
    assert (first.model, first.source, first.usd) == ("a", "released", Decimal(0))
    assert second.model == "b"


async def test_no_attempt_crosses_a_budget(bench: Any) -> None:
    """The first attempt costs its whole hold; the second does not fit, and the client hears the budget's refusal."""
    unwell(bench, a=hangs_up)
    bench.budgets.set_cap("execution", "ex-1", Cap(usd=Decimal("0.06")))
    await bench.open(fallback=("a", "b"))
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (402, "budget") and models(bench) == ["a"]
    (row,) = await bench.settled()
    assert row.model == "a"
    used, held = bench.budgets.used("execution", "ex-1")
    assert used.usd <= 60_000_000 and held.usd == 0


async def test_each_attempt_is_held_at_its_own_model_s_price(bench: Any) -> None:
    unwell(bench, a=answers(529))
    prices = {"a": {"input": "1", "output": "2"}, "b": {"input": "10", "output": "20"}}
    await bench.open(fallback=("a", "b"), prices=prices)
    assert (await bench.call(MESSAGES, ask())).status == 200
    first, second = await bench.settled(count=2)
    assert second.reserved_usd == 10 * first.reserved_usd
    assert second.usd == Decimal(11 * 10 + 7 * 20) / 1_000_000


async def test_a_stand_in_nobody_priced_is_refused_under_dollars(bench: Any) -> None:
    unwell(bench, a=answers(529))
    await bench.open(fallback=("a", "b"), provider="anthropic", prices={"a": {"input": "1", "output": "2"}})
    heard = await bench.call(MESSAGES, ask())
    assert heard.code == "price" and models(bench) == ["a"]


async def test_nothing_is_tried_again_once_the_client_has_heard_a_byte(bench: Any, helpers: Any) -> None:
    async def breaks_off(_: Any, say: Any) -> None:
        await say.stream(helpers.anthropic_events()[:2], end=False)
        say.hang_up()

    unwell(bench, a=breaks_off)
    await bench.open(fallback=("a", "b"))
    heard = await bench.call(MESSAGES, ask(stream=True))
    assert heard.status == 200 and not heard.whole and models(bench) == ["a"]


async def test_an_error_that_breaks_off_is_charged_and_passed_over(bench: Any) -> None:
    async def half_an_error(_: Any, say: Any) -> None:
        say.writer.write(b"HTTP/1.1 500 X\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{")
        await say.writer.drain()
        say.hang_up()

    unwell(bench, a=half_an_error)
    await bench.open(fallback=("a", "b"))
    assert (await bench.call(MESSAGES, ask())).status == 200
    first, second = await bench.settled(count=2)
    assert (first.source, second.model) == ("estimate", "b")


async def test_a_client_that_is_gone_costs_no_second_attempt(bench: Any) -> None:
    here, go_on = asyncio.Event(), asyncio.Event()

    async def slowly_unwell(_: Any, say: Any) -> None:
        here.set()
        await go_on.wait()
        await say.whole(OVERLOADED, 529)

    unwell(bench, a=slowly_unwell)
    await bench.open(fallback=("a", "b"))
    client = await bench.client()
    await client.send(MESSAGES, ask())
    await here.wait()
    client.close()
    (wire,) = [wire for wire in bench.proxy._wires.values() if wire.spec.id == "w1"]
    while not all(_hung_up(task) for task in wire.connections):
        await asyncio.sleep(0.005)
    go_on.set()
    await bench.settled()
    while wire.connections:
        await asyncio.sleep(0.005)
    assert models(bench) == ["a"]


def _hung_up(task: asyncio.Task[None]) -> bool:
    """Whether the connection this task serves has heard its client's end."""
    frame = task.get_coro().cr_await.cr_frame  # type: ignore[union-attr]
    return bool(frame.f_locals["reader"].at_eof())


async def test_a_frozen_stand_in_waits_for_a_person(bench: Any) -> None:
    unwell(bench, a=answers(529))
    await bench.open(fallback=("a", "b"))
    bench.proxy._frozen.add(("scripted", "b"))
    bench.proxy._budgets.frozen = lambda: [("scripted", "b")]
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (403, "frozen") and models(bench) == ["a"]


async def test_the_other_protocols_ask_in_their_own_way(bench: Any) -> None:
    async def on_call(asked: Any, say: Any) -> None:
        named = json.dumps([asked.target, asked.body.get("model")])
        if '"a"' in named or "/a:" in named:
            await say.whole(OVERLOADED, 503)
        elif "responses" in asked.target:
            await say.whole({"usage": {"input_tokens": 3, "output_tokens": 4}})
        else:
            await say.whole({
                "candidates": [{"finishReason": "STOP"}],
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
            })  # fmt: skip

    bench.provider.on_call = on_call
    socket = str(bench.provider.path)
    sides = tuple(spec_module.Upstream(side, socket=socket) for side in ("openai", "gemini"))
    await bench.open(fallback=("a", "b"), upstreams=sides)
    assert (await bench.call(RESPONSES, {"model": "a", "input": "hi"})).status == 200
    path = "/v1beta/models/a:generateContent"
    assert (await bench.call(path, {"contents": [{"parts": [{"text": "hi"}]}]})).status == 200
    assert models(bench)[:2] == ["a", "b"]
    assert [asked.target for asked in bench.provider.asked][2:] == [path, path.replace("/a:", "/b:")]
    assert [row.model for row in await bench.settled(count=4)] == ["a", "b", "a", "b"]


def test_a_spec_of_before_there_were_stand_ins_is_read() -> None:
    spec = spec_module.WireSpec(
        id="w", execution="e", repository="r", upstreams=(spec_module.Upstream("openai"),)
    )
    row = json.loads(spec_module.to_json(spec))
    del row["fallback"], row["upstreams"][0]["login"]
    assert spec_module.from_json(json.dumps(row)) == spec
    named = spec_module.WireSpec(id="w", execution="e", repository="r", fallback=("a", "b"))
    assert spec_module.from_json(spec_module.to_json(named)) == named
    assert named.stand_ins("a") == ("b",) and named.stand_ins("b") == ()


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_fails_nothing_passes_the_cap_and_nothing_stays_held(
    bench: Any, helpers: Any, seed: int
) -> None:
    chance = random.Random(seed)
    cap = Cap(usd=Decimal("0.9"), tokens=60_000)

    async def on_call(asked: Any, say: Any) -> None:
        match chance.randrange(5):
            case 0:
                await say.whole(OVERLOADED, chance.choice([429, 500, 529]))
            case 1:
                say.hang_up()
            case 2 if asked.body.get("stream"):
                await say.stream(helpers.anthropic_events()[:2], end=False)
                say.hang_up()
            case 3:
                await say.whole(b"no json", 502)
            case _ if asked.body.get("stream"):
                await say.stream(helpers.anthropic_events())
            case _:
                await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    bench.budgets.set_cap("execution", "ex-1", cap)
    await bench.open(fallback=("a", "b", "c"))

    async def one(number: int) -> Any:
        return await bench.call(MESSAGES, ask(stream=bool(number % 2)))

    heard = await asyncio.gather(*(one(number) for number in range(40)))
    assert any(answer.status == 402 for answer in heard) and any(answer.status == 200 for answer in heard)
    async with asyncio.timeout(20):
        while bench.budgets.open_reservations():
            await asyncio.sleep(0.005)
    used, held = bench.budgets.used("execution", "ex-1")
    rows = await bench.settled(count=1)
    assert used.tokens <= 60_000 and used.usd <= 900_000_000 and (held.usd, held.tokens) == (0, 0)
    assert sum(row.usage.tokens for row in rows) == used.tokens
    assert len({row.reservation for row in rows}) == len(rows) >= len(bench.provider.asked)
