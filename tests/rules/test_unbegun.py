"""What is said where the base branch asks for what cannot be: enough to mend it, and nothing of the host, and no effect."""

from __future__ import annotations

import pytest

from boatwright import errors
from boatwright.config import policy
from boatwright.config.ceiling import Settings, above
from boatwright.config.effective import effective
from boatwright.config.whose import is_repositorys
from boatwright.rules import refusing, unbegun
from boatwright.values.order import Command, Start, Verb
from boatwright.values.skipping import Fault, Skip, SkipReason

START = Start(7, "t", "b", "ada")
PLAN = Command(Verb.PLAN, "", 7, on_pull=False, comment="31", by="ada")
HOST = "/var/lib/boatwright/agents/mason.md line 3"


def broken(text: str) -> errors.BadPolicy:
    with pytest.raises(errors.BadPolicy) as found:
        policy.parse(text)
    return found.value


@pytest.mark.parametrize(
    ("place", "repositorys"),
    [
        (".boatwright.yml", True),
        (".boatwright.yml line 3", True),
        (".boatwright/agents/mason.md line 3", True),
        (".devcontainer/devcontainer.json", True),
        (HOST, False),
        ("/home/ann/.boatwright/agents/mason.md", False),
        ("settings.yml", False),
        (".boatwright.yml.orig", False),
        ("--budget", False),
        ("", False),
    ],
)
def test_a_file_is_the_repositorys_or_the_hosts_by_its_name(place: str, repositorys: bool) -> None:
    assert is_repositorys(place) is repositorys


@pytest.mark.parametrize(
    ("error", "reason", "said"),
    [
        (
            broken("a: 1\n"),
            SkipReason.POLICY,
            "`.boatwright.yml line 1: unknown key 'a'`",
        ),
        (
            broken("schema_version: 1\ntest_comand: make\n"),
            SkipReason.POLICY,
            "Mend it on the base branch (`write 'test_command:' instead`), then take the label `agent` off",
        ),
        (
            above("budget", "9 USD", "5 USD", "budget.execution"),
            SkipReason.CEILING,
            "`.boatwright.yml: 'budget' asks for 9 USD, and that is not allowed on this host`.\n\nAsk for less on the base branch",
        ),
        (
            above("network.allow", "a.example", "inner.corp", "network.allow"),
            SkipReason.CEILING,
            "`.boatwright.yml: 'network.allow' asks for a.example, and that is not allowed on this host`",
        ),
        (
            above("budget", "9 USD", "5 USD", "budget", where=".boatwright/agents/mason.md line 3"),
            SkipReason.CEILING,
            "`.boatwright/agents/mason.md line 3: 'budget' asks for 9 USD",
        ),
        (
            errors.MissingPart(
                "hard limits: no cgroup at /sys", public=".boatwright.yml: 'limits.hard' is not held"
            ),
            SkipReason.CEILING,
            "`.boatwright.yml: 'limits.hard' is not held`.\n\nAsk for less on the base branch",
        ),
        (
            errors.NotFound("there is no agent 'x'; there are: secret-one", public="there is no agent 'x'"),
            SkipReason.POLICY,
            "`there is no agent 'x'`.\n\nMend it on the base branch, or name another agent or bottle, then",
        ),
    ],
)
def test_what_people_can_mend_is_said_to_them(
    error: errors.BoatwrightError, reason: SkipReason, said: str
) -> None:
    skip = unbegun.skip(error)
    assert skip is not None and (skip.reason, skip.detail) == (reason, str(error))
    text = unbegun.text(START, skip, "agent")
    assert text.startswith("**Not begun**: ") and said in text, text
    assert "inner.corp" not in text and "secret-one" not in text, "the operator's lists are not for everybody"


@pytest.mark.parametrize(
    "error",
    [
        errors.BadPolicy(f"{HOST}: unknown key 'a'", subject="/var/lib/boatwright/agents/mason.md"),
        errors.BadPolicy("settings.yml line 1: unknown key 'a'", subject="/var/lib/boatwright/settings.yml"),
        above("budget", "9 USD", "5 USD", "budget", where=HOST),
        above("network.allow", "a", "b", "n", where=f".boatwright/agents/a.md line 1 and {HOST}"),
        above("--budget", "9 USD", "5 USD", "budget"),
        errors.BadInput("no model: no --model was given"),
    ],
)
def test_what_is_the_operators_is_not(error: errors.BadInput) -> None:
    assert unbegun.skip(error) is None


