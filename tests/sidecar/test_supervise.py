"""Asking an operator: over MCP and plainly, with nobody there, with somebody, and what happens in between."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from boatwright import errors
from boatwright.sidecar import desk as desk_module
from boatwright.sidecar import supervise
from boatwright.sidecar.desk import Patience
from boatwright.testing.clock import ManualClock
from boatwright.values.asking import AskKind, AskState

from .conftest import Office, post

INIT = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}


async def call(office: Office, name: str, **arguments: Any) -> tuple[bool, str]:
    done = await office.rpc("tools/call", name=name, arguments=arguments)
    return done["isError"], done["content"][0]["text"]


async def test_an_mcp_client_finds_three_tools_and_keeps_no_session(office: Office) -> None:
    async with office.served():
        begun = await office.rpc("initialize", **INIT)
        assert begun["serverInfo"]["name"] == "boatwright" and "go on without" in begun["instructions"]
        tools = {tool["name"]: tool["inputSchema"] for tool in (await office.rpc("tools/list"))["tools"]}
        assert sorted(tools) == ["ask_operator", "request_budget", "request_route"]
        assert tools["request_budget"]["required"] == ["amount", "reason"]


async def test_with_nobody_there_every_form_says_so_at_once(office: Office) -> None:
    async with office.served():
        for name, fields in (
            ("ask_operator", {"question": "why?"}),
            ("request_budget", {"amount": "2usd", "reason": "tests"}),
            ("request_route", {"host": "example.org", "reason": "docs"}),
        ):
            failed, said = await call(office, name, **fields)
            assert not failed and "no operator" in said
    rows = office.ledger.asks.all()
    assert {row.state for row in rows} == {AskState.NO_OPERATOR}
    assert {row.wish.kind for row in rows} == set(AskKind)


async def test_the_plain_form_asks_the_same_questions(office: Office) -> None:
    async with office.served():
        assert "no operator" in await office.say(question="why?")
        await call(office, "ask_operator", question="why?")
        await office.say(budget="2usd", reason="tests")
        await call(office, "request_budget", amount="2.00usd", reason="tests")
        await office.say(route="example.org", reason="docs")
        await call(office, "request_route", host="EXAMPLE.org:443", reason="docs")
    assert len(office.ledger.asks.all()) == 3


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"why?"', b"{}", b'{"question": 1}', b'{"question": "a", "x": "b"}', b'{"budget": "2usd"}',
     b'{"route": ["a"], "reason": "b"}', b"[" * 10_000],
)  # fmt: skip
async def test_what_is_no_form_is_answered_with_the_forms(office: Office, body: bytes) -> None:
    async with office.served():
        status, said = await post(office.socket, "/ask", body)
    assert (status, office.ledger.asks.all()) == (400, []) and '{"question": "…"}' in said


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rm", {}),
        ("ask_operator", {}),
        ("ask_operator", {"question": 1}),
        ("ask_operator", {"question": "a", "b": "c"}),
    ],
)
async def test_a_tool_that_is_none_is_an_error_of_the_callers(
    office: Office, name: str, arguments: dict[str, Any]
) -> None:
    async with office.served():
        failed, said = await call(office, name, **arguments)
    assert failed and "no tool" in said and office.ledger.asks.all() == []


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"question": " "}, "is empty"),
        ({"budget": "lots", "reason": "x"}, "not a budget"),
        ({"route": "*.org", "reason": "x"}, "not one"),
        ({"question": "x" * 5_000}, "at most 4,000"),
    ],
)
async def test_what_cannot_be_asked_is_said_to_the_agent(
    office: Office, form: dict[str, str], said: str
) -> None:
    async with office.served():
        told = await office.say(**form)
    assert told.startswith("This cannot be asked: ") and said in told and office.ledger.asks.all() == []


async def test_a_question_waits_for_its_answer(office: Office) -> None:
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(call(office, "ask_operator", question="why?"))
        ask = await office.waiting()
        assert (ask.account, ask.bottle, ask.wish.text) == ("ex-1", "b", "why?")
        office.close(ask, AskState.ANSWERED, "because")
        assert await asking == (False, "because")
        assert await office.say(question="why?") == "because"


async def test_a_route_is_open_before_the_agent_hears_of_it(office: Office) -> None:
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(office.say(route="example.org", reason="docs"))
        ask = await office.waiting()
        office.ledger.asks.decide(ask.id, ask.wish.wanted)
        office.close(ask, AskState.ANSWERED)
        assert "example.org:443 may be reached" in await asking
        assert office.reached == [("example.org:443",)]
        await office.say(route="example.org", reason="docs")
        assert office.reached == [("example.org:443",)]


async def test_a_route_granted_later_is_opened_although_nobody_waits(office: Office) -> None:
    office.ledger.asks.beat("me")
    office.desk = office.new_desk(patience=Patience(wait=0.0, look=0.01))
    async with office.served():
        assert "no answer yet" in await office.say(route="example.org", reason="docs")
        ask = await office.waiting()
        office.ledger.asks.decide(ask.id, ask.wish.wanted)
        office.close(ask, AskState.ANSWERED)
        while not office.reached:
            await asyncio.sleep(0.005)
    assert office.reached == [("example.org:443",)]


async def test_a_closed_place_asks_nobody_for_a_route(office: Office) -> None:
    office.ledger.asks.beat("me")
    office.desk = office.new_desk(network="deny_all")
    async with office.served():
        assert "deny_all" in await office.say(route="example.org", reason="docs")
    assert office.ledger.asks.all() == []


async def test_a_refusal_is_told(office: Office) -> None:
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(office.say(budget="100usd", reason="more"))
        office.close(await office.waiting(), AskState.REFUSED, "that is a lot")
        assert await asking == "The operator refuses: that is a lot"


async def test_patience_ends_and_the_row_stays(office: Office) -> None:
    """Its clock is the test's; the operator stays, and says nothing."""
    clock = ManualClock()
    office.ledger.asks.beat("me")
    office.desk = office.new_desk(clock=clock)
    async with office.served():
        asking = asyncio.create_task(office.say(question="why?"))
        ask = await office.waiting()
        clock.advance(31)
        assert "no answer yet" in await asking
        assert office.ledger.asks.get(ask.id).state is AskState.OPEN


