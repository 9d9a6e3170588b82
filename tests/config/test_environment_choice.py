"""Whose programs a bottle runs, and which backend makes it: what a file may say, and what the host allows of it."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import devcontainer, policy, settings
from boatwright.config.effective import Asked, Effective, Flags, effective
from boatwright.config.environment import Kind, admits

OPEN = "container:\n  images: ['ghcr.io/team/*', 'golang:1.22']"


def held(
    host: str = "", wish: str = "", *, flag: str | None = None, manifest: str | None = None
) -> Effective:
    return effective(
        settings.parse(host), policy.parse(wish), Flags(backend=flag), {}, Asked(backend=manifest)
    )


@pytest.mark.parametrize(
    ("host", "wish", "flag", "manifest", "backend"),
    [
        ("", "", None, None, "bubblewrap"),
        ("backend: container", "", None, None, "container"),
        ("container: {}", "", None, None, "bubblewrap"),
        ("container: {}", "", None, "container", "container"),
        ("", "", "container", None, "container"),
        ("container: {}", "", "container", "bubblewrap", "container"),
        (OPEN, "environment: host", None, None, "bubblewrap"),
        (OPEN, "environment: {image: 'golang:1.22'}", None, None, "container"),
        (OPEN, "environment: devcontainer", None, None, "container"),
    ],
)
def test_the_backend(host: str, wish: str, flag: str | None, manifest: str | None, backend: str) -> None:
    assert held(host, wish, flag=flag, manifest=manifest).backend == backend


@pytest.mark.parametrize(
    ("host", "wish", "flag", "manifest", "says"),
    [
        ("", "", None, "container", "'backend' of manifest asks for container; this host allows bubblewrap"),
        ("backend: container", "", None, "bubblewrap", "asks for bubblewrap; this host allows container"),
        ("backend: container", "", "bubblewrap", None, "asks for bubblewrap; this host allows container"),
        ("", "environment: devcontainer", None, None, "asks for devcontainer; this host allows host"),
        ("", "environment: {image: a}", None, None, "asks for image a; this host allows host"),
        (
            "container: {}",
            "environment: {image: a}",
            None,
            None,
            "asks for the image a; this host allows no image",
        ),
        (OPEN, "environment: {image: 'golang:1.23'}", None, None, "allows ghcr.io/team/\\*, golang:1.22"),
        (OPEN, "environment: {image: 'golang:1.22'}", "bubblewrap", None, "this host allows host"),
    ],
)
def test_more_than_the_host_allows_is_refused_by_name(
    host: str, wish: str, flag: str | None, manifest: str | None, says: str
) -> None:
    with pytest.raises(errors.AboveCeiling, match=says):
        held(host, wish, flag=flag, manifest=manifest)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("environment: docker", "should be host, devcontainer, or 'image: REF'"),
        ("environment: {imag: a}", "should be host, devcontainer"),
        ("environment: {image: '--privileged'}", "names no image"),
        ("environment: {image: [a]}", "names no image"),
        ("environment: {image: 'a b'}", "names no image"),
        ("system_packages: jq", "should be a list of package names"),
        ("system_packages: [jq, 7]", "should be a list of package names"),
        ("system_packages: ['-o=x']", "holds '-o=x', which is no name of a Debian package"),
        ("system_packages: [jq-]", "holds 'jq-'"),
        ("system_packages: [jq=1.6]", "holds 'jq=1.6'"),
        ("system_packages: [jq/stable]", "holds 'jq/stable'"),
        ("system_packages: [JQ]", "holds 'JQ'"),
        ("system_packages: ['jq*']", "holds 'jq"),
        ("system_packages: ['./x.deb']", "holds './x.deb'"),
        ("system_packages: ['a b']", "holds 'a b'"),
        (f"system_packages: [{', '.join(f'p{n}' for n in range(51))}]", "names 51 packages; at most 50"),
        ("environment: devcontainer\nsystem_packages: [jq]", "asks for an image: build them into it"),
        ("system_packages: [jq]\nenvironment: {image: a}", "asks for an image: build them into it"),
    ],
)
def test_a_policy_that_says_it_otherwise(text: str, says: str) -> None:
    with pytest.raises(errors.BadPolicy, match=says):
        policy.parse(text)


@pytest.mark.parametrize(
    "text", ["backend: podman", "container: {engine: docker}", "container: {runtime: '-x'}"]
)
def test_settings_refuse_what_there_is_not(text: str) -> None:
    with pytest.raises(errors.BadPolicy):
        settings.parse(text)


@pytest.mark.parametrize(
    ("host", "wish", "packages", "source"),
    [
        ("", "", (), "default"),
        ("system_packages: any", "", (), "default"),
        (
            "system_packages: any",
            "system_packages: [libpq-dev, g++, jq, jq]",
            ("g++", "jq", "libpq-dev"),
            ".boatwright.yml",
        ),
        (
            "system_packages: [jq, 'lib*-dev']",
            "system_packages: [libpq-dev, jq]",
            ("jq", "libpq-dev"),
            ".boatwright.yml",
        ),
        ("", "system_packages: []", (), ".boatwright.yml"),
    ],
)
def test_system_packages(host: str, wish: str, packages: tuple[str, ...], source: str) -> None:
    found = held(host, wish)
    assert (found.packages, found.sources["system_packages"]) == (packages, source)


@pytest.mark.parametrize(
    ("host", "flag", "manifest", "says"),
    [
        ("", None, None, "'system_packages' asks for jq, sl; this host allows none"),
        ("system_packages: [jq]", None, None, "asks for sl; this host allows jq"),
        ("system_packages: ['s']", None, None, "asks for jq, sl; this host allows s"),
        ("system_packages: any", "container", None, "the backend is container, by flag"),
        ("system_packages: any\nbackend: container", None, None, "the backend is container, by settings.yml"),
        ("system_packages: any\ncontainer: {}", None, "container", "the backend is container, by manifest"),
    ],
)
def test_system_packages_the_host_does_not_allow(
    host: str, flag: str | None, manifest: str | None, says: str
) -> None:
    with pytest.raises(errors.AboveCeiling, match=says) as refused:
        held(host, "system_packages: [sl, jq]", flag=flag, manifest=manifest)
    assert refused.value.next_moves


@pytest.mark.parametrize("text", ["all", "[jq, '-x']", "[JQ]", "7", "['a b']", "[[jq]]"])
def test_a_ceiling_of_packages_that_says_nothing(text: str) -> None:
    with pytest.raises(errors.BadPolicy, match="'system_packages"):
        settings.parse(f"system_packages: {text}")


def test_patterns_fit_references_as_they_are_written() -> None:
    assert admits(("ghcr.io/team/*",), "ghcr.io/team/deep/go@sha256:ab")
    assert not admits(("ghcr.io/team/*",), "ghcr.io/teams/go")
    assert not admits((), "golang")


FILE = """
// the team's
{
  "name": "ours", "image": "ghcr.io/team/go:1", /* not "build" */
  "containerEnv": {"GOFLAGS": "-mod=vendor // no comment"},
  "postCreateCommand": ["go", "build", "./a b"],
  "features": {}, "privileged": false,
  "customizations": {"vscode": {"extensions": ["golang.go",]}},
}
"""


def test_a_devcontainer_is_read_as_editors_write_it() -> None:
    found = devcontainer.parse(FILE)
    assert (found.image, found.environment) == ("ghcr.io/team/go:1", {"GOFLAGS": "-mod=vendor // no comment"})
    assert found.setup == "go build './a b'"


@pytest.mark.parametrize(
    ("command", "line"),
    [("'make'", "make"), ("{'a': 'one', 'b': ['two', 'x y']}", "( one ) && ( two 'x y' )"), ("''", None)],
)
def test_the_forms_of_its_command(command: str, line: str | None) -> None:
    text = f"{{'image': 'a', 'postCreateCommand': {command}}}".replace("'", '"')
    found = devcontainer.parse(text.replace('"x y"', '"x y"'))
    assert found.setup == line


@pytest.mark.parametrize("key", devcontainer.REMEDIES)
def test_what_a_bottle_cannot_be_is_refused_by_its_name(key: str) -> None:
    with pytest.raises(errors.BadPolicy, match=f"'{key}' is not taken") as refused:
        devcontainer.parse(f'{{"image": "a", "{key}": "x"}}')
    assert refused.value.next_moves == (devcontainer.REMEDIES[key],)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "not an object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "names no image"),
        ('{"image": "--rm"}', "names no image"),
        ('{"image": "a", "wormholes": 1}', "'wormholes' is not taken"),
        ('{"image": "a", "containerEnv": {"API_KEY": "x"}}', "looks like a secret"),
        ('{"image": "a", "containerEnv": {"A": "${localEnv:B}"}}', "from elsewhere"),
        ('{"image": "a", "containerEnv": {"LD_PRELOAD": "x"}}', "set by Boatwright itself"),
        ('{"image": "a", "containerEnv": {"A": 1}}', "not one line of text"),
        ('{"image": "a", "postCreateCommand": 7}', "no command"),
    ],
)
def test_a_bad_devcontainer_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(errors.BadPolicy, match=says):
        devcontainer.parse(text)


def test_the_kinds() -> None:
    assert policy.parse("environment: host").environment.kind is Kind.HOST
    assert str(policy.parse("environment: {image: 'a:1'}").environment) == "image a:1"
