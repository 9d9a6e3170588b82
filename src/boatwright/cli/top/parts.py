"""The parts of the screen that remember what they show: the table of bottles, the requests, the proxy log."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from rich.text import Text
from textual.widgets import DataTable, Log

from boatwright.cli.top import text
from boatwright.cli.top.text import COLUMNS, ProxyLine
from boatwright.stages.board import Row
from boatwright.values.asking import Ask

KEPT_LINES = 2_000
_RIGHT = {each.name for each in COLUMNS if each.right}


class BottleTable(DataTable[Text]):
    """One row a bottle. ``chosen`` is the account of the one the cursor is on, wherever it moves."""

    def __init__(self) -> None:
        super().__init__(id="rows", cursor_type="row", zebra_stripes=True)
        self.chosen = ""
        self.shown: tuple[str, ...] = ()
        self._names: tuple[str, ...] = ()

    def show(self, rows: Sequence[Row], width: int) -> None:
        """In place where the same bottles stand there; else anew, the cursor on the same bottle."""
        self._set_columns(width)
        if tuple(row.account for row in rows) != self.shown:
            self._lay(rows)
            return
        for row in rows:
            for name, cell in self._cells(row).items():
                if self.get_cell(row.account, name) != cell:
                    self.update_cell(row.account, name, cell)

    def _set_columns(self, width: int) -> None:
        fitting = text.columns(width)
        names = tuple(each.name for each in fitting)
        if names == self._names:
            return
        self.clear(columns=True)
        for each in fitting:
            self.add_column(_aligned(each.name, each.name), key=each.name, width=each.width)
        self._names, self.shown = names, ()

    def _lay(self, rows: Sequence[Row]) -> None:
        self.clear()
        for row in rows:
            self.add_row(*self._cells(row).values(), key=row.account)
        self.shown = tuple(row.account for row in rows)
        at = self.shown.index(self.chosen) if self.chosen in self.shown else 0
        self.move_cursor(row=at, animate=False)
        self.chosen = self.shown[at] if self.shown else ""

    def _cells(self, row: Row) -> dict[str, Text]:
        told = text.cells(row)
        return {name: _aligned(name, told[name]) for name in self._names}


def _aligned(column: str, words: str) -> Text:
    return Text(words, justify="right" if column in _RIGHT else "left")


class AskTable(DataTable[Text]):
    """What agents ask for, the oldest first."""

    def __init__(self) -> None:
        super().__init__(id="wishes", cursor_type="row")
        self._asks: tuple[Ask, ...] = ()

    def on_mount(self) -> None:
        for name, width in (("id", 12), ("bottle", 21), ("asks for", 22), ("in its words", 80)):
            self.add_column(name, width=width)

    @property
    def chosen(self) -> Ask | None:
        """The request the cursor is on; the oldest, where nobody moved it."""
        return self._asks[self.cursor_row] if self.cursor_row < len(self._asks) else None

    def show(self, asks: Sequence[Ask]) -> Sequence[Ask]:
        """Show them; returns those that were not there before."""
        before, at = self._asks, self.cursor_row
        self._asks = tuple(asks)
        if self._asks == before:
            return ()
        self.clear()
        for each in asks:
            self.add_row(*map(Text, text.ask_cells(each)), key=each.id)
        self.move_cursor(row=min(at, max(0, len(asks) - 1)), animate=False)
        known = {each.id for each in before}
        return [each for each in asks if each.id not in known]


class ProxyView(Log):
    """The proxy's log, of one account or (``everyone``) of all."""

    def __init__(self) -> None:
        super().__init__(id="log", max_lines=KEPT_LINES)
        self._kept: deque[ProxyLine] = deque(maxlen=KEPT_LINES)
        self.everyone = False

    def add(self, lines: Sequence[ProxyLine], account: str) -> None:
        self._kept.extend(lines)
        self.write_lines(self._of(lines, account))

    def again(self, account: str) -> None:
        """Write anew what is kept: somebody else's is looked at."""
        self.clear()
        self.write_lines(self._of(self._kept, account))

    def _of(self, lines: Iterable[ProxyLine], account: str) -> list[str]:
        return [each.text for each in lines if self.everyone or not account or text.of_account(each, account)]
