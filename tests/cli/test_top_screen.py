"""The screen, driven: what is on it, what the keys do, on 80 columns and wide, with everything in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, Log, Static

from boatwright import errors
from boatwright.cli.top.app import TopApp
from boatwright.cli.top.dialogs import Confirm, Help, Line
from boatwright.rules.board import Place
from boatwright.rules.budget import Scope
from boatwright.stages.board import Row
from boatwright.testing.board import DAY, FixedSource, account, ask, board, row
from boatwright.values.asking import Ask, AskKind

CHAIN = [
    account(Scope.EXECUTION, "ex-1", 5, used=(1.25, 0), held=(0.5, 0), hard=True),
    account(Scope.HOST, "*", 50, period=DAY, used=(6.4213, 0), hard=True),
]
ONE = row("ex-1-agent", CHAIN, state="EXECUTING", stage="build", words="bash: make test")
TWO = row("manual", CHAIN, state="stopped", place=Place.STOPPED, wire="closed", connections=0, agent="pi")
Screen = Pilot[None]


class Noted:
    """Actions that write down what they were asked for, and wait or fail when told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.failure: errors.BoatwrightError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = False

    async def _note(self, *asked: str) -> str:
        self.asked.append(asked)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.failure is not None:
            raise self.failure
        return " ".join(asked)

    async def cut(self, row: Row) -> str:
        return await self._note("cut", row.slug)

    async def freeze(self, row: Row) -> str:
        return await self._note("freeze", row.slug)

    async def kill(self, row: Row) -> str:
        return await self._note("kill", row.slug)

    async def raise_(self, row: Row, amount: str) -> str:
        return await self._note("raise", row.slug, amount)

    async def answer(self, ask: Ask, text: str) -> str:
        return await self._note("answer", ask.id, text)

    async def refuse(self, ask: Ask, why: str) -> str:
        return await self._note("refuse", ask.id, why)


@pytest.fixture
def actions() -> Noted:
    return Noted()


def screen(source: FixedSource, actions: Noted) -> TopApp:
    # Keys are taken when all that was drawn before them has settled: looks must leave a slow machine the time for it.
    return TopApp(source, actions, every=0.5)


