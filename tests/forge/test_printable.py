"""What strangers write never reaches a terminal as a command."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.cli.safe import one_line, printable


@pytest.mark.parametrize(
    ("given_", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("over\rwritten", r"over\rwritten"),
        ("back\x08space", r"back\x08space"),
        ("if user != \u202e admin", r"if user != \u202e admin"),
        ("\u2066isolate\u2069", r"\u2066isolate\u2069"),
        ("line\u2028separator", r"line\u2028separator"),
        ("\ud800", r"\ud800"),
        ("\U000e0041 tag", r"\U000e0041 tag"),
        ("naïve 🚢 日本語", "naïve 🚢 日本語"),
        ("👩\u200d🔧", "👩\u200d🔧"),
    ],
)
def test_table(given_: str, shown: str) -> None:
    assert printable(given_) == shown


def test_one_line_has_no_line_break() -> None:
    assert one_line("a\n\tb\r\nc\x1b") == r"a b c\x1b"


@given(st.text())
def test_nothing_that_controls_comes_through(text: str) -> None:
    shown = printable(text)
    kinds = {unicodedata.category(character) for character in shown if character not in "\n\t\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown
