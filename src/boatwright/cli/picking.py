"""Asking the person who starts a bottle for what they did not say: plain lists, a number or a name, Enter for the usual."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar, get_args

import typer

from boatwright import errors
from boatwright.agents import registry
from boatwright.cli import common
from boatwright.cli.safe import one_line
from boatwright.config.manifest import Color
from boatwright.config.shelf import BOTTLES, Shelf
from boatwright.intake.solo import Ask
from boatwright.rules import labels, picking

T = TypeVar("T")
Read = Callable[[str], str]
"""Shows a question and reads the line that answers it. Raises ``typer.Abort`` when nobody will answer."""


def typed(question: str) -> str:
    """One line from this terminal. Its end is no answer."""
    common.out.print(question, end="")
    line = sys.stdin.readline()
    if not line:
        common.out.print()
        raise typer.Abort
    return line


def agent(shelf: Shelf, read: Read = typed) -> str:
    """Who works: of the manifests that can be used, and the programs there are."""
    written = {each.name: each for each in shelf.agents() if each.agent is not None}
    names = list(dict.fromkeys((*written, *(each.name for each in registry.PROGRAMS))))
    notes = [written[name].file if name in written else "" for name in names]
    _list("agents", names, notes)
    return _asked("agent: ", lambda text: picking.one(text, names), read)


def rest(ask: Ask, shelf: Shelf, read: Read = typed) -> Ask:
    """What else was not said: bottles (where there are any), label, colour."""
    names = shelf.names(BOTTLES)
    if ask.bottles is None and names:
        _list("bottles", names, [""] * len(names))
        question = f"bottles, in order (Enter: the agent's own, {picking.NONE}: none): "
        ask = replace(ask, bottles=_asked(question, lambda text: picking.several(text, names), read))
    if ask.label is None:
        ask = replace(ask, label=_asked("label (Enter: the agent's name): ", _label, read))
    if ask.color is None:
        colors = get_args(Color)
        question = f"colour, one of {', '.join(colors)} (Enter: the agent's): "
        ask = replace(ask, color=_asked(question, lambda text: _optional(text, colors), read))
    return ask


def agreed(question: str, read: Read = typed) -> bool:
    """y or n, until it is one of them."""
    while (said := picking.agreed(read(question))) is None:
        common.say("type y or n")
    return said


def _label(text: str) -> str | None:
    label = text.strip()
    if label:
        labels.refuse(label)
    return label or None


def _optional(text: str, names: Sequence[str]) -> str | None:
    return picking.one(text, names) if text.strip() else None


def _list(title: str, names: Sequence[str], notes: Sequence[str]) -> None:
    common.say(f"{title}:")
    for number, (name, note) in enumerate(zip(names, notes, strict=True), start=1):
        common.say(f"  {number:>3}  {one_line(name):<24} {one_line(note)}".rstrip())


def _asked(question: str, understand: Callable[[str], T], read: Read) -> T:
    """Asked again until it is understood."""
    while True:
        try:
            return understand(read(question))
        except errors.BadInput as error:
            common.say(f"{error}")
