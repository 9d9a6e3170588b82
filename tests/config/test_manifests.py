"""One manifest file at a time: what is taken, and how everything else is refused, with file and line."""

from __future__ import annotations

from decimal import Decimal

import pytest

from boatwright import errors
from boatwright.config import reading
from boatwright.config.manifest import Agent, Bottle, Origin, Where, is_name
from boatwright.config.policy import NetworkPolicy
from boatwright.values.usage import Cap

AGENT = """---
description: Writes the change
provider: claude
model: anthropic:some
bottles: [base, python]
skills: lint
budget: 2usd,300ktok
git: {user: {name: Imp, email: imp@example.org}}
color: cyan
---

Small changes.

---
A rule in the text is text.
"""
BOTTLE = """---
extends: [base]
network:
  policy: allow_list
  allow: [example.org]
limits: {memory: 1GiB, wall: 10m, hard: true}
budget: {usd: 1}
environment:
  MODE: development
  PORT: "8080"
setup: pip install -e .
skills: [lint]
---
"""


def agent(text: str | bytes, *, name: str = "implementer", where: Where = Where.REPOSITORY) -> Agent:
    data = text if isinstance(text, bytes) else text.encode()
    return reading.agent(data, name=name, where=where, file=f"agents/{name}.md")


def bottle(text: str, *, name: str = "python") -> Bottle:
    return reading.bottle(text.encode(), name=name, where=Where.REPOSITORY, file=f"bottles/{name}.md")


def head(line: str) -> str:
    return f"---\n{line}\n---\n"


def test_every_key_of_an_agent() -> None:
    read = agent(AGENT)
    assert (read.head.provider, read.head.model) == ("claude", "anthropic:some")
    assert (read.head.bottles, read.head.skills) == (("base", "python"), ("lint",))
    assert read.head.budget == Cap(usd=Decimal(2), tokens=300_000)
    assert (read.head.git.user.name, read.head.git.user.email) == ("Imp", "imp@example.org")
    assert read.body == "Small changes.\n\n---\nA rule in the text is text."
    assert read.body_origin == Origin("agents/implementer.md", 12)
    assert str(read.origin("bottles", 1)) == "agents/implementer.md line 5"


def test_every_key_of_a_bottle() -> None:
    read = bottle(BOTTLE)
    assert read.head.extends == ("base",)
    assert (read.head.network.policy, read.head.network.allow) == (NetworkPolicy.ALLOW_LIST, ("example.org",))
    assert (read.head.limits.memory, read.head.limits.wall, read.head.limits.hard) == (1 << 30, 600, True)
    assert read.head.budget == Cap(usd=Decimal(1))
    assert read.head.environment == {"MODE": "development", "PORT": "8080"}
    assert read.head.setup == "pip install -e ."
    assert read.body == ""
    assert read.origin("environment", "PORT").line == 10


@pytest.mark.parametrize(
    "text", ["---\n---\n", "---\n---", "---\r\nprovider: pi\r\n---\r\nhello\r\n", "\ufeff---\n---\n"]
)
def test_little_is_enough(text: str) -> None:
    assert agent(text).head.bottles == ()


def test_the_name_may_be_written_if_it_is_the_files() -> None:
    assert agent(head("name: implementer")).name == "implementer"


@pytest.mark.parametrize(
    ("text", "line", "says", "move"),
    [
        ("hello", 1, "does not begin with front matter", "a line ---"),
        ("", 1, "does not begin with front matter", "a line ---"),
        ("---\nprovider: pi\n", 1, "the front matter has no end", "a line --- below the keys"),
        ("---\n- a\n---\n", 1, "must be a mapping", "key: value"),
        (b"---\n---\n\xff", 3, "not UTF-8", "UTF-8"),
        ("---\n---\na\0b", 3, "NUL", "remove it"),
        ("---\n---\n" + "x" * (257 << 10), 1, "larger than 256 KiB", "smaller"),
        (head("a: [1\nb: 2"), 3, "", ""),
        (head("provider: pi\nprovider: pi"), 3, "the key 'provider' is there twice", "keep one"),
        (head("a: &x 1\nb: *x"), 2, "anchors and aliases", "write the value out"),
        (
            head("provider: pi\nmodle: x"),
            3,
            "unknown key 'modle'; the nearest key is 'model'",
            "write 'model:'",
        ),
        (head("zzz: 1"), 2, "unknown key 'zzz'", "the keys are: bottles, budget"),
        (head("git:\n  user:\n    nam: x"), 4, "unknown key 'nam' in 'git.user'", "'name:'"),
        (head("prompt: x"), 2, "'prompt' does not belong here", "below the second line ---"),
        (head("network: {}"), 2, "'network' does not belong here", "bottles/NAME.md"),
        (head("limits: {}"), 2, "'limits' does not belong here", "bottles/NAME.md"),
        (head("bottle: x"), 2, "unknown key 'bottle'", "write 'bottles:' instead"),
        (head("provider: Claude Code"), 2, "'provider' is not a name", "mend 'provider'"),
        (head("provider: [a]"), 2, "'provider' is not a name", ""),
        (head("model: some"), 2, "'some' is not a model", "mend 'model'"),
        (head("description: x\nmodel: scripted:x.yml"), 3, "a file of the host", "anthropic:NAME"),
        (head("bottles:\n  - base\n  - ../escape"), 4, "'bottles.1' is not a name", ""),
        (head("skills: 'foo; rm -rf /'"), 2, "'skills.0' is not a name", ""),
        (head("budget: 5"), 2, "write 5usd or 2Mtok", ""),
        (head("budget: lots"), 2, "is not a budget", ""),
        (head("git: {user: {name: 'a <b>'}}"), 2, "'git.user.name'", ""),
        (head("color: mauve"), 2, "'color'", ""),
        (head("name: other"), 2, "'name' is other, but the file is called implementer.md", "other.md"),
    ],
)
def test_an_agent_refused_with_file_line_and_remedy(
    text: str | bytes, line: int, says: str, move: str
) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        agent(text)
    said(caught.value, f"agents/implementer.md line {line}: ", says, move)


