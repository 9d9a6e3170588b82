"""GitLab counts issues and merge requests apart; a number of ours names one thing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import gitlab_numbers as numbers

iids = st.integers(1, 1_000_000)
notes = st.integers(1, 1 << 36)


@given(iids, iids)
def test_an_issue_and_a_merge_request_never_share_a_number(issue: int, pull: int) -> None:
    assert numbers.pull_number(pull) != issue
    assert not numbers.is_pull(issue)
    assert numbers.is_pull(numbers.pull_number(pull))
    assert (numbers.iid(issue), numbers.iid(numbers.pull_number(pull))) == (issue, pull)


@given(notes, iids, st.booleans())
def test_a_comment_knows_its_note_and_its_thread(note: int, iid: int, pull: bool) -> None:
    number = numbers.pull_number(iid) if pull else iid
    comment = numbers.comment_id(note, number)
    assert numbers.note_of(comment) == (note, number)
    assert comment < 1 << 63


@pytest.mark.parametrize(("number", "shown"), [(7, "#7"), (10_000_005, "!5")])
def test_people_see_what_gitlab_shows(number: int, shown: str) -> None:
    assert numbers.shown(number) == shown
