"""What quotes a stranger gives the stranger no orders at GitLab."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.forge import gitlab_words

ORDERS = [
    "/merge",
    "please\n/close",
    "a\r\n/assign @me",
    "a\r/label ~x",
    "```\n/merge\n```",
    "  /merge",
    "\t/close\n/merge",
]


@pytest.mark.parametrize("text", ORDERS)
def test_no_line_begins_with_an_order(text: str) -> None:
    assert not re.search(r"^\s*/", gitlab_words.harmless(text), re.MULTILINE)


@given(st.text(alphabet="/\\ \n\ta", max_size=40))
def test_a_text_without_escapes_of_its_own_comes_back(text: str) -> None:
    made = gitlab_words.harmless(text)
    assert not re.search(r"^[ \t]*/", made, re.MULTILINE)
    if not re.search(r"^[ \t]*\\/", text, re.MULTILINE):
        assert gitlab_words.as_written(made) == text


def test_a_path_in_a_sentence_stays() -> None:
    assert gitlab_words.harmless("see /etc/hosts and a/b") == "see /etc/hosts and a/b"


def test_what_people_wrote_before_stays_and_the_same_words_further_on_do_not() -> None:
    theirs = "Run\n```\n/usr/bin/env\n/close\n```"
    made = gitlab_words.harmless(f"{theirs}\n\nWe add\n/close", after=theirs)
    assert made == f"{theirs}\n\nWe add\n\\/close"
    assert gitlab_words.harmless("/close", after="") == "\\/close"
    assert gitlab_words.harmless("x\n/close", after="/close") == "x\n\\/close"
