"""The screen: the table of bottles, one of them more closely, and the keys that do something to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Footer, Input, Log, Static, TabbedContent, TabPane

from boatwright import errors
from boatwright.cli.safe import one_line, printable
from boatwright.cli.top import text
from boatwright.cli.top.actions import Actions
from boatwright.cli.top.dialogs import Confirm, Help, Line, amount_refused
from boatwright.cli.top.parts import KEPT_LINES, AskTable, BottleTable, ProxyView
from boatwright.intake.watching import BEAT_SECONDS, Frame, Source
from boatwright.stages.board import Board, Row
from boatwright.values.asking import Ask, AskKind

EVERY_SECONDS = 1.0
PATIENCE = 3.0
"""Seconds after which a look that has not come back is spoken of."""

TABS = {"1": "budgets", "2": "output", "3": "proxy", "4": "asks"}
HELP = """One row is one bottle: an isolated place where an agent works, with one metered wire out.

c  cut      no model call of it is carried any more; the agent and its work stay
f  freeze   stop it and keep it as an archive; it can be resumed
k  kill     stop it for good; what is delivered stays, the bottle goes
r  raise    set its budget anew, within the ceiling of settings.yml
a  answer   what an agent asks: answer a question, grant a wish
x  refuse   the same, with a word why

1 2 3 4     budgets, agent output, proxy log, asks
p           proxy log of this bottle, or of all
v           bottles at rest, too: delivered, frozen, done
/           show only bottles that match; escape shows all again
escape      wait no longer for what is under way
q           quit; nothing stops because of that

A bar: # used, = held by calls under way, . left. The cap of which most is taken is in the table."""


