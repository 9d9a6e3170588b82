"""What is a key, and which requests under one are the same."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.rules import keyed

ASKED = {"repository": "/srv/a", "text": "x", "bottles": ("one", "two"), "issue": None, "only_plan": False}


@pytest.mark.parametrize("text", ["a", "7d1c2c1e-nightly", "with a blank", "~" * 200, "!"])
def test_keys(text: str) -> None:
    assert keyed.key(text, ASKED).text == text


@pytest.mark.parametrize("text", ["", "x" * 201, "é", "a\n", "\n", "a\tb", "a\x00", "\x7f", "\ud800"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(errors.BadInput, match="1 to 200 printable ASCII") as caught:
        keyed.key(text, ASKED)
    assert caught.value.next_moves and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"issue": None, "record": False, "model": None}, True),
        ({"text": "x "}, False),
        ({"repository": "/srv/b"}, False),
        ({"bottles": ("two", "one")}, False),
        ({"only_plan": True}, False),
        ({"budget": "5usd"}, False),
        ({"bottles": ()}, False),
    ],
)
def test_the_same_request(changes: dict[str, object], same: bool) -> None:
    before = keyed.key("k", ASKED)
    now = keyed.key("k", {**ASKED, **changes})
    assert (now == before) is same
    if same:
        keyed.refuse_other(now, before.digest, "ex-1")
        return
    with pytest.raises(errors.KeyTaken, match="another request before, which is execution ex-1") as caught:
        keyed.refuse_other(now, before.digest, "ex-1")
    assert caught.value.exit_code == 6 and caught.value.subject == "ex-1"
