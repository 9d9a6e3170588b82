"""The questions the screen asks: are you sure, how much, which."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from boatwright import errors
from boatwright.values.usage import Cap


class Confirm(ModalScreen[bool]):
    """Says what will happen; ``y`` does it, anything else does not."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("n,escape,enter,q", "answer(False)", "No"),
    ]

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._what), classes="what")
            yield Static(Text("y yes   n no"), classes="keys")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class Line(ModalScreen[str | None]):
    """One line of text; ``check`` says in a sentence what is wrong with it, or nothing. None: changed their mind."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Leave it")]

    def __init__(self, what: str, *, hint: str, check: Callable[[str], str]) -> None:
        super().__init__()
        self._what, self._hint, self._check = what, hint, check

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(Text(self._what), classes="what")
            yield Input(placeholder=self._hint, id="line")
            yield Static("", id="wrong")
            yield Static(Text("enter do it   escape leave it"), classes="keys")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        wrong = self._check(event.value)
        if wrong:
            self.query_one("#wrong", Static).update(Text(f"not done: {wrong}"))
        else:
            self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)


def amount_refused(text: str) -> str:
    """What is wrong with an amount as typed; nothing where it is one."""
    try:
        Cap.parse(text)
    except errors.BadInput as error:
        return str(error)
    return ""


class Help(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,question_mark,q,enter", "leave", "Back")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog help"):
            yield Static(Text(self._text))

    def action_leave(self) -> None:
        self.dismiss(None)
