"""Routes in settings.yml, and names of them in a repository: what is taken, and what is refused with which line."""

from __future__ import annotations

import textwrap

import pytest

from boatwright import errors
from boatwright.config import policy, reading, settings
from boatwright.config.effective import Asked, effective
from boatwright.config.manifest import Where
from boatwright.values.route import Credential, Form, Route, Scheme

WHOLE = """
routes:
  pypi-internal:
    host: Pypi.Corp.example.
    port: 8443
    paths: [/simple/, /files/**]
    methods: [GET]
    credential: {secret: "env:PYPI_TOKEN", form: basic, user: __token__}
    ca: /etc/corp.pem
  tickets:
    host: tickets.corp.example
    credential: env:TICKETS
    rate: 60
  model:
    host: model.corp.example
    meter: openai
    credential: {secret: "file:/etc/model.key"}
  old:
    host: old.corp.example
    scheme: http
"""


def read(text: str) -> settings.Settings:
    return settings.parse(textwrap.dedent(text))


def test_every_term_of_a_route() -> None:
    assert read(WHOLE).all_routes == (
        Route(
            "pypi-internal", "pypi.corp.example", 8443, paths=("/simple/", "/files/**"), methods=("GET",),
            credential=Credential("env:PYPI_TOKEN", form=Form.BASIC, user="__token__"), ca="/etc/corp.pem",
        ),
        Route("tickets", "tickets.corp.example", credential=Credential("env:TICKETS"), rate=60),
        Route("model", "model.corp.example", meter="openai", credential=Credential("file:/etc/model.key")),
        Route("old", "old.corp.example", 80, Scheme.HTTP),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("host: 'bad host'", "is not a host"),
        ("host: 'https://a.example'", "is not a host"),
        ("host: '*.example'", "is not a host"),
        ("host: a.example, port: 0", "port"),
        ("host: a.example, paths: [simple]", "begins with a slash; it can never match"),
        ("host: a.example, paths: []", "names none, so nothing would match"),
        ("host: a.example, methods: []", "names none, so nothing would match"),
        ("host: a.example, paths: ['/a/../b']", "can never match"),
        ("host: a.example, paths: ['/a?b=c']", "without query"),
        ("host: a.example, methods: [get]", "in capitals"),
        ("host: a.example, methods: [CONNECT]", "can never match"),
        ("host: a.example, meter: openai, methods: [GET]", "can never match"),
        ("host: a.example, meter: openia", "meter"),
        ("host: a.example, credential: sk-abcdefghijklmnop1234", "never holds one"),
        ("host: a.example, credential: {secret: 'env:K', form: basic}", "names a user"),
        ("host: a.example, credential: {secret: 'env:K', user: x}", "names a user"),
        (
            "host: a.example, credential: {secret: 'env:K', header: host}",
            "is not a header a secret may stand in",
        ),
        ("host: a.example, credential: {secret: 'env:K', header: 'a b'}", "is not a header"),
        (
            "host: a.example, meter: openai, credential: {secret: 'env:K', header: x-key}",
            "write 'secret' alone",
        ),
        ("host: a.example, scheme: http, ca: /x", "nothing to verify"),
        ("host: a.example, scheme: ftp", "scheme"),
        ("host: a.example, ca: relative.pem", "ca"),
        ("host: a.example, rate: 0", "rate"),
        ("hosst: a.example", "unknown key 'hosst' in 'routes.r'; the nearest key is 'host'"),
        ("port: 443", "'routes.r.host' is missing"),
    ],
)
def test_what_can_never_hold_is_refused_with_its_line(line: str, said: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        read(f"gate_rounds: 2\nroutes:\n  r: {{{line}}}\n")
    assert said in str(caught.value) and "settings.yml line 3" in str(caught.value)
    assert "abcdefghijklmnop" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes: {a: {host: m.example, meter: openai}, b: {host: m.example}}", "past its meter"),
        (
            "routes: {a: {host: m.x.example, meter: openai}, b: {host: '*.x.example', methods: [GET]}}",
            "meter",
        ),
        (
            "routes: {a: {host: m.example, ca: /a, rate: 1}, b: {host: m.example, rate: 1}}",
            "different authorities",
        ),
        (
            "network: {allow: [m.example]}\nroutes: {a: {host: m.example, meter: openai}}",
            "network.allow: [m.example]",
        ),
        ("network: {allow: ['*.example']}\nroutes: {a: {host: m.example, meter: openai}}", "past the meter"),
    ],
)
def test_routes_that_cannot_stand_beside_each_other(text: str, said: str) -> None:
    with pytest.raises(errors.BadPolicy, match=r"settings.yml line") as caught:
        read(text)
    assert said in str(caught.value)


