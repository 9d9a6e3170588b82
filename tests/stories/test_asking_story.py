"""An agent in a real bottle asks over its real wire: nobody there, somebody there, and what a grant opens."""

from __future__ import annotations

import asyncio
import base64
import json
from decimal import Decimal
from typing import Any

import pytest

from boatwright import errors
from boatwright.intake import asks, solo
from boatwright.intake.solo import Ask
from boatwright.stages import traffic
from boatwright.values.asking import AskState
from boatwright.values.usage import Cap

PROGRAM = """
import json, os, socket, urllib.request
URL = "http://127.0.0.1:8080/boatwright/supervise/ask"
def say(**form):
    request = urllib.request.Request(URL, json.dumps(form).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request) as answer:
            print(form, "->", answer.read().decode().strip(), flush=True)
    except OSError as error:
        print(form, "->", error, flush=True)
def tunnel(host):
    with socket.create_connection(("127.0.0.1", 8080)) as wire:
        wire.sendall(f"CONNECT {host}:443 HTTP/1.1\\r\\nhost: {host}\\r\\n\\r\\n".encode())
        print("tunnel", host, wire.recv(100).split(b"\\r\\n")[0].decode(), flush=True)
"""
MANIFEST = """---
provider: command
supervise: {supervise}
bottles: open
command:
  run: [env, python3, -c, {program}]
  protocol: openai
---
"""
BOTTLE = "---\nnetwork: {policy: allow_list, allow: [listed.invalid]}\n---\n"
SETTINGS = "network: {ceiling: allow_list, allow: [listed.invalid, wanted.invalid]}\n"


def quiet(_: object) -> None:
    """Nobody watches what it says."""


@pytest.fixture
def desk(yard: Any) -> Any:
    """A yard whose settings let two hosts be reached."""
    yard.house.state.settings.write_text(SETTINGS)
    return yard


async def worked(yard: Any, *lines: str, supervise: str = "true") -> str:
    """What the program said that ran these lines, in a bottle of its own."""
    from boatwright.config import settings as settings_module

    object.__setattr__(yard.house, "settings", settings_module.load(yard.house.state.settings))
    coded = base64.b64encode((PROGRAM + "\n".join(lines)).encode()).decode()
    program = json.dumps(f"exec(__import__('base64').b64decode('{coded}'))")
    (yard.house.state.root / "agents").mkdir(exist_ok=True)
    (yard.house.state.root / "agents" / "asker.md").write_text(
        MANIFEST.format(program=program, supervise=supervise)
    )
    (yard.house.state.bottles / "open.md").write_text(BOTTLE)
    ask = Ask(agent="asker", prompt="Ask", cwd=yard.repository, label="asks", model=yard.script(replies=[]))
    wanted = await solo.look(yard.house, ask)
    record = await solo.start(yard.house, wanted, ask.prompt, say=quiet, begun=quiet)
    assert record.end is not None and record.end.exit_code == 0, record.end
    return (await yard.house.read(record.transcript)).decode()


async def waiting(yard: Any) -> Any:
    while not (found := await asyncio.to_thread(asks.waiting, yard.house)):
        await asyncio.to_thread(asks.present, yard.house, "me")
        await asyncio.sleep(0.02)
    return found[0]


async def test_headless_with_nobody_there_it_goes_on_at_once(desk: Any) -> None:
    said = await worked(desk, 'say(question="why?")', 'say(budget="1usd", reason="tests")')
    assert said.count("There is no operator to ask just now") == 2
    rows = desk.house.ledger.asks.all()
    assert [row.state for row in rows] == [AskState.NO_OPERATOR] * 2
    assert {row.bottle for row in rows} == {"asks"}
    told = await traffic.of(desk.house, rows[0].account)
    assert [(each.service, each.times, each.failed) for each in told.served] == [("supervise", 2, 0)]
    assert told.called == () and told.tokens == 0