class TopApp(App[None]):
    """One screen over one source. Nothing it does waits in the event loop, and no failure of a store ends it."""

    TITLE = "boatwright top"
    CSS_PATH = "screen.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "cut", "Cut"),
        Binding("f", "freeze", "Freeze"),
        Binding("k", "kill", "Kill"),
        Binding("r", "raise", "Raise"),
        Binding("a", "answer", "Answer"),
        Binding("x", "refuse", "Refuse", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("v", "everything", "All"),
        Binding("p", "proxy_of_all", "Proxy log", show=False),
        Binding("escape", "leave", "Leave", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        *(Binding(key, f"tab('{tab}')", tab, show=False) for key, tab in TABS.items()),
    ]

    def __init__(
        self, source: Source, actions: Actions, *, everything: bool = False, every: float = EVERY_SECONDS
    ) -> None:
        super().__init__()
        self._source, self._actions, self._every = source, actions, every
        self._soon = asyncio.Event()
        self.frame: Frame | None = None
        self.frames = 0
        """How many looks have been drawn."""
        self._everything = everything
        self._filter = ""
        self._stale = False
        self._make()

    def _make(self) -> None:
        """The parts of the screen, held: frames go on being drawn below a question, where nothing is found by name."""
        self._head = Static(Text("looking …"), id="head")
        self._table = BottleTable()
        self._field = Input(
            id="filter", placeholder="words of a bottle's name, agent, model, state", compact=True
        )
        self._one = (Static(id="about"), Static(id="caps"), Static(id="calls"))
        self._output = Log(id="said", max_lines=KEPT_LINES)
        self._proxy = ProxyView()
        self._asks = AskTable()
        self._tabs = TabbedContent(initial="budgets")
        self._message = Static(id="message")

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._table
        yield self._field
        with self._tabs:
            with TabPane("1 Budgets", id="budgets"), VerticalScroll(classes="scroll"):
                yield from self._one
            with TabPane("2 Agent output", id="output"):
                yield self._output
            with TabPane("3 Proxy log", id="proxy"):
                yield self._proxy
            with TabPane("4 Asks", id="asks"):
                yield self._asks
        yield self._message
        yield Footer()

    def on_mount(self) -> None:
        self._table.focus()
        self._watch()
        self._be_present()

    # --- looking -----------------------------------------------------------------------------------------

    @work(group="watch")
    async def _watch(self) -> None:
        while True:
            self._soon.clear()
            await self._look()
            try:
                async with asyncio.timeout(self._every):
                    await self._soon.wait()
            except TimeoutError:
                continue

    @work(group="present")
    async def _be_present(self) -> None:
        """Agents ask only while somebody is here to answer."""
        while True:
            try:
                await self._source.present()
            except (errors.BoatwrightError, OSError) as error:
                self.tell(f"agents cannot be told that you are here: {error}")
            await asyncio.sleep(BEAT_SECONDS)

    async def _look(self) -> None:
        """One frame, drawn; or why there is none. What is on the screen stays."""
        looking = asyncio.ensure_future(self._source.frame(self._table.chosen, everything=self._everything))
        try:
            while not (await asyncio.wait({looking}, timeout=PATIENCE))[0]:
                self._trouble("the store has not answered yet")
            frame = looking.result()
        except (errors.BoatwrightError, OSError) as error:
            self._trouble(str(error))
        else:
            if self.is_running:
                self._draw(frame)
        finally:
            looking.cancel()

    def _trouble(self, why: str) -> None:
        self._stale = True
        when = f"; what is shown is of {self.frame.board.at:%H:%M:%S} UTC" if self.frame else ""
        self.tell(f"cannot look: {why}{when}")

    def tell(self, sentence: str) -> None:
        """Say one sentence below the table; it stays until the next."""
        self._message.update(Text(one_line(sentence)))

    @property
    def _wide(self) -> bool:
        return self.size.width >= text.WIDE

    @property
    def message(self) -> str:
        return str(self._message.render())

    # --- drawing -----------------------------------------------------------------------------------------

    def _draw(self, frame: Frame) -> None:
        self.frame, self.frames = frame, self.frames + 1
        if self._stale:
            self._stale = False
            self.tell("looking again")
        self._draw_head(frame.board)
        self._draw_rows(frame.board)
        self._draw_one(frame)
        if frame.begins:
            self._output.clear()
        if frame.output:
            self._output.write_lines([printable(line) for line in frame.output])
        account = frame.selected.account if frame.selected else ""
        if frame.begins:
            self._proxy.again(account)
        self._proxy.add(text.proxy_lines(frame.proxy), account)
        self._draw_asks(frame.asks)

    def _draw_asks(self, asks: Sequence[Ask]) -> None:
        """What waits; what came since the last look is spoken of."""
        new = self._asks.show(asks)
        self._tabs.get_tab("asks").label = f"4 Asks ({len(asks)})" if asks else "4 Asks"
        if new:
            _, who, what, _ = text.ask_cells(new[0])
            self.tell(f"{who} asks: {what}. a answers, x refuses, 4 shows all")

    def _draw_head(self, board: Board) -> None:
        lines = [text.headline(board), *text.host_lines(board)]
        lines += [f"note: {one_line(notice)}" for notice in board.notices]
        self._head.update(Text("\n".join(lines)))

    def _draw_rows(self, board: Board) -> None:
        rows = [row for row in board.rows if text.fits(row, self._filter)]
        self._table.show(rows, self.size.width)

    def _draw_one(self, frame: Frame) -> None:
        row = frame.selected
        told = ("no bottle works or waits", "", "")
        if row is not None:
            told = (
                "\n".join(text.about(row)),
                "\n".join(text.budget_lines(row, width=text.WIDE_BAR if self._wide else text.NARROW_BAR)),
                "\n".join(text.detail_lines(frame.details)),
            )
        for part, lines in zip(self._one, told, strict=True):
            part.update(Text(lines))

    # --- choosing ----------------------------------------------------------------------------------------

    @property
    def selected(self) -> Row | None:
        """The bottle the cursor is on, as it was seen last."""
        rows = self.frame.board.rows if self.frame else ()
        return next((row for row in rows if row.account == self._table.chosen), None)

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        account = event.row_key.value or ""
        if event.data_table is self._table and account in self._table.shown and account != self._table.chosen:
            self._table.chosen = account
            self._soon.set()

    def on_resize(self) -> None:
        if self.frame is not None:
            self._draw_rows(self.frame.board)

    def action_tab(self, tab: str) -> None:
        self._tabs.active = tab
        (self._asks if tab == "asks" else self._table).focus()

    def action_everything(self) -> None:
        self._everything = not self._everything
        self.tell("bottles at rest are shown, too" if self._everything else "bottles at rest are left out")
        self._soon.set()

    def action_proxy_of_all(self) -> None:
        self._proxy.everyone = not self._proxy.everyone
        self.tell(f"the proxy log of {'all' if self._proxy.everyone else 'this bottle'}")
        self._proxy.again(self._table.chosen)

    def action_filter(self) -> None:
        self._field.add_class("shown")
        self._field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            self._filter = event.value
            if self.frame is not None:
                self._draw_rows(self.frame.board)
                self._soon.set()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            self._table.focus()

    def action_leave(self) -> None:
        """Out of the filter; else wait no longer for what is under way."""
        if self._field.has_class("shown"):
            self._field.value = ""
            self._field.remove_class("shown")
            self._table.focus()
        elif any(worker.group == "act" and worker.is_running for worker in self.workers):
            self.workers.cancel_group(self, "act")
            self.tell("not waited for any longer; what had begun may still be done")

    def action_help(self) -> None:
        self.push_screen(Help(HELP))

    # --- doing -------------------------------------------------------------------------------------------

    def action_cut(self) -> None:
        self._with_row(lambda row: self._do("cutting", row.slug, self._actions.cut(row)))

    @work(group="ask")
    async def action_freeze(self) -> None:
        await self._confirmed(
            "freezing",
            "Freeze {slug}?\n\nIts agent is stopped, what it did is saved, workspace and HOME become an archive. "
            "It can be resumed.",
            self._actions.freeze,
        )

    @work(group="ask")
    async def action_kill(self) -> None:
        row = self.selected
        what = (
            "Kill {slug}?\n\nIts wire is cut, its agent is stopped where it stands, and the bottle's directories go. What "
            "was saved last stays until boatwright bottle destroy."
            if row is not None and row.alone
            else "Kill {slug}?\n\nIts wire is cut, its agent is stopped where it stands, and its bottle goes. Its execution "
            "parks and keeps the last saved step; raise its budget to go on from there."
        )
        await self._confirmed("killing", what, self._actions.kill)

    @work(group="ask")
    async def action_raise(self) -> None:
        row = self.selected
        if row is None:
            self.tell("not done: no bottle is chosen")
            return
        caps = "\n".join(text.budget_lines(row, width=text.NARROW_BAR))
        what = f"Raise the budget of {one_line(row.slug)}.\n\n{caps}"
        amount = await self.push_screen_wait(
            Line(what, hint="such as 8usd, 3Mtok or 8usd,3Mtok", check=amount_refused)
        )
        if amount is not None:
            self._do("raising", row.slug, self._actions.raise_(row, amount))

    @work(group="ask")
    async def action_answer(self) -> None:
        ask = self._asked()
        if ask is None:
            return
        question = ask.wish.kind is AskKind.QUESTION
        what = (
            "" if question else "\n\nGrant it as it is with enter, or say how much, or which host, instead."
        )
        given = await self.push_screen_wait(
            Line(
                text.ask_words(ask) + what,
                hint="your answer" if question else ask.wish.wanted,
                check=lambda typed: "an answer has words in it" if question and not typed.strip() else "",
            )
        )
        if given is not None:
            self._do("answering", ask.id, self._actions.answer(ask, given))

    @work(group="ask")
    async def action_refuse(self) -> None:
        ask = self._asked()
        if ask is None:
            return
        why = await self.push_screen_wait(
            Line(
                f"Refuse this?\n\n{text.ask_words(ask)}",
                hint="why; the agent is told",
                check=lambda typed: "" if typed.strip() else "say why: the agent is told",
            )
        )
        if why is not None:
            self._do("refusing", ask.id, self._actions.refuse(ask, why))

    def _asked(self) -> Ask | None:
        ask = self._asks.chosen
        if ask is None:
            self.tell("not done: nobody asks for anything")
        return ask

    async def _confirmed(self, doing: str, what: str, act: Callable[[Row], Coroutine[Any, Any, str]]) -> None:
        row = self.selected
        if row is None:
            self.tell("not done: no bottle is chosen")
        elif await self.push_screen_wait(Confirm(what.format(slug=one_line(row.slug)))):
            self._do(doing, row.slug, act(row))

    def _with_row(self, act: Callable[[Row], None]) -> None:
        row = self.selected
        if row is None:
            self.tell("not done: no bottle is chosen")
        else:
            act(row)

    def _do(self, doing: str, whom: str, act: Coroutine[Any, Any, str]) -> None:
        self.tell(f"{doing} {whom} …")
        self.run_worker(self._act(act), group="act", name=f"{doing} {whom}")

    async def _act(self, act: Coroutine[Any, Any, str]) -> None:
        try:
            self.tell(f"done: {await act}")
        except (errors.BoatwrightError, OSError) as error:
            moves = "; ".join(error.next_moves[:2]) if isinstance(error, errors.BoatwrightError) else ""
            self.tell(f"not done: {error}{f' → {moves}' if moves else ''}")
        self._soon.set()
