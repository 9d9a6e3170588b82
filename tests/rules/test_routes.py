"""Where a request goes: the table of lanes, of paths, and of what may be asked how fast."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatwright.rules import rate, routes
from boatwright.rules.routes import Lane
from boatwright.values.route import Credential, Route, Scheme, covers, from_row

KEY = Credential("env:KEY")


def route(name: str = "r", host: str = "api.example", **changes: Any) -> Route:
    return Route(name, host, **changes)


BARE, KEYED, PATHS = route("bare"), route("keyed", credential=KEY), route("paths", paths=("/a",))
WILD = route("wild", "*.corp.example", credential=KEY)
ODD = route("odd", port=8443, meter="openai")
PLAIN = route("plain", "old.example", port=80, scheme=Scheme.HTTP)

TABLE = [
    # network, hosts, routes, host, port, lane
    ("deny_all", (), (), "api.example", 443, Lane.DENIED),
    ("deny_all", (), (BARE,), "api.example", 443, Lane.TUNNEL),
    ("deny_all", (), (BARE,), "api.example", 444, Lane.DENIED),
    ("deny_all", (), (KEYED,), "API.example.", 443, Lane.INTERCEPT),
    ("deny_all", (), (PATHS,), "api.example", 443, Lane.INTERCEPT),
    ("deny_all", (), (route(rate=5),), "api.example", 443, Lane.INTERCEPT),
    ("deny_all", (), (route(methods=("GET",)),), "api.example", 443, Lane.INTERCEPT),
    ("deny_all", (), (route(ca="/ca.pem"),), "api.example", 443, Lane.INTERCEPT),
    ("deny_all", (), (ODD,), "api.example", 443, Lane.DENIED),
    ("deny_all", (), (ODD,), "api.example", 8443, Lane.INTERCEPT),
    ("deny_all", (), (BARE, KEYED), "api.example", 443, Lane.INTERCEPT),  # no way past the key
    ("allow_list", ("api.example",), (KEYED,), "api.example", 443, Lane.INTERCEPT),  # nor past it by the list
    ("allow_list", ("api.example",), (KEYED,), "api.example", 8443, Lane.DENIED),
    ("allow_list", ("api.example",), (), "api.example", 443, Lane.TUNNEL),
    ("registry_only", ("other.example",), (KEYED,), "other.example", 443, Lane.TUNNEL),
    ("deny_all", (), (WILD,), "git.corp.example", 443, Lane.INTERCEPT),
    ("deny_all", (), (WILD,), "corp.example", 443, Lane.DENIED),
    ("deny_all", (), (WILD,), "git.corp.example.evil.example", 443, Lane.DENIED),
    ("deny_all", (), (WILD,), "10.0.0.1", 443, Lane.DENIED),
    ("deny_all", (), (PLAIN,), "old.example", 80, Lane.DENIED),  # plain http is no CONNECT
    ("deny_all", (), (route(host="10.1.2.3", credential=KEY),), "10.1.2.3", 443, Lane.INTERCEPT),
    ("deny_all", (), (route(host="10.1.2.3", credential=KEY),), "0x0a010203", 443, Lane.DENIED),
    ("deny_all", (), (route(host="fd00::1", credential=KEY),), "[fd00::1]", 443, Lane.INTERCEPT),
    ("deny_all", (), (KEYED,), "api.example/x", 443, Lane.DENIED),
]


@pytest.mark.parametrize(("network", "hosts", "there", "host", "port", "lane"), TABLE)
def test_where_a_connect_leads(
    network: str, hosts: tuple[str, ...], there: tuple[Route, ...], host: str, port: int, lane: Lane
) -> None:
    decision = routes.connect(network, hosts, there, host, port)
    assert decision.lane is lane
    if lane is Lane.DENIED:
        assert decision.reason
        assert len(decision.instead) == len(there) + (len(hosts) if network != "deny_all" else 0)


def test_plain_http_is_carried_for_a_route_that_says_so_alone() -> None:
    assert routes.connect("deny_all", (), (PLAIN,), "old.example", 80, "http").lane is Lane.INTERCEPT
    assert (
        routes.connect("allow_list", ("a.example:80",), (KEYED,), "a.example", 80, "http").lane is Lane.DENIED
    )
    assert routes.connect("deny_all", (), (KEYED,), "api.example", 443, "http").lane is Lane.DENIED


PATHS_TABLE = [
    # patterns, path, whether it is taken
    ((), "/anything?x=1", True),
    (("/a",), "/a", True),
    (("/a",), "/a/b", True),
    (("/a",), "/ab", False),
    (("/a",), "/a?q=/b", True),
    (("/a/",), "/a", False),
    (("/a/",), "/a/b", True),
    (("/a", "/c"), "/c/d", True),
    (("/repos/*/issues",), "/repos/x/issues", True),
    (("/repos/*/issues",), "/repos/x/y/issues", False),
    (("/repos/**/issues",), "/repos/x/y/issues", True),
    (("/repos/*",), "/repos/x/y", False),
    (("/npm/",), "/npm/@scope%2fname", True),  # npm writes scoped packages like this
    (("/a/",), "/a%2fb", False),  # one segment as it was sent
    (("/a/",), "/%61/b", False),  # spelled so that it cannot be seen
    (("/a/",), "/a/../b", False),
    (("/a/",), "/a/./b", False),
    (("/a/",), "/a/%2e%2e/b", False),
    (("/a/",), "/a/%2E./b", False),
    (("/a/",), "/a/..;x/b", False),
    (("/a/",), "/a/..%2fb", False),
    (("/a/",), "/a\\..\\b", False),
    (("/a/",), "/a/%5c..%5cb", False),
    (("/a/",), "/a/%00", False),
    (("/a/",), "/a/%0d%0aHost:%20x", False),
    (("/a/",), "//a/b", False),
    (("/a/",), "a/b", False),
    (("/a/",), "*", False),
    (("/a/",), "/a/b#c", False),
    (("/a/",), "/a/" + "x" * routes.LONGEST_TARGET, False),
    (("/a.b",), "/axb", False),  # a dot is a dot
    (("/**",), "/x/y", True),
]


@pytest.mark.parametrize(("patterns", "target", "taken"), PATHS_TABLE)
def test_which_paths_a_route_takes(patterns: tuple[str, ...], target: str, taken: bool) -> None:
    decision = routes.request((route(paths=patterns),), "GET", target)
    assert (decision.lane is Lane.INTERCEPT) is taken
    assert taken or (decision.reason and len(decision.instead) == 1)


@pytest.mark.parametrize("target", ["/a/../b", "/%2e%2e/b", "/a%5c..", "/%0a"])
def test_paths_that_are_read_differently_pass_no_route_at_all(target: str) -> None:
    assert routes.request((route(),), "GET", target).lane is Lane.DENIED


@pytest.mark.parametrize(
    ("methods", "method", "taken"),
    [((), "DELETE", True), (("GET",), "GET", True), (("GET",), "HEAD", True), (("GET",), "POST", False),
     (("POST",), "HEAD", False), (("GET",), "get", False)],
)  # fmt: skip
def test_which_methods_a_route_takes(methods: tuple[str, ...], method: str, taken: bool) -> None:
    decision = routes.request((route(methods=methods),), method, "/")
    assert (decision.lane is Lane.INTERCEPT) is taken


def test_the_first_that_takes_it_carries_it_and_the_others_are_named() -> None:
    read, write = route("read", methods=("GET",)), route("write", methods=("POST",), paths=("/up",))
    both = (read, write)
    assert routes.request(both, "GET", "/up").routes == (read,)
    assert routes.request(both, "POST", "/up").routes == (write,)
    assert routes.request((route("all"), read), "GET", "/").routes[0].name == "all"
    denied = routes.request(both, "POST", "/other")
    assert denied.instead == tuple(routes.words(each) for each in both)


@given(st.text(max_size=60))
def test_no_path_gets_below_another_prefix(text: str) -> None:
    """Whatever is sent: what a route for /a/ takes begins with /a/, as sent and as decoded, and does not go up."""
    decision = routes.request((route(paths=("/a/",)),), "GET", text)
    if decision.lane is Lane.INTERCEPT:
        assert text.startswith("/a/") and ".." not in text.partition("?")[0].split("/")


def test_only_a_name_spelled_out_may_be_private() -> None:
    assert routes.private((KEYED,), "api.example", 443)
    assert not routes.private((WILD,), "x.corp.example", 443)
    assert not routes.private((KEYED,), "api.example", 8443)


@pytest.mark.parametrize(
    ("there", "lost"),
    [
        ((route("a"), route("b", paths=("/x",))), ["b"]),
        ((route("a", paths=("/x",)), route("b")), []),
        ((route("a", methods=("GET", "POST")), route("b", methods=("GET",))), ["b"]),
        ((route("a", methods=("GET",)), route("b", methods=("GET", "POST"))), []),
        ((route("a", paths=("/x",)), route("b", paths=("/x/y", "/x"))), ["b"]),
        ((route("a"), route("b", "other.example")), []),
        ((route("a", "*.corp.example"), route("b", "x.corp.example")), ["b"]),
        ((route("a", "*.corp.example"), route("b", "corp.example")), []),
        ((route("a", meter="openai"), route("b", meter="anthropic")), []),
    ],
)
def test_a_route_that_another_stands_before(there: tuple[Route, ...], lost: list[str]) -> None:
    assert [sentence.split("'")[1] for sentence in routes.never(there)] == lost


def test_words_for_people_do_not_say_where_the_secret_is() -> None:
    said = routes.words(route(credential=KEY, paths=("/x",), methods=("GET",), rate=60))
    assert said == "GET https://api.example:443 /x (with a credential in authorization, 60 a minute)"
    assert "KEY" not in said


@pytest.mark.parametrize(
    ("wide", "narrow", "whole"),
    [("a.example", "a.example", True), ("*.example", "a.example", True), ("*.example", "example", False),
     ("*.example", "*.b.example", True), ("*.b.example", "*.example", False), ("*.example", "aexample", False)],
)  # fmt: skip
def test_which_hosts_cover_which(wide: str, narrow: str, whole: bool) -> None:
    assert covers(wide, narrow) is whole


def test_a_route_comes_back_from_its_row() -> None:
    whole = route(
        credential=Credential("file:/k", "private-token"), paths=("/a",), methods=("GET",), rate=3, ca="/ca"
    )
    assert from_row(asdict(whole)) == whole and from_row({"name": "x", "host": "h"}) == Route("x", "h")


def test_a_minutes_worth_at_once_and_then_as_it_comes_back() -> None:
    bucket, now = None, 100.0
    for _ in range(3):
        taken = rate.take(bucket, 3, now)
        bucket, wait = taken.bucket, taken.wait
        assert wait == 0
    refused = rate.take(bucket, 3, now)
    assert refused.wait == 20
    assert rate.take(refused.bucket, 3, now + 19.9).wait == 1
    assert rate.take(refused.bucket, 3, now + 20).wait == 0
    assert rate.take(refused.bucket, 3, now - 50).wait == 20, "a clock that goes back gives nothing away"
    assert rate.take(refused.bucket, 3, now + 3_600).bucket.left == 2.0


@given(st.integers(1, 100), st.lists(st.floats(0, 30), max_size=60))
def test_never_more_than_two_minutes_worth_in_a_minute(per_minute: int, gaps: list[float]) -> None:
    bucket, now, took = None, 0.0, []
    for gap in gaps:
        now += gap
        taken = rate.take(bucket, per_minute, now)
        bucket = taken.bucket
        if not taken.wait:
            took.append(now)
    for at in took:
        assert sum(at <= each < at + 60 for each in took) <= 2 * per_minute
