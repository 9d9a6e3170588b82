"""Turns in this very process: what a stage returns or raises is recorded, and a redo sees the same."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import text

from boatwright import errors
from boatwright.rules.turns import Phase
from boatwright.values.events import FeatureParked, ResourcesReleased, TurnEnded, TurnStarted
from boatwright.workflows.engine import Turn, core, shift

only_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""For what does not depend on the database."""

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


class Price(BaseModel):
    usd: Decimal
    parts: tuple[int, ...]


def work(engine: Any, *executions: str) -> None:
    """Run the engine here until these executions rest."""

    def resting() -> bool:
        return not any(engine.turns.live(name) or engine.inbox.waiting(name) for name in executions)

    asyncio.run(engine.run_worker(lambda *_: None, until=resting, drain_seconds=5.0))


def play_in(engine: Any, execution: str, recording: Path) -> None:
    """Put a recorded turn into the engine, as if its worker had died after the last recorded step."""
    steps = json.loads(recording.read_text())
    assert engine.turns.claim(execution, engine.queue, engine.release) is not None
    (claimed,) = engine.turns.live(execution)
    engine.durable.enqueue(claimed)
    table = "operation_outputs" if engine.ledger.database.dialect == "sqlite" else "dbos.operation_outputs"
    rows = [
        {"id": claimed.workflow, "step": number, "name": step["name"], "output": json.dumps(step["output"])}
        for number, step in enumerate(steps, 1)
    ]
    insert = (
        f"INSERT INTO {table} (workflow_uuid, function_id, function_name, output, serialization,"
        " retention_timestamp) VALUES (:id, :step, :name, :output, 'portable_json', 0)"
    )
    with engine.ledger.database.write() as writer:
        writer.execute(text(insert), rows)


async def toy(turn: Turn, *, ran: list[str], inserted: str = "", guarded: bool = False) -> str:
    """The story behind the recording, perhaps with one stage more."""

    async def body(_: object) -> Price:
        ran.append(turn.stage_name)
        return Price(usd=Decimal("0.1"), parts=(1,))

    await turn.note(TurnStarted(turn=1, cause="", release="", from_stage="one"), "t1:turn.started")
    if inserted and (not guarded or await turn.patched(inserted)):
        await turn.stage(inserted, body, Price)
    try:
        await turn.stage("one", body, Name)
        await turn.stage("two", body, Name)
    except errors.Parked as parked:
        told = FeatureParked(code=parked.code, reason=str(parked), next_moves=parked.next_moves, stage="two")
        await turn.note(told, "t1:parked")
        return "parked"
    return "delivered"


class Name(BaseModel):
    name: str


@pytest.mark.parametrize("recording", RECORDED, ids=[path.stem for path in RECORDED])
def test_a_turn_recorded_by_an_earlier_release_plays_to_its_end(yard: Any, recording: Path) -> None:
    ran: list[str] = []
    engine = yard.engine(lambda turn: toy(turn, ran=ran))
    yard.stored("ex")
    play_in(engine, "ex", recording)
    work(engine, "ex")
    assert ran == []
    assert engine.durable.phases(["ex.1"])["ex.1"][0] is Phase.OVER
    assert yard.keys("ex") == []


@only_sqlite
def test_a_stage_inserted_under_a_patch_mark_leaves_recorded_turns_alone(yard: Any) -> None:
    ran: list[str] = []
    engine = yard.engine(lambda turn: toy(turn, ran=ran, inserted="new", guarded=True))
    yard.stored("ex")
    play_in(engine, "ex", RECORDED[0])
    yard.stored("fresh")
    engine.start_turn("fresh")
    work(engine, "ex", "fresh")
    assert engine.durable.phases(["ex.1"])["ex.1"][0] is Phase.OVER
    assert ran[0] == "new"


@only_sqlite
def test_a_stage_inserted_without_one_parks_the_turn_and_says_so(yard: Any) -> None:
    ran: list[str] = []
    engine = yard.engine(lambda turn: toy(turn, ran=ran, inserted="new"))
    yard.stored("ex")
    play_in(engine, "ex", RECORDED[0])
    work(engine, "ex")
    (parked,) = [event.payload for event in yard.events("ex") if event.type == "feature.parked"]
    assert "does not fit this release" in parked.reason
    assert ran == []


