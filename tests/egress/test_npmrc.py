"""What npm keeps in its files, read as npm reads it."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from boatwright.config.secrets import Secret
from boatwright.egress import npmrc
from boatwright.egress.known_registries import Login, Registries
from boatwright.rules import routes as routing
from boatwright.values.route import Form

PAIR = base64.b64encode(b"me:s3cret:with colon").decode()
WORD = base64.b64encode("pä$$".encode()).decode()

LINES = [
    ("//npm.example/:_authToken=abc", Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    (" //npm.example/ : _authToken = abc ", None),
    ("//npm.example/:_authToken = abc", Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    ("//npm.example:_authToken=abc", Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    ("//NPM.example:443/:_authToken=abc", Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    (
        "//npm.example:8443/a/b/:_authToken=abc",
        Login("npm.example:8443", "/a/b/", Form.BEARER, Secret("abc")),
    ),
    ("//[2001:db8::1]:8443/:_authToken=a", Login("[2001:db8::1]:8443", "/", Form.BEARER, Secret("a"))),
    ('//npm.example/:_authToken="a;b"', Login("npm.example", "/", Form.BEARER, Secret("a;b"))),
    ("//npm.example/:_authToken='a#b'", Login("npm.example", "/", Form.BEARER, Secret("a#b"))),
    ("//npm.example/:_authToken=abc ; mine", Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    ("//npm.example/:_authToken=a\\;c", Login("npm.example", "/", Form.BEARER, Secret("a;c"))),
    ("//npm.example/:_authToken=a=b==", Login("npm.example", "/", Form.BEARER, Secret("a=b=="))),
    ("//npm.example/:_authToken=${TOKEN}", Login("npm.example", "/", Form.BEARER, Secret("of-env"))),
    ("//${HOST}/:_authToken=x${TOKEN}", Login("h.example", "/", Form.BEARER, Secret("xof-env"))),
    ("//npm.example/:_authToken=a${NOT?}b", Login("npm.example", "/", Form.BEARER, Secret("ab"))),
    ("//npm.example/:_authToken=${NOT}", None),
    ("//npm.example/:_authToken=", None),
    ("//npm.example/:_authToken", None),
    ("; //npm.example/:_authToken=abc", None),
    ("# //npm.example/:_authToken=abc", None),
    ("[section]\n//npm.example/:_authToken=abc", None),
    ("//npm.example/:_authToken=one\n//npm.example/:_authToken=two",
     Login("npm.example", "/", Form.BEARER, Secret("two"))),
    (f"//npm.example/:_auth={PAIR}", Login("npm.example", "/", Form.BASIC, Secret("s3cret:with colon"), "me")),
    ("//npm.example/:_auth=no base64", None),
    (f"//npm.example/:username=me\n//npm.example/:_password={WORD}",
     Login("npm.example", "/", Form.BASIC, Secret("pä$$"), "me")),
    (f"//npm.example/:_password={WORD}", None),
    (f"//npm.example/:_auth={PAIR}\n//npm.example/:_authToken=abc",
     Login("npm.example", "/", Form.BEARER, Secret("abc"))),
    ("_authToken=abc", None),
    ("//npm.example/../x/:_authToken=abc", None),
    ("//npm.example/**/:_authToken=abc", None),
    ("//npm example/:_authToken=abc", None),
    ('//npm.example/:_authToken="a\\r\\nx-evil: 1"', None),
    ("//npm.example/:_authToken=a b", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), LINES)
def test_a_line_as_npm_reads_it(tmp_path: Path, text: str, expected: Login | None) -> None:
    file = tmp_path / "npmrc"
    file.write_text(text, "utf-8")
    found, notes = npmrc.logins(npmrc.read([file], {"TOKEN": "of-env", "HOST": "h.example"}))
    assert found == ((expected,) if expected else ())
    assert not any("abc" in note or "cret" in note for note in notes)


def test_the_users_file_goes_before_the_hosts_and_the_environment_before_both(tmp_path: Path) -> None:
    user, host = tmp_path / "user", tmp_path / "host"
    user.write_text("//a.example/:_authToken=user\n//b.example/:_authToken=user\n")
    host.write_text(
        "//a.example/:_authToken=host\n//b.example/:_authToken=host\n//c.example/:_authToken=host\n"
    )
    said = npmrc.read([user, tmp_path / "none", host], {"npm_config_//a.example/:_authToken": "environment"})
    found, notes = npmrc.logins(said)
    assert [(each.place[0], each.secret.reveal()) for each in found] == [
        ("a", "environment"), ("b", "user"), ("c", "host")]  # fmt: skip
    assert notes == ()


def test_a_file_that_is_no_file_or_too_large_says_nothing(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_text("//a.example/:_authToken=x\n" + "#" * npmrc.LARGEST)
    assert npmrc.read([tmp_path, large], {}) == {}


def test_what_cannot_be_used_is_said_without_it(tmp_path: Path) -> None:
    file = tmp_path / "npmrc"
    file.write_text(
        "//a.example/:_authToken=${NPM_TOKEN}\n//b.example/:_auth=c2VjcmV0\n//c.example/%2e/:_authToken=x\n"
    )
    found, notes = npmrc.logins(npmrc.read([file], {}))
    assert found == () and len(notes) == 3
    assert any("a.example/ names a variable that is not set" in note for note in notes)
    assert any("b.example/ cannot be read" in note for note in notes) and "c2VjcmV0" not in str(notes)


def test_the_longest_path_comes_first_and_the_rest_of_the_host_is_read_without() -> None:
    known = Registries(
        logins=(
            Login("h.example", "/npm/", Form.BEARER, Secret("short")),
            Login("h.example", "/npm/inner/", Form.BEARER, Secret("long")),
        )
    )
    routes = known.routes("/ca.pem")
    assert {route.ca for route in routes} == {"/ca.pem"}
    assert {route.methods for route in routes} == {("GET",)}

    def secret(path: str) -> str | None:
        found = routing.request(routes, "GET", path).routes[0].credential
        held = known.password(found.secret) if found else None
        return held.reveal() if held else None

    assert [secret(path) for path in ("/npm/inner/@a%2fb", "/npm/sail", "/npmother", "/simple/")] == [
        "long", "short", None, None]  # fmt: skip
    assert routing.never(routes) == ()


def test_the_file_for_a_bottle_names_scopes_and_nothing_else() -> None:
    said = npmrc.scoped({"@corp:registry": "https://npm.example/a;b/", "@x\n//y/:_authToken=": "no"})
    assert said == b'@corp:registry="https://npm.example/a;b/"\n'
