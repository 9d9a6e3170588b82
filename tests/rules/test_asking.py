"""What may be asked, what may be granted, and what an agent is told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from boatwright import errors
from boatwright.rules import asking
from boatwright.rules.asking import NotAsked
from boatwright.values.asking import Ask, AskKind, AskState, Wish
from boatwright.values.usage import Cap


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("example.org", "example.org:443"),
        ("Example.ORG.:8443", "example.org:8443"),
        ("  example.org  ", "example.org:443"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("[2001:db8::1]:443", "[2001:db8::1]:443"),
    ],
)
def test_a_destination_is_one_host_and_a_port(host: str, wanted: str) -> None:
    assert asking.destination(host) == wanted


@pytest.mark.parametrize(
    "host",
    ["", "*.example.org", "https://example.org/", "a b", "example.org:0", "example.org:x", "0x7f000001"],
)
def test_what_is_no_host_cannot_be_asked_for(host: str) -> None:
    with pytest.raises(NotAsked, match="not one"):
        asking.route(host, "why")


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [("2usd", "2usd"), ("$0.50", "0.5usd"), ("1Mtok", "1000000tok"), ("1usd,5tok", "1usd,5tok")],
)
def test_an_amount_is_kept_as_it_can_be_typed_again(amount: str, wanted: str) -> None:
    assert asking.budget(amount, "why").wanted == wanted


@pytest.mark.parametrize("amount", ["", "much", "0usd", "0tok", "-1usd", "9" * 200, "2usd; rm"])
def test_what_is_no_amount_cannot_be_asked_for(amount: str) -> None:
    with pytest.raises(NotAsked):
        asking.budget(amount, "why")


@pytest.mark.parametrize("text", ["", " \n", "\x00\x1b", "x" * 4_001])
def test_words_that_say_nothing_or_too_much_are_not_asked(text: str) -> None:
    with pytest.raises(NotAsked):
        asking.question(text)


def test_words_are_kept_without_what_moves_a_cursor() -> None:
    assert asking.question(" a\x1b[31mb\u202e\r\nc ").text == "a[31mb\nc"


@pytest.mark.parametrize(
    ("network", "kind", "asked"),
    [
        ("deny_all", AskKind.ROUTE, False),
        ("registry_only", AskKind.ROUTE, True),
        ("allow_list", AskKind.ROUTE, True),
        ("deny_all", AskKind.QUESTION, True),
        ("deny_all", AskKind.BUDGET, True),
    ],
)
def test_nobody_is_asked_for_a_route_out_of_a_closed_place(network: str, kind: AskKind, asked: bool) -> None:
    wish = Wish(kind, "why", "x:443")
    if asked:
        assert asking.refuse_closed(wish, network) is wish
    else:
        with pytest.raises(NotAsked, match="deny_all"):
            asking.refuse_closed(wish, network)


@pytest.mark.parametrize(
    ("now", "more", "granted"),
    [
        ("5usd", "2usd", "7usd"),
        ("5usd", "2usd,10tok", "7usd"),
        ("5usd,100tok", "10tok", "5usd,110tok"),
        ("100tok", "50tok", "150tok"),
        ("5usd", "10tok", ""),
        ("100tok", "1usd", ""),
        ("0usd,0tok", "2usd", ""),
        ("5usd,0tok", "2usd", ""),
    ],
)
def test_more_comes_on_top_in_the_units_of_the_cap(now: str, more: str, granted: str) -> None:
    decided = asking.raised(Cap.parse(now), Cap.parse(more))
    assert (decided.granted, bool(decided.why)) == (granted, not granted)


@pytest.mark.parametrize(
    ("wanted", "widest", "ceiling", "allowed"),
    [
        ("example.org:443", "allow_list", ("example.org",), True),
        ("a.example.org:443", "allow_list", ("*.example.org",), True),
        ("example.org:443", "allow_list", ("*.example.org",), False),
        ("example.org:8443", "allow_list", ("example.org",), False),
        ("example.org:8443", "allow_list", ("example.org:8443",), True),
        ("example.org:443", "allow_list", (), False),
        ("example.org:443", "registry_only", ("example.org",), False),
        ("example.org:443", "deny_all", ("example.org",), False),
        ("[2001:db8::1]:443", "allow_list", ("[2001:db8::1]",), True),
    ],
)
def test_a_route_is_opened_within_the_ceiling_alone(
    wanted: str, widest: str, ceiling: tuple[str, ...], allowed: bool
) -> None:
    decided = asking.opened(wanted, widest, ceiling)
    assert decided.allowed is allowed
    assert allowed or ("settings.yml" in decided.why and decided.next_moves)


def row(kind: AskKind, state: AskState, **more: str) -> Ask:
    return Ask("ask-1", "ex-1", "b", Wish(kind, "t"), state, datetime(2026, 1, 1, tzinfo=UTC), **more)


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (row(AskKind.QUESTION, AskState.OPEN), "no answer yet"),
        (row(AskKind.QUESTION, AskState.NO_OPERATOR), "no operator"),
        (row(AskKind.QUESTION, AskState.WITHDRAWN), "earlier round"),
        (row(AskKind.QUESTION, AskState.ANSWERED, answer="blue"), "blue"),
        (row(AskKind.QUESTION, AskState.REFUSED, answer="no time"), "refuses: no time"),
        (row(AskKind.BUDGET, AskState.ANSWERED, decision="7usd"), "7 USD in all now."),
        (row(AskKind.ROUTE, AskState.ANSWERED, decision="x:443", answer="go"), "x:443 may be reached"),
        (row(AskKind.ROUTE, AskState.ANSWERED, decision="x:443", answer="go"), "operator says: go"),
    ],
)
def test_every_end_is_told_in_words(ask: Ask, said: str) -> None:
    assert said in asking.told(ask)


def test_an_answer_says_something_and_is_bounded() -> None:
    assert asking.answer(" yes\x07 ") == "yes"
    assert len(asking.answer("x" * 20_000)) == asking.ANSWER_CAP
    with pytest.raises(errors.BadInput):
        asking.answer(" ")