def test_results_errors_and_defects_come_back_the_same_on_a_redo(
    yard: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The turn's process "dies" after its stages: the second telling runs no body and sees the same."""
    monkeypatch.setattr(shift, "RETRY_SECONDS", 0.05)
    told: list[list[object]] = []
    ran: list[str] = []

    async def price(_: object) -> Price:
        ran.append("price")
        return Price(usd=Decimal("0.10"), parts=(1, 2))

    async def poor(_: object) -> Price:
        ran.append("poor")
        raise errors.BudgetExhausted("no money", subject="ex", next_moves=("raise it",))

    async def clumsy(_: object) -> Price:
        ran.append("clumsy")
        raise KeyError("a secret the sentence must not repeat")

    async def story(turn: Turn) -> str:
        seen: list[object] = [await turn.stage("price", price, Price)]
        for name, body in (("poor", poor), ("clumsy", clumsy)):
            try:
                await turn.stage(name, body, Price)
            except errors.BoatwrightError as error:
                seen.append(
                    (type(error), str(error), getattr(error, "code", ""), error.subject, error.next_moves)
                )
        await turn.note(ResourcesReleased(released=("all",)), "t1:released")
        told.append(seen)
        if len(told) == 1:
            raise errors.StoreUnavailable("the disk is full")
        return "delivered"

    engine = yard.engine(story)
    yard.request("ex", engine=engine)
    work(engine, "ex")
    first, second = told
    assert first == second
    assert first[0] == Price(usd=Decimal("0.10"), parts=(1, 2))
    assert first[1] == (errors.BudgetExhausted, "no money", "budget", "ex", ("raise it",))
    assert "secret" not in str(first[2])
    assert ran == ["price", "poor", "clumsy"]
    assert yard.keys("ex") == ["t1:released"]
    assert "a secret" in (yard.state.logs / "engine.log").read_text()


@only_sqlite
def test_a_story_that_breaks_parks_and_the_next_command_goes_on(yard: Any) -> None:
    turns: list[int] = []

    async def story(turn: Turn) -> str:
        turns.append(turn.turn)
        if turn.turn == 1:
            raise ZeroDivisionError
        await turn.note(TurnEnded(turn=turn.turn, outcome="delivered"), "t2:turn.ended")
        return "delivered"

    engine = yard.engine(story)
    yard.request("ex", engine=engine)
    work(engine, "ex")
    assert yard.keys("ex") == ["t1:engine.parked"]
    engine.submit("ex", kind="resume", sender_key="1")
    work(engine, "ex")
    assert turns == [1, 2]
    assert yard.keys("ex") == ["t1:engine.parked", "t2:turn.ended"]


def test_commands_that_arrive_meanwhile_start_the_next_turn(yard: Any) -> None:
    seen: list[list[str]] = []

    async def story(turn: Turn) -> str:
        seen.append([command.sender_key for command in turn.commands])
        if turn.turn == 1:
            assert await asyncio.to_thread(engine.submit, "ex", kind="comment", sender_key="c1")
            assert not await asyncio.to_thread(engine.submit, "ex", kind="comment", sender_key="c1")
            await asyncio.to_thread(engine.note, "ex", "raise", "r1", "ann", {"budget": "1usd"})
        return "delivered"

    engine = yard.engine(story)
    yard.request("ex", engine=engine)
    work(engine, "ex")
    assert seen == [["request"], ["c1", "r1"]]


def test_finished_turns_are_forgotten_by_the_engine_and_kept_by_the_ledger(yard: Any) -> None:
    async def story(turn: Turn) -> str:
        await turn.note(TurnEnded(turn=turn.turn, outcome="delivered"), "t1:turn.ended")
        return "delivered"

    engine = yard.engine(story)
    yard.request("ex", engine=engine)
    work(engine, "ex")
    assert engine.durable.step_names("ex.1") == ["note turn.ended"]
    assert engine.clean(timedelta(days=1)) == 0
    assert engine.clean(timedelta(seconds=-60)) == 1
    assert engine.durable.phases(["ex.1"]) == {}
    assert yard.keys("ex") == ["t1:turn.ended"]


@only_sqlite
def test_a_second_shift_in_one_process_is_refused(yard: Any) -> None:
    engine = yard.engine()

    async def twice() -> None:
        first = asyncio.create_task(engine.run_worker(lambda *_: None, drain_seconds=0.0))
        while not engine.has_worker():
            await asyncio.sleep(0.02)
        with pytest.raises(errors.Conflict):
            await engine.run_worker(lambda *_: None)
        first.cancel()
        with pytest.raises(errors.Stopped):
            await first

    asyncio.run(twice())
    assert engine.workers() == []


@only_sqlite
def test_a_lease_time_that_is_no_number_is_refused_by_name(yard: Any) -> None:
    with pytest.raises(errors.BadInput, match="BOATWRIGHT_LEASE_SECONDS"):
        core._number({"BOATWRIGHT_LEASE_SECONDS": "soon"}, "BOATWRIGHT_LEASE_SECONDS", 30.0)


@only_sqlite
def test_a_foreground_run_works_on_what_was_left_to_a_worker_that_is_not_there(yard: Any) -> None:
    seen: list[tuple[int, int]] = []

    async def count(_: object) -> Price:
        child = await asyncio.create_subprocess_exec("true")  # stages start processes from the engine's loop
        return Price(usd=Decimal(await child.wait()), parts=())

    async def story(turn: Turn) -> str:
        seen.append((turn.turn, len((await turn.stage("count", count, Price)).parts)))
        turn.say("counted")
        return "delivered"

    said: list[tuple[str, str]] = []
    engine = yard.engine(story)
    yard.request("ex", engine=engine)
    yard.request("other", engine=engine)
    asyncio.run(engine.run_execution("ex", lambda *line: said.append(line)))
    assert seen == [(1, 0)]
    assert said == [("ex", "counted")]
    assert engine.turns.live("ex") == []
    assert [turn.queue for turn in engine.turns.live("other")] == [engine.queue]


@only_sqlite
def test_a_foreground_run_says_that_the_store_is_gone_and_leaves_the_turn_waiting(yard: Any) -> None:
    async def story(_: Turn) -> str:
        raise errors.StoreUnavailable("the disk is full")

    engine = yard.engine(story)
    yard.request("ex", private=True, engine=engine)
    with pytest.raises(errors.StoreUnavailable, match="the disk is full"):
        asyncio.run(engine.run_execution("ex", lambda *_: None))
    assert engine.durable.phases(["ex.1"])["ex.1"][0] is Phase.WAITING
    assert engine.turns.is_live("ex", 1)