async def test_without_the_key_in_the_manifest_there_is_no_service(desk: Any) -> None:
    said = await worked(desk, 'say(question="why?")', supervise="false")
    assert "404" in said and desk.house.ledger.asks.all() == []


async def test_a_granted_budget_is_the_cap_and_a_granted_route_is_open_at_once(desk: Any) -> None:
    asks.present(desk.house, "me")

    async def operator() -> None:
        first = await waiting(desk)
        assert first.wish.wanted == "1.5usd"
        await asks.grant(desk.house, desk.engine, first.id, by="me")
        second = await waiting(desk)
        await asks.grant(desk.house, desk.engine, second.id, note="only to read", by="me")
        third = await waiting(desk)
        with pytest.raises(errors.Refused, match=r"other\.invalid:443 is not within network\.allow"):
            await asks.grant(desk.house, desk.engine, third.id, by="me")
        await asks.refuse(desk.house, third.id, "not that one", by="me")

    answering = asyncio.create_task(operator())
    said = await worked(
        desk, 'tunnel("wanted.invalid")', 'say(budget="1.5usd", reason="tests")',
        'say(route="wanted.invalid", reason="docs")', 'tunnel("wanted.invalid")', 'tunnel("listed.invalid")',
        'say(route="other.invalid", reason="more")', 'tunnel("other.invalid")',
    )  # fmt: skip
    await answering
    denied, opened, listed, other = [part.split('"')[0].split("\\n")[0] for part in said.split("tunnel ")[1:]]
    assert "403" in denied and "403" in other
    assert "502" in opened and "502" in listed  # reachable, were there such a host
    assert "Granted: your budget is 6.5 USD in all now." in said
    assert "The operator says: only to read" in said and "The operator refuses: not that one" in said
    account = desk.house.ledger.asks.all()[0].account
    assert desk.house.wire.budgets().cap("execution", account) == Cap(usd=Decimal("6.5"))


async def test_a_grant_that_was_killed_half_way_is_finished_as_it_was_decided(
    desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = desk.house
    house.wire.budgets().set_cap("execution", "alone.1", Cap.parse("5usd"), hard=True)
    asks.present(house, "me")
    wish = asks.asking.budget("2usd", "tests")
    ask = house.ledger.asks.ask("alone.1", "alone", wish)

    async def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asks.cuts, "raise_named", killed)
    with pytest.raises(KeyboardInterrupt):
        await asks.grant(house, desk.engine, ask.id, by="me")
    monkeypatch.undo()
    for _ in range(2):
        house.wire.budgets().set_cap("execution", "alone.1", Cap.parse("7usd"), hard=True)  # it had been done
    done = await asks.grant(house, desk.engine, ask.id, budget="100usd", by="me")
    assert (done.decision, done.state) == ("7usd", AskState.ANSWERED)
    assert house.wire.budgets().cap("execution", "alone.1") == Cap.parse("7usd")


async def test_more_than_the_host_allows_is_not_granted(desk: Any) -> None:
    house = desk.house
    house.wire.budgets().set_cap("execution", "alone.1", Cap.parse("5usd"), hard=True)
    asks.present(house, "me")
    ask = house.ledger.asks.ask("alone.1", "alone", asks.asking.budget("1000usd", "tests"))
    with pytest.raises(errors.AboveCeiling, match="1005 USD; this host allows 50 USD"):
        await asks.grant(house, desk.engine, ask.id, by="me")
    assert house.ledger.asks.get(ask.id).decision == ""
    assert house.wire.budgets().cap("execution", "alone.1") == Cap.parse("5usd")


async def test_an_agent_that_thinks_on_the_host_cannot_be_supervised(yard: Any) -> None:
    (yard.house.state.root / "agents").mkdir(exist_ok=True)
    (yard.house.state.root / "agents" / "thinker.md").write_text("---\nsupervise: true\n---\n")
    with pytest.raises(errors.BadPolicy, match=r"thinker.md line 2: .*no wire over which it could ask"):
        await yard.ask(yard.good(), agent="thinker")
