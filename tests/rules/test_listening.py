"""Where doors may listen, and how that is written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from boatwright import errors
from boatwright.rules import listening
from boatwright.rules.listening import Place
from boatwright.values.register import ApiToken

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def known(*, revoked: bool) -> ApiToken:
    return ApiToken("a", "0", "me", NOW, NOW if revoked else None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("127.0.0.1:8643", Place("127.0.0.1", 8643)),
        ("0.0.0.0:0", Place("0.0.0.0", 0)),
        ("[::]:443", Place("::", 443)),
        ("localhost:65535", Place("localhost", 65535)),
    ],
)
def test_a_place_reads_as_it_is_written(text: str, place: Place) -> None:
    assert Place.parse(text) == place and str(place) == text


@pytest.mark.parametrize(
    "text",
    ["", "8643", ":8643", "host", "host:", "host:x", "::1:80", "a:65536", "a:1 ", "a b:1", "http://a:1"],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(errors.BadInput, match="HOST:PORT") as refused:
        Place.parse(text)
    assert refused.value.next_moves


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
        ("localhost.example.org", False),
        ("", False),
        ("127.0.0.1.", False),
    ],
)
def test_who_may_listen_where(host: str, loopback: bool) -> None:
    assert listening.loopback(host) is loopback
    assert listening.may_listen(host, []) is loopback
    assert listening.may_listen(host, [known(revoked=True)]) is loopback
    assert listening.may_listen(host, [known(revoked=False)])
