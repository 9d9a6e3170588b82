"""Tapes: what is recorded, what never is, what a kill or a full disk leaves, and answering from them."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boatwright import errors
from boatwright.egress import tape
from boatwright.egress.spec import Upstream, from_json, to_json
from boatwright.egress.tape import Recorder, Tape
from boatwright.testing.clock import ManualClock

MESSAGE = {"model": "m", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = "/v1/messages"
FREE = {"m": {"input": "0", "output": "0"}}


async def recorded(bench: Any, *bodies: Any, wire: str = "w1", **changes: Any) -> tuple[Tape, list[Any]]:
    """What clients heard of calls on a taped wire, and the tape once it is closed."""
    await bench.open(id=wire, taped=True, **changes)
    heard = [await bench.call(MESSAGES, body, wire=wire) for body in bodies]
    await bench.order({"do": "close", "id": wire})
    return tape.read(bench.state.tapes / "ex-1" / f"{wire}.tape"), heard


def replaying(bench: Any, wire: str = "r1", **changes: Any) -> Any:
    """A wire of another execution with the tape of ex-1 at its end."""
    given = {
        "id": wire, "execution": "ex-2", "provider": "replay", "prices": FREE, "taped": True,
        "upstreams": (Upstream("anthropic", socket="tape", tape="ex-1"),),
    }  # fmt: skip
    return bench.open(**{**given, **changes})


# --- recording -----------------------------------------------------------------------------------------------


async def test_a_wire_is_not_recorded_unless_it_says_so(bench: Any) -> None:
    await bench.open()
    assert (await bench.call(MESSAGES, MESSAGE)).status == 200
    assert list(bench.state.tapes.iterdir()) == []


async def test_a_call_is_recorded_event_by_event_and_no_key_with_it(bench: Any, helpers: Any) -> None:
    async def answer(asked: Any, say: Any) -> None:
        key = asked.headers["x-api-key"]
        extra = [f'event: ping\ndata: {{"you said": "{key}"}}\n\n'.encode()]
        events = helpers.anthropic_events()
        await say.stream([*events[:2], *extra, *events[2:]], request_id=f"r-{key}", set_cookie="c=1")

    bench.provider.on_call = answer
    made, (heard,) = await recorded(bench, {**MESSAGE, "stream": True, "system": "sk-real is my key"})
    (one,) = made.exchanges
    assert (made.wire, made.execution, made.purpose, made.broken) == ("w1", "ex-1", "build", "")
    assert (one.status, one.whole, one.asked.target) == (200, True, MESSAGES)
    assert json.loads(one.asked.body)["messages"] == MESSAGE["messages"]
    body = b"".join(data for _, data in one.chunks)
    assert body == heard.body.replace(b"sk-real", b"*******") and b"*******" in body
    offsets = [at for at, _ in one.chunks]
    assert offsets == sorted(offsets) and len(offsets) >= 1
    assert dict(one.headers)["content-type"] == "text/event-stream" and "set-cookie" not in dict(one.headers)
    raw = made.path.read_bytes()
    assert b"sk-real" not in raw and stat.S_IMODE(made.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("cuts", [(), (1,), (3,), (1, 2, 3, 4, 5, 6), (10, 13, 16), (12, 14)])
def test_a_key_is_blotted_out_however_it_is_cut(
    tmp_path: Path, clock: ManualClock, cuts: tuple[int, ...]
) -> None:
    recorder = Recorder(tmp_path / "w.tape", wire="w", execution="e", purpose="p", clock=clock, note=print)
    said = b"before sk-12345 between sk-12345sk-12345 after"
    taping = recorder.begin("/p", b"{}", "sk-12345")
    taping.head(200, [])
    for start, end in zip((0, *cuts), (*cuts, len(said)), strict=True):
        taping.data(said[start:end])
    taping.end(whole=True)
    recorder.close()
    (one,) = tape.read(tmp_path / "w.tape").exchanges
    assert b"".join(data for _, data in one.chunks) == said.replace(b"sk-12345", b"********")
    assert [len(data) for _, data in one.chunks] == [
        b - a for a, b in zip((0, *cuts), (*cuts, len(said)), strict=True)
    ]


@pytest.mark.parametrize("cut", range(1, 30))
def test_a_key_is_blotted_out_as_json_writes_it_too(tmp_path: Path, clock: ManualClock, cut: int) -> None:
    key = 'sk-"/\\é'
    recorder = Recorder(tmp_path / "w.tape", wire="w", execution="e", purpose="p", clock=clock, note=print)
    for said in (
        json.dumps([key]),
        json.dumps([key], ensure_ascii=False),
        json.dumps([key]).replace("/", "\\/"),
    ):
        taping = recorder.begin("/p", b"{}", key)
        taping.head(401, [])
        taping.data(said.encode()[:cut])
        taping.data(said.encode()[cut:])
        taping.end(whole=True)
    recorder.close()
    for one in tape.read(tmp_path / "w.tape").exchanges:
        assert set(json.loads(b"".join(data for _, data in one.chunks))[0]) == {"*"}


def written(path: Path, clock: ManualClock, count: int = 2, *, close: bool = True) -> Recorder:
    recorder = Recorder(path, wire="w", execution="e", purpose="p", clock=clock, note=print)
    for number in range(count):
        taping = recorder.begin("/p", json.dumps({"n": number}).encode(), None)
        taping.head(200, [(b"content-type", b"text/plain")])
        taping.data(b"one")
        clock.advance(0.5)
        taping.data(b"two")
        taping.end(whole=True)
    if close:
        recorder.close()
    return recorder


def test_offsets_are_those_of_the_clock(tmp_path: Path, clock: ManualClock) -> None:
    written(tmp_path / "w.tape", clock, 1)
    (one,) = tape.read(tmp_path / "w.tape").exchanges
    assert one.chunks == [(0.0, b"one"), (0.5, b"two")]


def test_killed_at_any_byte_it_is_read_as_far_as_it_goes_and_gone_on_with(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "w.tape"
    os.close(written(path, clock, close=False)._file)  # as a kill does, and lets go of its lock
    whole = path.read_bytes()
    for cut in range(1, len(whole), 97):
        path.write_bytes(whole[:cut])
        read = tape.read(path)
        assert read.broken and len(read.exchanges) <= 2
        before = len(read.exchanges)
        written(path, clock, 1)
        again = tape.read(path)
        assert len(again.exchanges) == before + 1 and again.exchanges[-1].whole
        assert again.broken == ""


@pytest.mark.parametrize("what", ["edit", "drop", "swap", "last"])
def test_a_tape_that_was_changed_is_refused(tmp_path: Path, clock: ManualClock, what: str) -> None:
    path = tmp_path / "e" / "w.tape"
    written(path, clock)
    lines = path.read_text().splitlines(keepends=True)
    if what == "edit":
        lines[3] = lines[3].replace("b25l", "b25m")
    elif what == "drop":
        del lines[3]
    elif what == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines[-1] = lines[-1].replace("2", "1")
    path.write_text("".join(lines))
    with pytest.raises(errors.Refused, match="was changed: its line") as refused:
        tape.of_execution(tmp_path, "e")
    assert refused.value.next_moves
    size = path.stat().st_size
    told: list[Any] = []
    recorder = Recorder(
        path, wire="w", execution="e", purpose="p", clock=clock, note=lambda *a, **k: told.append(k)
    )
    recorder.begin("/p", b"{}", None).end(whole=True)
    assert path.stat().st_size == size and "was changed" in told[0]["sentence"]


def test_no_tape(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="there is no tape of ex-9"):
        tape.of_execution(tmp_path, "ex-9")


async def test_a_full_disk_breaks_no_call_and_the_tape_says_so(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.write, [3]

    def write(file: int, data: bytes) -> int:
        if b'"what"' in data and b'"execution":"ex-1"' not in data and b'"n":' in data:
            left[0] -= 1
            if left[0] < 0:
                return real(file, data[:20])  # a part of it still fits
        return real(file, data)

    await bench.open(taped=True)
    monkeypatch.setattr(os, "write", write)
    for _ in range(3):
        assert (await bench.call(MESSAGES, MESSAGE)).status == 200
    monkeypatch.undo()
    await bench.order({"do": "close", "id": "w1"})
    made = tape.read(bench.state.tapes / "ex-1" / "w1.tape")
    assert "cut off" in made.broken and len(made.exchanges) == 1
    assert any(line["what"] == "tape" for line in bench.log())


async def test_a_tape_that_is_full_stops_and_calls_go_on(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tape, "MOST_BYTES", 2_000)
    made, heard = await recorded(bench, *[MESSAGE] * 4)
    assert [each.status for each in heard] == [200] * 4
    assert made.broken and made.path.stat().st_size <= 2_000


async def test_a_directory_that_cannot_be_written_breaks_no_call(bench: Any) -> None:
    (bench.state.tapes / "ex-1").write_text("in the way")
    await bench.open(taped=True)
    assert (await bench.call(MESSAGES, MESSAGE)).status == 200


# --- replaying -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_the_wire_answers_from_a_tape_byte_for_byte_and_connects_to_nothing(
    bench: Any, stream: bool
) -> None:
    body = {**MESSAGE, "stream": stream}
    _, (first,) = await recorded(bench, body)
    connections = bench.provider.connections
    await bench.provider.stop()
    await replaying(bench)
    second = await bench.call(MESSAGES, body, wire="r1")
    assert (second.status, second.body, second.whole) == (200, first.body, True)
    assert bench.provider.connections == connections
    (row,) = await bench.settled("ex-2")
    assert (row.provider, row.usd, row.source, row.usage.tokens) == ("replay", 0, "provider", 18)


async def test_a_replay_refuses_a_route_by_name(bench: Any) -> None:
    await recorded(bench, MESSAGE)
    await replaying(bench)
    client = await bench.client("r1")
    head = await client.raw(
        b"CONNECT models.example:443 HTTP/1.1\r\nhost: models.example\r\nconnection: close\r\n\r\n"
    )
    assert head.startswith(b"HTTP/1.1 403") and b"a replay leads nowhere but to its tape" in head


async def test_the_same_question_gets_the_answers_in_their_order(bench: Any) -> None:
    answers = iter([529, 200])

    async def answer(_: Any, say: Any) -> None:
        status = next(answers)
        await say.whole({"n": status, "usage": {"input_tokens": 1, "output_tokens": 1}}, status)

    bench.provider.on_call = answer
    await recorded(bench, MESSAGE, MESSAGE)
    await replaying(bench)
    heard = [await bench.call(MESSAGES, MESSAGE, wire="r1") for _ in range(3)]
    assert [each.status for each in heard] == [529, 200, 409]
    assert heard[2].code == "replay" and "no such call for build" in heard[2].json["error"]["message"]
    assert heard[2].headers["x-should-retry"] == "false"


async def test_another_question_is_refused_and_is_on_the_new_tape(bench: Any) -> None:
    await recorded(bench, MESSAGE)
    await replaying(bench)
    other = {**MESSAGE, "messages": [{"role": "user", "content": "something else"}]}
    heard = await bench.call(MESSAGES, other, wire="r1")
    assert (heard.status, heard.code) == (409, "replay")
    await bench.order({"do": "close", "id": "r1"})
    (made,) = tape.of_execution(bench.state.tapes, "ex-2")
    assert "something else" in made.exchanges[0].asked.body and made.exchanges[0].status == 0


async def test_an_answer_that_broke_off_breaks_off_again(bench: Any, helpers: Any) -> None:
    async def hang_up(_: Any, say: Any) -> None:
        await say.stream(helpers.anthropic_events()[:2], end=False)
        say.hang_up()

    bench.provider.on_call = hang_up
    made, (first,) = await recorded(bench, {**MESSAGE, "stream": True})
    assert not first.whole and not made.exchanges[0].whole
    await replaying(bench)
    second = await bench.call(MESSAGES, {**MESSAGE, "stream": True}, wire="r1")
    assert (second.whole, second.body) == (False, first.body)


async def test_calls_of_another_purpose_are_not_taken(bench: Any) -> None:
    await recorded(bench, MESSAGE, purpose="plan")
    await replaying(bench)
    assert (await bench.call(MESSAGES, MESSAGE, wire="r1")).code == "replay"
    await replaying(bench, wire="r2", purpose="plan")
    assert (await bench.call(MESSAGES, MESSAGE, wire="r2")).status == 200


async def test_many_at_once_get_each_answer_once(bench: Any) -> None:
    count = [0]

    async def answer(_: Any, say: Any) -> None:
        count[0] += 1
        await say.whole({"n": count[0], "usage": {"input_tokens": 1, "output_tokens": 1}})

    bench.provider.on_call = answer
    await recorded(bench, *[MESSAGE] * 8)
    await replaying(bench)
    heard = await asyncio.gather(*(bench.call(MESSAGES, MESSAGE, wire="r1") for _ in range(8)))
    assert sorted(each.json["n"] for each in heard) == list(range(1, 9))


async def test_a_changed_tape_answers_nothing(bench: Any) -> None:
    made, _ = await recorded(bench, MESSAGE)
    made.path.write_text(made.path.read_text().replace('"status":200', '"status":201'))
    await replaying(bench)
    heard = await bench.call(MESSAGES, MESSAGE, wire="r1")
    assert heard.code == "replay" and "was changed" in heard.json["error"]["message"]


async def test_what_a_row_says(bench: Any) -> None:
    spec = bench.spec(taped=True, upstreams=(Upstream("anthropic", tape="ex-1"),))
    assert from_json(to_json(spec)) == spec


# --- keeping -------------------------------------------------------------------------------------------------


def test_old_tapes_go_by_execution(tmp_path: Path, clock: ManualClock) -> None:
    old = datetime(2026, 1, 1, tzinfo=UTC)
    for number, name in enumerate(("ex-a", "ex-b", "ex-c")):
        written(tmp_path / name / "w.tape", clock)
        when = (old + timedelta(days=number)).timestamp()
        os.utime(tmp_path / name / "w.tape", (when, when))
    kept = tape.kept(tmp_path)
    assert [each.execution for each in kept] == ["ex-a", "ex-b", "ex-c"] and all(each.bytes for each in kept)
    before = old + timedelta(days=1, hours=1)
    assert not tape.remove(tmp_path, "ex-a", kept[0].written)
    assert (tmp_path / "ex-a").exists()
    assert tape.remove(tmp_path, "ex-a", before) and not tape.remove(tmp_path, "ex-a", before)
    assert [each.execution for each in tape.kept(tmp_path)] == ["ex-b", "ex-c"] and not (
        tmp_path / "ex-a"
    ).exists()
    assert tape.kept(tmp_path / "none") == []