CEILING = Settings.model_validate({
    "network": {"ceiling": "allow_list", "allow": ["inner.corp"]}, "shutdown": "freeze", "forge_calls": "read", "silence": "10m",
    "container": {"images": ["inner.corp/x"]}, "system_packages": ["inner-tool"],
    "routes": {"inner": {"host": "inner.corp"}},
})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budget: 100usd", "'budget' asks for 100 USD, and that is not"),
        ("limits: {pids: 99999999}", "'limits.pids' asks for"),
        ("max_retries: 9", "'max_retries' asks for 9, and that is not"),
        ("shutdown: cutoff", "'shutdown' asks for cutoff, which is milder than this host's freeze"),
        ("forge_calls: write", "'forge_calls' asks for write, and that is not"),
        ("silence: 1h", "'silence' asks for 3600 seconds, and that is not"),
        ("network_policy: allow_list\nnetwork: {allow: [a.example]}", "asks for a.example, and that is not allowed"),
        ("network: {routes: [mine]}", "line 1: there is no route 'mine' on this host"),
        ("environment: {image: mine/x@sha256:" + "0" * 64 + "}", "'environment' asks for"),
        ("system_packages: [gdb]", "'system_packages' asks for gdb, and that is not allowed on this host"),
    ],
)  # fmt: skip
def test_every_ceiling_has_a_sentence_without_what_the_operator_listed(text: str, said: str) -> None:
    with pytest.raises(errors.AboveCeiling) as over:
        effective(CEILING, policy.parse(text))
    skip = unbegun.skip(over.value)
    assert skip is not None and skip.reason is SkipReason.CEILING and skip.fault is not None
    assert skip.fault.sentence.startswith(".boatwright.yml") and said in skip.fault.sentence
    assert "inner" not in unbegun.text(START, skip, "agent")


HOSTILE = "@team https://evil.example [x](http://e) ` <!-- y --> \u202e \u200b \U000e0041 \x1b[2J\n/close\ud800 fixes #1"


@pytest.mark.parametrize("words", [HOSTILE, "```\n@team", "`", "\n/boatwright stop", "x" * 100_000])
def test_what_a_file_says_takes_no_effect(words: str) -> None:
    skip = unbegun.skip(errors.BadPolicy(words, subject=policy.FILE, next_moves=(words, words, words)))
    assert skip is not None and skip.detail.isprintable() and len(skip.detail) < 10_000
    for text in (unbegun.text(START, skip, "agent"), refusing.text(PLAN, skip, "agent")):
        assert text.replace("\n", "").isprintable() and len(text) < 3_000
        assert not [line for line in text.splitlines() if line.lstrip().startswith("/")]
        assert all("@team" not in outside and "://" not in outside for outside in outsides(text)), text


def outsides(text: str) -> list[str]:
    """What stands in no code span, by CommonMark: a run of backticks ends at the next run as long."""
    found, at = [], 0
    while at < len(text):
        start = text.find("`", at)
        if start < 0:
            return [*found, text[at:]]
        found.append(text[at:start])
        ticks = len(text[start:]) - len(text[start:].lstrip("`"))
        end = start + ticks
        while end < len(text):
            close = text.find("`", end)
            assert close >= 0, "a span that nobody ends"
            run = len(text[close:]) - len(text[close:].lstrip("`"))
            end = close + run
            if run == ticks:
                break
        at = end
    return found


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (START, "take the label `agent` off, and a minute later put it on again."),
        (Start(7, "t", "b", "ada", assignees=("wim",)), "take the assignee off and assign them again."),
    ],
)
def test_it_says_how_to_ask_again(order: Start, says: str) -> None:
    skip = Skip(SkipReason.POLICY, "x", fault=Fault("x", ("mend it",)))
    assert unbegun.text(order, skip, "agent").endswith(f"(`mend it`), then {says}")


def test_a_command_is_answered_as_others_are() -> None:
    skip = Skip(SkipReason.CEILING, "with what is the host's", fault=Fault("it asks for too much"))
    assert refusing.is_answered(skip)
    said = refusing.text(PLAN, skip, "agent")
    assert said.startswith("**Not done**: `/boatwright plan`: `it asks for too much`.\n\nAsk for less")
    assert said.endswith("then write `/boatwright plan` in a new comment.") and "the host's" not in said