async def until(pilot: Screen, true: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await pilot.pause(0.01)


async def drawn(pilot: Screen) -> TopApp:
    """The next look is on the screen."""
    app: TopApp = pilot.app  # type: ignore[assignment]
    before = app.frames
    await until(pilot, lambda: app.frames > before + 1)
    return app


def lines(app: TopApp, name: str) -> str:
    return str(app.screen_stack[0].query_one(f"#{name}", Static).render())


def said(app: TopApp, name: str) -> list[str]:
    return list(app.screen_stack[0].query_one(f"#{name}", Log).lines)


def table(app: TopApp) -> list[list[str]]:
    found: DataTable[Any] = app.screen_stack[0].query_one("#rows", DataTable)
    return [[str(cell) for cell in found.get_row_at(at)] for at in range(found.row_count)]


@pytest.mark.parametrize(
    ("size", "columns"),
    [
        ((80, 24), ["ex-1-agent", "executing", "0.3124", "[##=.....] 35 %", "open 1"]),
        (
            (144, 40),
            [
                "ex-1-agent",
                "executing",
                "build",
                "claude",
                "7 min",
                "4",
                "84,210",
                "0.3124",
                "[##=.....] 35 %",
                "open 1",
                "0",
            ],
        ),
    ],
)
async def test_bottles_are_in_the_table(actions: Noted, size: tuple[int, int], columns: list[str]) -> None:
    async with screen(FixedSource(board(ONE, TWO)), actions).run_test(size=size) as pilot:
        app = await drawn(pilot)
        assert table(app)[0] == columns and table(app)[1][:2] == ["manual", "stopped"]
        assert "2 bottles, 1 working; the proxy runs" in lines(app, "head")
        assert "used 6.4213, held 0.4110, left 43.1677 of 50.0000 USD" in lines(app, "head")
        assert "execution ex-1 (governs, hard)" in lines(app, "caps")
        assert "says: bash: make test" in lines(app, "about")


async def test_the_one_the_cursor_is_on_is_shown_and_stays_chosen_when_rows_move(actions: Noted) -> None:
    source = FixedSource(board(ONE, TWO))
    async with screen(source, actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("down")
        await until(pilot, lambda: "agent pi" in lines(app, "about"))
        source.board = board(row("new", CHAIN), TWO, ONE)
        await until(pilot, lambda: len(table(app)) == 3)
        assert app.selected is not None and app.selected.slug == "manual"
        source.board = board(ONE)
        await until(pilot, lambda: len(table(app)) == 1)
        assert app.selected is not None and app.selected.slug == "ex-1-agent"
        source.board = board()
        await until(pilot, lambda: "no bottle works or waits" in lines(app, "about"))
        assert app.selected is None
        await pilot.press("c")
        assert app.message == "not done: no bottle is chosen" and actions.asked == []


async def test_cut_is_done_at_once(actions: Noted) -> None:
    async with screen(FixedSource(board(ONE, TWO)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("down")
        await until(pilot, lambda: app.selected is not None and app.selected.slug == "manual")
        await pilot.press("c")
        await until(pilot, lambda: app.message == "done: cut manual")
        assert actions.asked == [("cut", "manual")]


@pytest.mark.parametrize(("key", "what"), [("f", "freeze"), ("k", "kill")])
async def test_freeze_and_kill_say_what_will_happen_and_ask(actions: Noted, key: str, what: str) -> None:
    async with screen(FixedSource(board(ONE)), actions).run_test() as pilot:
        app = await drawn(pilot)
        for answer in ("n", "escape", "enter"):
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, Confirm))
            asked = str(app.screen.query(Static).first().render())
            assert asked.startswith(f"{what.capitalize()} ex-1-agent?") and len(asked) > 60
            await pilot.press(answer)
            await until(pilot, lambda: not isinstance(app.screen, Confirm))
        assert actions.asked == []
        await pilot.press(key)
        await until(pilot, lambda: isinstance(app.screen, Confirm))
        await pilot.press("y")
        await until(pilot, lambda: app.message == f"done: {what} ex-1-agent")
        assert actions.asked == [(what, "ex-1-agent")]


async def test_raise_takes_an_amount_and_says_what_is_wrong_with_it(actions: Noted) -> None:
    async with screen(FixedSource(board(ONE)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Line))
        await pilot.press(*"much", "enter")
        wrong = app.screen.query_one("#wrong", Static)
        await until(pilot, lambda: "'much' is not a budget" in str(wrong.render()))
        await pilot.press(*["backspace"] * 4, *"8usd", "enter")
        await until(pilot, lambda: app.message == "done: raise ex-1-agent 8usd")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, Line))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Line))
        assert actions.asked == [("raise", "ex-1-agent", "8usd")]


