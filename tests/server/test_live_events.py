"""Events as they happen: in order, each once, resumed where they ended, and nobody waits for who reads slowly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from boatwright.ledger import Ledger
from boatwright.server import stream
from boatwright.testing import samples

Front = Any  # tests/server/conftest.py

WRITERS, EACH = 16, 12


class Told:
    """One answer, read event by event."""

    def __init__(self, answer: httpx2.Response) -> None:
        self._lines = answer.aiter_lines()
        self.quiet = 0

    async def events(self) -> AsyncIterator[tuple[int, str, dict[str, Any]]]:
        """Position, type and data; a line that is a comment is counted."""
        found: dict[str, str] = {}
        async for line in self._lines:
            if line.startswith(":"):
                self.quiet += 1
            elif line:
                name, _, value = line.partition(": ")
                found[name] = value
            elif found:
                yield int(found["id"]), found["event"], json.loads(found["data"])
                found = {}

    async def take(self, many: int) -> list[tuple[int, str, dict[str, Any]]]:
        taken = []
        async for event in self.events():
            taken.append(event)
            if len(taken) == many:
                break
        return taken


def path(execution: str = "ex-1") -> str:
    return f"/v1/executions/{execution}/events"


async def test_what_is_there_and_then_what_comes(front: Front) -> None:
    front.begin("ex-1")
    front.begin("ex-2")
    async with front.client() as client, client.stream("GET", path()) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = Told(answer)
        ((position, kind, data),) = await told.take(1)
        assert (position, kind, data["stream"]) == (1, "feature.requested", "ex-1")
        assert data["payload"]["title"] and data["position"] == position
        front.append("ex-2", samples.model_called("other"), "other")
        mine = front.append("ex-1", samples.model_called("mine"), "mine")
        ((position, kind, data),) = await told.take(1)
        assert (position, kind, data["payload"]["reservation"]) == (mine, "model.called", "mine")


async def test_a_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(front: Front) -> None:
    front.begin("ex-1")
    for number in range(5):
        front.append("ex-1", samples.model_called(f"r-{number}"), f"k-{number}")
    async with front.client() as client:
        async with client.stream("GET", path()) as answer:
            first = await Told(answer).take(3)
        late = front.append("ex-1", samples.model_called("late"), "late")
        back = {"Last-Event-ID": str(first[-1][0])}
        async with client.stream("GET", path(), headers=back) as answer:
            second = await Told(answer).take(4)
    positions = [position for position, _, _ in [*first, *second]]
    assert positions == sorted(set(positions)) and len(positions) == 7 and positions[-1] == late


async def test_the_header_outranks_the_address(front: Front) -> None:
    front.begin("ex-1")
    last = front.append("ex-1", samples.model_called("r"), "k")
    async with front.client() as client:
        there = {"after": 0, "follow": "false"}
        answer = await client.get(path(), params=there, headers={"Last-Event-ID": "1"})
        assert answer.text.count("\nevent: ") == 1 and f"id: {last}\n" in answer.text
        assert (await client.get(path(), params={"after": last, "follow": "false"})).text == ""
        assert (await client.get(path(), params=there)).text.count("\nevent: ") == 2
        ahead = await client.get(path(), params={"follow": "false"}, headers={"Last-Event-ID": "999"})
        assert ahead.text == ""


@pytest.mark.parametrize(
    "last", ["x", "-1", "1.5", "1e3", "0x1", "1 2", "9" * 40, "0" * 5_000 + "1", str(2**63), "null", ","]
)
async def test_a_last_id_that_is_no_position_is_refused(front: Front, last: str) -> None:
    front.begin("ex-1")
    async with front.client() as client:
        answer = await client.get(path(), headers={"Last-Event-ID": last.encode()})
    assert answer.status_code == 400 and "no position" in answer.json()["error"]


async def test_sixteen_append_and_a_reader_that_is_cut_again_and_again_has_no_gap(front: Front) -> None:
    front.begin("ex-1")
    front.begin("ex-2")
    ledgers = [
        Ledger.open(front.house.state, clock=front.house.clock, ids=front.house.ids, producer="w")
        for _ in range(4)
    ]

    def write(writer: int) -> None:
        for number in range(EACH):
            name = "ex-1" if number % 2 else "ex-2"
            ledgers[writer % 4].events.append(
                name, samples.model_called(f"{writer}-{number}"), key=f"{writer}-{number}"
            )

    seen: list[int] = []
    wanted = 1 + WRITERS * EACH // 2
    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [
            asyncio.get_running_loop().run_in_executor(pool, write, number) for number in range(WRITERS)
        ]
        async with front.client() as client:
            while len(seen) < wanted:
                back = {"Last-Event-ID": str(seen[-1])} if seen else {}
                async with client.stream("GET", path(), headers=back) as answer:
                    seen += [event[0] for event in await Told(answer).take(min(17, wanted - len(seen)))]
        await asyncio.gather(*writing)
    assert seen == [event.position for event in front.house.ledger.events.stream("ex-1")]
    for ledger in ledgers:
        ledger.close()


async def test_who_reads_nothing_holds_nobody_up(front: Front) -> None:
    front.begin("ex-1", body="x" * 200_000)
    front.begin("ex-2")
    for number in range(60):
        front.append(
            "ex-1",
            samples.events.FeatureParked(code="c", reason="y" * 50_000, next_moves=(), stage="s"),
            f"p{number}",
        )
    place = front.listener.place
    asleep = []
    for _ in range(8):
        _, writer = await asyncio.open_connection(place.host, place.port)
        writer.write(
            f"GET {path()} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {front.token}\r\n\r\n".encode()
        )
        asleep.append(writer)
    async with front.client() as client:
        async with client.stream("GET", path("ex-2")) as answer:
            told = Told(answer)
            await told.take(1)
            for number in range(5):
                mine = front.append("ex-2", samples.model_called(f"r{number}"), f"k{number}")
                assert [event[0] for event in await told.take(1)] == [mine]
        assert len((await client.get("/v1/executions")).json()["executions"]) == 2
    for writer in asleep:
        writer.transport.abort()


async def test_where_nothing_happens_something_is_sent(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "BEAT_SECONDS", 0.01)
    front.begin("ex-1")
    async with front.client() as client, client.stream("GET", path()) as answer:
        told = Told(answer)
        await told.take(1)
        reading = asyncio.create_task(told.take(1))
        while told.quiet < 3:
            await asyncio.sleep(0.01)
        front.append("ex-1", samples.model_called("r"), "k")
        assert len(await reading) == 1


async def test_there_are_only_so_many_readers(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MOST", 1)
    front.begin("ex-1")
    async with front.client() as client:
        async with client.stream("GET", path()) as answer:
            told = Told(answer)  # held: who lets go of it ends it
            await told.take(1)
            refused = await client.get(path())
            assert refused.status_code == 503 and "readers" in refused.json()["error"]
        while front.listener._door.app.state.behind.streams:  # the one that left is seen to have left
            await asyncio.sleep(0.01)
        assert (await client.get(path(), params={"follow": "false"})).status_code == 200


async def test_when_the_door_closes_whoever_is_told_events_is_let_go(front: Front) -> None:
    front.begin("ex-1")
    async with front.client() as client, client.stream("GET", path()) as answer:
        told = Told(answer)
        await told.take(1)
        closing = asyncio.create_task(front.listener.close())
        assert await told.take(1) == []
        await closing
