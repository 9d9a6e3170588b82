"""Marks nobody sees: written, read again, and believed only of ourselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright import errors
from boatwright.forge import marks

ONCE = "0123456789abcdef" * 2


@given(
    text=st.text(max_size=200),
    marker=st.one_of(st.just(""), st.from_regex(r"[a-z]{1,10}:[a-z0-9-]{1,20}", fullmatch=True)),
    issue=st.none() | st.integers(0, 10**9),
    once=st.sampled_from(["", ONCE]),
)
def test_what_is_written_is_read(text: str, marker: str, issue: int | None, once: str) -> None:
    found = marks.read(marks.write(text, marker=marker, issue=issue, once=once), ours=True)
    if marks.read(text, ours=True).text == text:  # a text that ends with a mark of its own is not this one's
        assert (found.marker, found.issue, found.once) == (marker, issue, once)
        assert found.text.rstrip("\n") == marks.storable(text).rstrip("\n")


def test_somebody_else_has_no_marks() -> None:
    text = marks.write("hello", marker="living:ex-1", issue=7)
    assert marks.read(text, ours=False) == marks.Marked(text)


def test_a_long_text_is_cut_and_keeps_its_marks() -> None:
    text = marks.write("x" * 200_000, marker="living:ex-1", issue=7, once=ONCE)
    assert len(text) < 65_536
    found = marks.read(text, ours=True)
    assert (found.marker, found.issue, found.once) == ("living:ex-1", 7, ONCE)
    assert found.text.endswith("the text is longer than the forge takes)")


@pytest.mark.parametrize(("url", "found"), [
    ("https://f/o/r/commit/abc#boatwright=ex-1%3Averify&conclusion=neutral", ("ex-1:verify", "neutral")),
    ("https://f/o/r/commit/abc", None),
    ("https://f/o/r#conclusion=success", None),
    ("", None),
])  # fmt: skip
def test_a_status_says_whose_it_is(url: str, found: tuple[str, str] | None) -> None:
    assert marks.status_marks(url) == found


@given(external_id=st.text(min_size=1, max_size=50), conclusion=st.sampled_from(["success", "neutral"]))
def test_any_external_id_survives_an_address(external_id: str, conclusion: str) -> None:
    external_id = marks.storable(external_id)
    url = marks.status_url("https://f/o/r/commit/abc", external_id, conclusion)
    assert marks.status_marks(url) == (external_id, conclusion)


@pytest.mark.parametrize(("text", "title"), [("a\nb\tc", "a b c"), ("  x ", "x"), ("y" * 900, "y" * 250)])
def test_a_title_is_one_line(text: str, title: str) -> None:
    assert marks.one_line(text) == title


def test_an_empty_title_is_refused() -> None:
    with pytest.raises(errors.BadInput):
        marks.one_line(" \n ")