def test_two_protocols_of_one_metered_host_may() -> None:
    both = "routes: {a: {host: m.example, meter: openai}, b: {host: m.example, meter: anthropic}}"
    assert len(read(both).all_routes) == 2
    assert read(
        "network: {allow: ['m.example:8443']}\nroutes: {a: {host: m.example, meter: openai}}"
    ).all_routes


# --- those who choose ---


def test_a_policy_and_bottles_choose_by_name_and_the_narrower_holds() -> None:
    top = read(WHOLE)
    asked = policy.parse("network: {routes: [tickets, pypi-internal]}")
    held = effective(top, asked)
    assert [route.name for route in held.routes] == ["pypi-internal", "tickets"], "the operator's order"
    assert held.sources["network.routes.tickets"] == ".boatwright.yml line 1"
    places = {"network.routes.tickets": "bottles/b.md line 3"}
    both = effective(top, asked, asked=Asked(routes=("tickets", "model"), places=places))
    assert [route.name for route in both.routes] == ["tickets"]
    alone = effective(top, policy.DEFAULT, asked=Asked(routes=("model",), places={}))
    assert [route.name for route in alone.routes] == ["model"]
    assert effective(top, policy.DEFAULT).routes == (), "nobody asked"


def test_an_unknown_name_is_refused_with_file_and_line() -> None:
    asked = policy.parse("schema_version: 1\nnetwork:\n  routes:\n    - tickets\n    - ticket\n")
    with pytest.raises(errors.AboveCeiling) as caught:
        effective(read(WHOLE), asked)
    assert str(caught.value).startswith(".boatwright.yml line 5: there is no route 'ticket' on this host")
    assert "write 'tickets'" in caught.value.next_moves
    with pytest.raises(errors.AboveCeiling, match=r"^bottles/b.md line 3: .* has: none"):
        effective(
            read(""),
            policy.DEFAULT,
            asked=Asked(routes=("x",), places={"network.routes.x": "bottles/b.md line 3"}),
        )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("routes:\n  mine: {host: evil.example}\n", "line 1: 'routes' does not belong here"),
        ("model: anthropic:m\ncredentials: {a: env:X}\n", "line 2: 'credentials' does not belong here"),
        (
            "network:\n  routes: {mine: {host: evil.example}}\n",
            "line 2: 'network.routes' defines routes here",
        ),
        (
            "network:\n  routes:\n    - {host: evil.example}\n",
            "line 3: 'network.routes.0' defines a route here",
        ),
        ("network:\n  routes: [Mine]\n", "line 2: 'network.routes.0' is not a name of a route"),
        ("network:\n  routes: ['a b']\n", "is not a name of a route"),
    ],
)
def test_a_repository_defines_nothing(text: str, said: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        policy.parse(text)
    assert (
        said in str(caught.value) and "settings.yml" in f"{caught.value} {caught.value.next_moves}"
    ) or "name" in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("routes: [tickets]", ""),
        ("routes: tickets", ""),
        ("routes: {tickets: {host: x}}", "line 2: 'routes' defines routes here"),
        ("routes: [{host: x}]", "line 2: 'routes.0' defines a route here"),
        ("credentials: {a: b}", "a credential is part of a route, under 'routes' of settings.yml"),
    ],
)
def test_a_bottle_names_routes(keys: str, said: str) -> None:
    data = f"---\n{keys}\n---\n".encode()
    if not said:
        assert reading.bottle(data, name="b", where=Where.REPOSITORY, file="b.md").head.routes == ("tickets",)
        return
    with pytest.raises(errors.BadPolicy) as caught:
        reading.bottle(data, name="b", where=Where.REPOSITORY, file="b.md")
    assert said in str(caught.value)