async def test_an_operator_who_leaves_is_not_waited_for(office: Office) -> None:
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(office.say(question="why?"))
        await office.waiting()
        office.ledger.asks.leave("me")
        assert "no answer yet" in await asking


async def test_the_end_of_the_round_answers_and_withdraws_what_waits(office: Office) -> None:
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(office.say(question="why?"))
        await office.waiting()
    assert "no answer yet" in await asking
    assert [each.state for each in office.ledger.asks.all()] == [AskState.WITHDRAWN]


async def test_a_row_of_a_worker_that_was_killed_is_found_by_asking_again(office: Office) -> None:
    office.ledger.asks.beat("me")
    before = office.ledger.asks.ask("ex-1", "b", supervise.asking.question("why?"))
    async with office.served():
        asking = asyncio.create_task(office.say(question="why?"))
        ask = await office.waiting()
        assert ask.id == before.id
        office.close(ask, AskState.ANSWERED, "because")
        assert await asking == "because"


async def test_more_calls_than_a_person_can_answer_do_not_wait(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MOST_AT_ONCE", 1)
    office.ledger.asks.beat("me")
    async with office.served():
        asking = asyncio.create_task(office.say(question="first?"))
        await office.waiting()
        assert await office.say(question="second?") == desk_module.BUSY
        office.close(await office.waiting(), AskState.ANSWERED, "yes")
        assert await asking == "yes"


async def test_a_store_that_is_away_is_said_to_be(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise errors.StoreUnavailable("gone")

    async with office.served():
        monkeypatch.setattr(office.ledger.asks, "ask", away)
        assert "could not be asked just now" in await office.say(question="why?")
        monkeypatch.undo()


async def test_a_request_of_another_wire_is_not_heard(office: Office) -> None:
    async with office.served():
        status, _ = await post(office.socket, "/ask", b'{"question": "why?"}', wire="w2")
    assert status == 403 and office.ledger.asks.all() == []