@pytest.mark.parametrize(
    ("text", "line", "says", "move"),
    [
        (head("extend: base"), 2, "unknown key 'extend'; the nearest key is 'extends'", "'extends:'"),
        (head("extends: [base, Foo]"), 2, "'extends.1' is not a name", ""),
        (head("provider: pi"), 2, "'provider' does not belong here", "agents/NAME.md"),
        (head("model: anthropic:x"), 2, "'model' does not belong here", "agents/NAME.md"),
        (head("network_policy: deny_all"), 2, "unknown key 'network_policy'", "'network: {policy: …}'"),
        (head("env: {A: b}"), 2, "unknown key 'env'", "write 'environment:' instead"),
        (head("network:\n  polici: deny_all"), 3, "unknown key 'polici' in 'network'", "'policy:'"),
        (head("network: {policy: open}"), 2, "deny_all", ""),
        (head("limits:\n  memory: lots"), 3, "512MiB or 2GiB", ""),
        (head("limits: {ram: 1}"), 2, "unknown key 'ram' in 'limits'", "memory"),
        (head("budget: -1usd"), 2, "is not a budget", ""),
        (head("environment: [A]"), 2, "should be lines like NAME: value", ""),
        (head("environment:\n  A: x\n  PORT: 8080"), 4, "must be text: put it in quotes", ""),
        (head("environment:\n  A: true"), 3, "must be text: put it in quotes", ""),
        (head('environment:\n  A: "a\\nb"'), 3, "one line", ""),
        (head("environment:\n  A: x\n  1A: y"), 4, "not a name of an environment variable", ""),
        (head("environment: {'A B': y}"), 2, "not a name of an environment variable", ""),
        (head("environment: {PATH: /x}"), 2, "set by Boatwright itself", ""),
        (head("environment: {LD_PRELOAD: /x}"), 2, "set by Boatwright itself", ""),
        (head("environment: {https_proxy: x}"), 2, "set by Boatwright itself", ""),
        (head("environment: {ANTHROPIC_BASE_URL: x}"), 2, "set by Boatwright itself", ""),
        (head("setup: [a]"), 2, "'setup'", ""),
        (head("routes: []"), 2, "'routes' is not enforced by this release", "remove 'routes'"),
        (head("credentials: {}"), 2, "'credentials' is not enforced by this release", "remove"),
        (head("backend: podman"), 2, "'backend' should be 'bubblewrap' or 'container'", "mend"),
    ],
)
def test_a_bottle_refused_with_file_line_and_remedy(text: str, line: int, says: str, move: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        bottle(text)
    said(caught.value, f"bottles/python.md line {line}: ", says, move)


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "db_passwd",
        "MY_KEY",
        "NPM_AUTH",
        "CREDENTIALS",
    ],
)
def test_a_variable_that_looks_like_a_secret(name: str) -> None:
    with pytest.raises(errors.BadPolicy, match="line 3: .*looks like a secret"):
        bottle(head(f"environment:\n  {name}: x"))


@pytest.mark.parametrize(
    "name", ["TOKENIZERS_PARALLELISM", "MAX_TOKENS", "KEYBOARD", "AUTHOR", "MODE", "_x9"]
)
def test_a_variable_that_does_not(name: str) -> None:
    assert bottle(head(f"environment: {{{name}: x}}")).head.environment == {name: "x"}


@pytest.mark.parametrize(
    "value",
    [
        "sk-ant-api03-abcdefghijklmnop",
        "ghp_abcdefghijklmnopqrstuvwx",
        "AKIAABCDEFGHIJKLMNOP",
        "-----BEGIN PRIVATE KEY-----",
        "https://me:hunter2@example.org/",
    ],
)
def test_a_value_that_looks_like_a_secret_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(errors.BadPolicy, match=r"line 3: the value of 'environment\.A'") as caught:
        bottle(head(f"environment:\n  A: '{value}'"))
    assert value not in f"{caught.value} {caught.value.next_moves}"


def test_a_host_may_name_its_own_script() -> None:
    assert agent(head("model: scripted:x.yml"), where=Where.HOST).head.model == "scripted:x.yml"


@pytest.mark.parametrize(
    "name",
    [
        "foo; rm -rf /",
        "../escape",
        "foo bar",
        "Foo",
        "-leading",
        "",
        "a" * 64,
        "a/b",
        "a\n",
        "é",
        "1a",
        "a.b",
    ],
)
def test_no_names(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize("name", ["a", "claude", "a-b-", "a1", "a" * 63])
def test_names(name: str) -> None:
    assert is_name(name)


def said(error: errors.BadPolicy, start: str, says: str, move: str) -> None:
    """One sentence with its place, and a next move; nothing of the machinery."""
    assert str(error).startswith(start), str(error)
    assert says in str(error), str(error)
    assert "\n" not in str(error) and "pydantic" not in str(error)
    assert error.next_moves or not move
    assert move in " ".join(error.next_moves), error.next_moves
