"""The screen on a real house, with bottles at work: what is on it, what its keys do to them, what it survives."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from textual.pilot import Pilot
from textual.widgets import DataTable, Log

from boatwright.cli.top.actions import HouseActions
from boatwright.cli.top.app import TopApp
from boatwright.cli.top.dialogs import Confirm, Line
from boatwright.intake import solo
from boatwright.intake.solo import Ask
from boatwright.intake.watching import HouseSource
from boatwright.values.solo import Solo, SoloState
from boatwright.values.state import State
from boatwright.values.usage import Cap

pytestmark = pytest.mark.timeout(240)
SLOW = [{"reply": 2, "kind": "slow", "seconds": 600}]


@asynccontextmanager
async def watching(yard: Any) -> AsyncIterator[tuple[Pilot[None], TopApp]]:
    source, actions = (
        HouseSource(yard.house, "someone/1"),
        HouseActions(yard.house, yard.engine, by="someone"),
    )
    app = TopApp(source, actions, every=0.5)
    async with app.run_test(size=(120, 40)) as pilot:
        yield pilot, app


async def until(pilot: Pilot[None], true: Callable[[], Any]) -> None:
    async with asyncio.timeout(100):
        while not true():
            await pilot.pause(0.05)


def table(app: TopApp) -> list[dict[str, str]]:
    found: DataTable[Any] = app.screen_stack[0].query_one("#rows", DataTable)
    names = [str(column.label) for column in found.ordered_columns]
    return [dict(zip(names, map(str, found.get_row_at(at)), strict=True)) for at in range(found.row_count)]


def said(app: TopApp, name: str) -> str:
    return "\n".join(app.screen_stack[0].query_one(f"#{name}", Log).lines)


def row(app: TopApp, slug: str) -> dict[str, str]:
    return next((each for each in table(app) if each["bottle"] == slug), {})


async def press(pilot: Pilot[None], app: TopApp, key: str, dialog: type[Any], *answer: str) -> None:
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, dialog))
    await pilot.press(*answer)
    await until(pilot, lambda: not isinstance(app.screen, dialog))


async def test_an_execution_is_seen_raised_and_cut(yard: Any) -> None:
    model = yard.script(replies=yard.replies(yard.test, yard.fix), faults=SLOW)
    execution = await yard.ask(model)
    slug = f"{execution}-agent"
    working = asyncio.create_task(yard.work(execution))
    async with watching(yard) as (pilot, app):
        await until(
            pilot, lambda: row(app, slug).get("stage") == "build" and "open 1" in row(app, slug)["wire"]
        )
        assert row(app, slug)["state"] == "executing" and row(app, slug)["agent"] == "builtin"
        await until(pilot, lambda: "Working." in said(app, "said"))
        await until(
            pilot, lambda: f"opened     {execution}-build" in said(app, "log") or "opened" in said(app, "log")
        )
        await press(pilot, app, "r", Line, *"99usd", "enter")
        await until(pilot, lambda: "this host allows 50 USD" in app.message)
        await press(pilot, app, "r", Line, *"8usd", "enter")
        await until(pilot, lambda: app.message == f"done: {slug} may spend 8 USD")
        assert yard.house.wire.budgets().cap("execution", execution) == Cap.parse("8usd")
        await until(pilot, lambda: app.selected is not None and app.selected.bindings[0].meters[0].cap == 8)
        await pilot.press("c")
        await until(pilot, lambda: f"{slug} is cut" in app.message)
        view = await working
        assert (view.state, view.parked_code) == (State.PARKED, "budget")
        await until(pilot, lambda: (row(app, slug)["state"], row(app, slug)["wire"]) == ("parked", "cut"))
        assert row(app, slug)["taken"] == "cut"


async def begun(yard: Any, label: str) -> tuple[asyncio.Task[Solo], asyncio.Event]:
    script = yard.script(replies=yard.replies("echo one > made"), faults=SLOW)
    ask = Ask(agent="builtin", prompt="Make it", cwd=yard.repository, label=label, model=script)
    wanted = await solo.look(yard.house, ask)
    second = asyncio.Event()

    def say(line: str) -> None:
        if line.startswith("bash"):
            second.set()

    working = asyncio.create_task(solo.start(yard.house, wanted, ask.prompt, say=say, begun=lambda _: None))
    return working, second


async def test_a_bottle_by_itself_is_raised_while_it_works_frozen_and_killed(yard: Any) -> None:
    working, second = await begun(yard, "alone")
    await asyncio.wait({working, asyncio.create_task(second.wait())}, return_when=asyncio.FIRST_COMPLETED)
    async with watching(yard) as (pilot, app):
        await until(pilot, lambda: row(app, "alone").get("state") == "running")
        await until(pilot, lambda: "bash: echo one > made" in said(app, "said"))
        await press(pilot, app, "r", Line, *"3usd", "enter")
        await until(pilot, lambda: app.message == "done: alone may spend 3 USD")
        await press(pilot, app, "f", Confirm, "y")
        await until(pilot, lambda: app.message == "done: alone is frozen")
        await asyncio.wait({working})
        records = solo.records(yard.house)
        assert records.get("alone").state is SoloState.FROZEN
        await until(pilot, lambda: row(app, "alone") == {})
        await pilot.press("v")
        await until(pilot, lambda: row(app, "alone").get("state") == "frozen")
        await press(pilot, app, "k", Confirm, "y")
        await until(pilot, lambda: app.message == "done: alone is cut, and torn down")
        assert not records.get("alone").archive
        await until(pilot, lambda: row(app, "alone").get("wire") == "cut")


async def test_a_killed_proxy_and_a_lost_store_are_said_and_survived(yard: Any) -> None:
    working, second = await begun(yard, "alone")
    await asyncio.wait({working, asyncio.create_task(second.wait())}, return_when=asyncio.FIRST_COMPLETED)
    async with watching(yard) as (pilot, app):
        await until(pilot, lambda: "open" in row(app, "alone").get("wire", ""))
        proxy = await yard.house.wire.status()
        working.cancel()  # so that nobody starts it again
        await asyncio.wait({working})
        await until(pilot, lambda: row(app, "alone").get("wire") == "closed")
        os.kill(proxy["pid"], signal.SIGKILL)
        await until(pilot, lambda: app.frame is not None and app.frame.board.proxy == "not running")
        budgets = Path(yard.house.state.root / "budgets.db")
        budgets.rename(budgets.with_suffix(".away"))
        await until(pilot, lambda: app.message.startswith("cannot look: "))
        budgets.with_suffix(".away").rename(budgets)
        await until(pilot, lambda: app.message == "looking again")
        assert row(app, "alone")["state"] == "stopped"
        with yard.house.wire.budgets().database.engine.connect() as writer:
            writer.execute(text("SELECT 1"))  # BEGIN IMMEDIATE came before it: nobody else writes
            before = app.frames
            await press(pilot, app, "r", Line, *"4usd", "enter")
            await until(pilot, lambda: app.frames > before + 3)
            assert app.message == "raising alone …"
            writer.rollback()
        await until(pilot, lambda: app.message == "done: alone may spend 4 USD")