async def test_a_refusal_is_one_sentence_with_what_to_do(actions: Noted) -> None:
    actions.failure = errors.AboveCeiling("this host allows 50 USD", next_moves=("ask for less",))
    async with screen(FixedSource(board(ONE)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("c")
        await until(pilot, lambda: app.message == "not done: this host allows 50 USD → ask for less")


async def test_what_takes_long_does_not_stop_the_screen_and_need_not_be_waited_for(actions: Noted) -> None:
    actions.gate.clear()
    async with screen(FixedSource(board(ONE)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("c")
        await until(pilot, lambda: actions.asked)
        assert app.message == "cutting ex-1-agent …"
        await drawn(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: actions.cancelled)
        assert "not waited for any longer" in app.message


@pytest.mark.parametrize(
    "failure", [errors.StoreUnavailable("the ledger is locked"), OSError(5, "Input/output error")]
)
async def test_a_store_that_fails_is_said_and_looked_at_again(actions: Noted, failure: Exception) -> None:
    source = FixedSource(board(ONE))
    async with screen(source, actions).run_test() as pilot:
        app = await drawn(pilot)
        source.failure = failure
        await until(pilot, lambda: app.message.startswith("cannot look: "))
        assert str(failure) in app.message and "what is shown is of 15:04:05 UTC" in app.message
        assert table(app)[0][0] == "ex-1-agent"
        source.failure = None
        await until(pilot, lambda: app.message == "looking again")


async def test_output_and_proxy_log_follow_and_are_only_shown(actions: Noted) -> None:
    proxy = [
        '{"at": "2026-01-02T03:04:05+00:00", "what": "closed", "wire": "ex-1-build-1"}',
        '{"at": "2026-01-02T03:04:06+00:00", "what": "closed", "wire": "ex-2-build-1"}',
    ]
    source = FixedSource(board(ONE, TWO), output=["plain", "[red]\x1b[2J\u202e[/]"], proxy=proxy)
    async with screen(source, actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("2")
        await until(pilot, lambda: len(said(app, "said")) >= 2)
        assert said(app, "said")[:2] == ["plain", "[red]\\x1b[2J\\u202e[/]"]
        await pilot.press("3")
        assert [each for each in said(app, "log") if each] == ["03:04:05 closed ex-1-build-1"]
        await pilot.press("p")
        await until(pilot, lambda: len([each for each in said(app, "log") if each]) == 2)


async def test_what_agents_ask_is_shown_answered_granted_and_refused(actions: Noted) -> None:
    question = ask("ask-1", AskKind.QUESTION, "Which [red]\x1b[2Jport?")
    more = ask("ask-2", AskKind.BUDGET, "It is long", "2usd", bottle="manual")
    source = FixedSource(board(ONE, TWO), asks=[question])
    async with screen(source, actions).run_test() as pilot:
        app = await drawn(pilot)
        assert source.beats >= 1
        await until(pilot, lambda: app.message.startswith("ex-1-agent asks: question"))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Line))
        assert "| Which [red]\\x1b[2Jport?" in str(app.screen.query(Static).first().render())
        await pilot.press("enter")
        wrong = app.screen.query_one("#wrong", Static)
        await until(pilot, lambda: "an answer has words in it" in str(wrong.render()))
        await pilot.press(*"8080", "enter")
        await until(pilot, lambda: app.message == "done: answer ask-1 8080")
        source.asks = [more]
        await until(pilot, lambda: app.message.startswith("manual asks: budget 2usd"))
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Line))
        await pilot.press("enter")
        await until(pilot, lambda: app.message == "done: answer ask-2")
        await pilot.press("4", "x")
        await until(pilot, lambda: isinstance(app.screen, Line))
        await pilot.press(*"no", "enter")
        await until(pilot, lambda: app.message == "done: refuse ask-2 no")
        source.asks = []
        await until(pilot, lambda: app.screen_stack[0].query_one("#wishes", DataTable).row_count == 0)
        await pilot.press("a")
        assert app.message == "not done: nobody asks for anything"
        assert [each[:2] for each in actions.asked] == [
            ("answer", "ask-1"),
            ("answer", "ask-2"),
            ("refuse", "ask-2"),
        ]


async def test_markup_in_names_is_text(actions: Noted) -> None:
    evil = row("manual", CHAIN, agent="[bold]x[/bold]\x1b[0m", words="[link=x]y")
    async with screen(FixedSource(board(evil)), actions).run_test(size=(144, 40)) as pilot:
        app = await drawn(pilot)
        assert table(app)[0][3] == "[bold]x[/bold]\\x1b[0m" and "[link=x]y" in lines(app, "about")


async def test_the_filter_narrows_and_escape_shows_all_again(actions: Noted) -> None:
    async with screen(FixedSource(board(ONE, TWO)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("slash", *"stopped", "enter")
        await until(pilot, lambda: [cells[0] for cells in table(app)] == ["manual"])
        await until(pilot, lambda: app.selected is not None and app.selected.slug == "manual")
        await pilot.press("c")
        await until(pilot, lambda: actions.asked == [("cut", "manual")])
        await pilot.press("escape")
        await until(pilot, lambda: len(table(app)) == 2)
        assert not app.query_one("#filter", Input).has_class("shown")


async def test_help_lists_every_key(actions: Noted) -> None:
    async with screen(FixedSource(board(ONE)), actions).run_test(size=(80, 24)) as pilot:
        app = await drawn(pilot)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Help))
        told = str(app.screen.query_one(Static).render())
        for key in ("c ", "f ", "k ", "r ", "a ", "x ", "1 2 3 4", "p ", "v ", "/ ", "escape", "q "):
            assert f"\n{key}" in told or told.startswith(key), key
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Help))


async def test_it_fits_a_terminal_however_small_and_follows_its_size(actions: Noted) -> None:
    async with screen(FixedSource(board(ONE, TWO)), actions).run_test(size=(80, 24)) as pilot:
        app = await drawn(pilot)
        assert len(table(app)[0]) == 5
        await pilot.resize_terminal(144, 40)
        await until(pilot, lambda: len(table(app)[0]) == 11)
        await pilot.resize_terminal(40, 10)
        await until(pilot, lambda: len(table(app)[0]) == 5)
        assert app.is_running


async def test_q_leaves_while_something_is_under_way(actions: Noted) -> None:
    actions.gate.clear()
    async with screen(FixedSource(board(ONE)), actions).run_test() as pilot:
        app = await drawn(pilot)
        await pilot.press("c")
        await until(pilot, lambda: actions.asked)
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
