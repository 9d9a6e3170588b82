"""Which header holds which token, and whose it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from boatwright.rules import tokens
from boatwright.values.register import ApiToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def known(name: str, token: str, *, revoked: bool = False) -> ApiToken:
    return ApiToken(name, tokens.digest(token), "me", NOW, NOW if revoked else None)


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer bwt_ab12", "bwt_ab12"),
        ("bearer bwt_ab12", "bwt_ab12"),
        ("BEARER   bwt_ab12  ", "bwt_ab12"),
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("bwt_ab12", None),
        ("Basic bwt_ab12", None),
        ("Bearer bwt_ab12 more", None),
        ("Bearer bwt_ab12, Bearer x", None),
        (" Bearer bwt_ab12", None),
        ("Bearer bwt_é", None),
        ("Bearer bwt_ab\n12", None),
        ("Bearer " + "a" * 300, None),
    ],
)
def test_the_token_of_a_header(header: str | None, token: str | None) -> None:
    assert tokens.bearer(header) == token


@pytest.mark.parametrize(
    ("token", "name"),
    [("one", "a"), ("two", "b"), ("gone", None), ("", None), ("On", None), ("one ", None), ("\udc80", None)],
)
def test_whose_a_token_is(token: str, name: str | None) -> None:
    register = [known("a", "one"), known("b", "two"), known("c", "gone", revoked=True)]
    found = tokens.holder(token, register)
    assert (found.name if found else None) == name
    assert tokens.holder(token, []) is None


@pytest.mark.parametrize(
    ("seconds", "stale"), [(None, True), (0, False), (59.9, False), (60, True), (-5, False)]
)
def test_when_its_use_is_written_anew(seconds: float | None, stale: bool) -> None:
    used = None if seconds is None else NOW - timedelta(seconds=seconds)
    token = ApiToken("a", "", "me", NOW, None, used)
    assert tokens.stale(token, NOW) is stale
