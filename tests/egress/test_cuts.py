"""Cuts as rows, and the proxy that writes and obeys them: by an empty budget, after a restart, until they are lifted."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from boatwright.config.paths import StateDir
from boatwright.egress import control, tables
from boatwright.egress.budget import Budgets
from boatwright.egress.client import WireClient
from boatwright.egress.cuts import Cuts
from boatwright.egress.spec import WireSpec, from_json, to_json
from boatwright.egress.upstream import open_unix
from boatwright.ledger.database import Database
from boatwright.rules.cutting import Order
from boatwright.values.cutting import Cause, CutPolicy
from boatwright.values.usage import Cap

MESSAGES = "/v1/messages"
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EMPTY = Order(CutPolicy.CUTOFF, Cause.EXHAUSTED, "the budget is too small")
PERSON = Order(CutPolicy.FREEZE, Cause.COMMAND, "ex-1 has been cut")


def ask(**changes: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2_000, "messages": [{"role": "user", "content": "hi"}], **changes}


@pytest.fixture
def cuts(database_url: str) -> Iterator[Cuts]:
    opened = Budgets.open(database_url)
    yield Cuts(opened.database)
    opened.database.dispose()


def test_a_row_stands_until_it_is_lifted(cuts: Cuts) -> None:
    assert cuts.of("ex-1") is None and cuts.all() == [] and not cuts.lift("ex-1")
    written = cuts.write("ex-1", EMPTY, at=NOW, wire="w1")
    assert (written, written.done, written.order) == (cuts.of("ex-1"), False, EMPTY)
    stricter = cuts.write("ex-1", PERSON, at=NOW, by="ann")
    assert (stricter.policy, stricter.by, stricter.done) == (CutPolicy.FREEZE, "ann", False)
    assert cuts.write("ex-1", EMPTY, at=NOW).order == PERSON
    cuts.write("ex-2", EMPTY, at=NOW)
    assert [each.account for each in cuts.all()] == ["ex-1", "ex-2"]
    assert cuts.lift("ex-1") and cuts.of("ex-1") is None


def test_what_became_stricter_meanwhile_is_not_done(cuts: Cuts) -> None:
    mild = cuts.write("ex-1", EMPTY, at=NOW)
    strict = cuts.write("ex-1", PERSON, at=NOW)
    cuts.carried_out(mild)
    assert not cuts.all()[0].done
    cuts.carried_out(strict)
    assert cuts.all()[0].done
    assert cuts.write("ex-1", EMPTY, at=NOW).done
    assert not cuts.write("ex-1", Order(CutPolicy.KILL, Cause.COMMAND, "gone"), at=NOW).done


def test_going_on_asks_an_empty_budget_again_and_a_person_s_word_not(cuts: Cuts) -> None:
    assert cuts.go_on("ex-1") is None
    cut = cuts.write("ex-1", EMPTY, at=NOW)
    assert cuts.go_on("ex-1") == cut  # not dealt with yet
    cuts.carried_out(cut)
    assert cuts.go_on("ex-1") is None and cuts.of("ex-1") is None
    cuts.carried_out(cuts.write("ex-1", PERSON, at=NOW))
    stands = cuts.go_on("ex-1")
    assert stands is not None and stands.order == PERSON and cuts.of("ex-1") == stands


def test_a_database_of_before_gets_the_table(database_url: str) -> None:
    old = Database.open(database_url)
    others = [each for each in tables.metadata.sorted_tables if each is not tables.cuts]
    with old.write() as connection:
        tables.metadata.create_all(connection, tables=others)
    old.dispose()
    opened = Budgets.open(database_url)
    assert Cuts(opened.database).all() == []
    opened.database.dispose()


def test_a_wire_of_before_is_cut_off_and_no_more() -> None:
    text = to_json(WireSpec(id="w", execution="ex-1", repository="r", shutdown="kill", parent="a b"))
    assert from_json(text).shutdown == "kill"
    old = text.replace(',"shutdown":"kill"', "").replace('"bottle_account":"",', "")
    assert "shutdown" not in old and "bottle_account" not in old
    assert from_json(old).shutdown == "cutoff"


# --- the proxy ---


async def row(bench: Any, account: str = "ex-1") -> Any:
    return await asyncio.to_thread(Cuts(bench.budgets.database).of, account)


async def test_an_empty_budget_cuts_every_wire_of_its_account_and_no_other(bench: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000))
    await bench.open(shutdown="freeze")
    await bench.open(id="w2", purpose="review")
    await bench.open(id="w3", execution="ex-2")
    heard = await bench.call(MESSAGES, ask())
    assert (heard.status, heard.code) == (402, "budget")
    cut = await row(bench)
    assert (cut.policy, cut.cause, cut.done, cut.wire) == (CutPolicy.FREEZE, Cause.EXHAUSTED, False, "w1")
    assert cut.sentence == heard.json["error"]["message"]
    for wire in ("w1", "w2"):
        again = await bench.call(MESSAGES, ask(), wire=wire)
        assert (again.status, again.code, again.json["error"]["message"]) == (403, "cut", cut.sentence)
    assert (await bench.call(MESSAGES, ask(), wire="w3")).status == 200
    assert len(bench.provider.asked) == 1


async def test_calls_under_way_are_paid_for_and_run_out(bench: Any, helpers: Any) -> None:
    go_on = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        events = helpers.anthropic_events()
        await say.stream(events[:2], end=False)
        await go_on.wait()
        await say.chunk(events[2] + events[3])
        say.writer.write(b"0\r\n\r\n")

    bench.provider.on_call = on_call
    await bench.open()
    client = await bench.client()
    await client.send(MESSAGES, ask(stream=True))
    await client.reader.readuntil(b"hello")
    bench.budgets.set_cap("repository", "repo", Cap(tokens=100))
    assert (await bench.call(MESSAGES, ask())).code == "budget"
    assert (await row(bench)) is not None
    go_on.set()
    assert b"message_stop" in await client.reader.readuntil(b"0\r\n\r\n")
    (settled,) = await bench.settled()
    assert settled.source == "provider"


async def test_a_call_that_others_leave_no_room_for_came_too_early_and_cuts_nothing(
    bench: Any, helpers: Any
) -> None:
    answer = asyncio.Event()

    async def on_call(_: Any, say: Any) -> None:
        await answer.wait()
        await say.whole({"usage": helpers.ANTHROPIC_USAGE})

    bench.provider.on_call = on_call
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=7_000))
    await bench.open()
    first = asyncio.create_task(bench.call(MESSAGES, ask()))
    while not bench.provider.asked and not first.done():
        await asyncio.sleep(0.005)
    early = await bench.call(MESSAGES, ask())
    assert early.code == "budget" and "held by calls under way" in early.json["error"]["message"]
    assert await row(bench) is None
    answer.set()
    assert (await first).status == 200
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_a_cut_outlives_the_proxy_and_ends_when_it_is_lifted(bench: Any, helpers: Any) -> None:
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=1_000))
    spec = await bench.open()
    await bench.call(MESSAGES, ask())
    bench.proxy.stop()
    await bench.task
    (bench.state.run / control.SOCKET).unlink()
    bench.proxy, bench.task = await helpers.started(bench.state, Budgets(bench.budgets.database))
    assert (await bench.call(MESSAGES, ask())).code == "cut"
    bench.budgets.set_cap("execution", "ex-1", Cap(tokens=50_000))
    assert (await bench.call(MESSAGES, ask())).code == "cut"
    await asyncio.to_thread(Cuts(bench.budgets.database).lift, "ex-1")
    assert (await bench.call(MESSAGES, ask())).code == "credential"  # the key, too, is handed over anew
    await bench.open(spec)
    assert (await bench.call(MESSAGES, ask())).status == 200


async def test_a_wire_that_is_opened_for_a_cut_account_is_cut(bench: Any) -> None:
    await asyncio.to_thread(Cuts(bench.budgets.database).write, "ex-1", PERSON, at=NOW)
    await bench.open()
    assert (await bench.order({"do": "status"}))["ok"]["wires"][0]["cut"] is True
    heard = await bench.call(MESSAGES, ask())
    assert (heard.code, heard.json["error"]["message"]) == ("cut", "ex-1 has been cut")


async def test_the_order_to_cut_writes_the_row(bench: Any) -> None:
    await bench.open()
    assert await bench.order({"do": "cut", "id": "w1"}) == {"ok": {}}
    cut = await row(bench)
    assert (cut.policy, cut.cause) == (CutPolicy.CUTOFF, Cause.COMMAND)


async def test_a_proxy_that_dies_right_after_the_row_leaves_it_to_the_next(
    bench: Any, tmp_path: Path
) -> None:
    """The client hears nothing; whoever opens the wire again finds it cut."""
    place = StateDir(tmp_path / "other").create()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BOATWRIGHT_")},
        "BOATWRIGHT_STATE": str(place.root), "BOATWRIGHT_CRASH": "cut.written",
        "BOATWRIGHT_CRASH_ONCE": str(tmp_path / "died"),
    }  # fmt: skip
    client = WireClient(place, environment=environment, grace=1.0)
    budgets = client.budgets()
    budgets.set_cap("execution", "ex-1", Cap(tokens=1_000))
    spec = WireSpec(**{**_fields(bench.spec()), "upstreams": (_keyless(bench.spec().upstreams[0]),)})
    directory = await client.open(spec)
    reader, writer = await open_unix(directory / "wire.sock")
    body = b'{"model":"m","max_tokens":2000,"messages":[{"role":"user","content":"hi"}]}'
    writer.write(
        b"POST /v1/messages HTTP/1.1\r\nhost: w\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )
    assert await reader.read() == b""
    writer.close()
    assert (tmp_path / "died").exists()
    cut = client.cuts().of("ex-1")
    assert cut is not None and (cut.cause, cut.done) == (Cause.EXHAUSTED, False)
    await client.open(spec)
    assert [wire["cut"] for wire in (await client.status())["wires"]] == [True]
    await client.close(spec.id)


def _fields(spec: WireSpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in spec.__dataclass_fields__}


def _keyless(upstream: Any) -> Any:
    return type(upstream)(upstream.protocol, socket=upstream.socket)
