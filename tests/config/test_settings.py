from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from boatwright import errors
from boatwright.config import policy, settings
from boatwright.config.policy import NetworkPolicy
from boatwright.config.settings import Flags, effective
from boatwright.values.usage import Cap


def test_no_file_is_all_defaults(tmp_path: Path) -> None:
    read = settings.load(tmp_path / "settings.yml")
    assert read == settings.DEFAULT
    assert read.budget.execution == Cap(usd=Decimal(5))
    assert read.budget.host_per_day == Cap(usd=Decimal(50))
    assert (read.git.name, read.git.email) == ("Boatwright", "boatwright@localhost")
    assert read.uid_range is None
    assert read.model is None


def test_every_block(tmp_path: Path) -> None:
    file = tmp_path / "settings.yml"
    file.write_text("""
budget: {execution: 3usd, host_per_day: 20usd, claude: 5000000}
limits: {memory: 1GiB, wall: 5m}
network: {ceiling: allow_list, allow: [example.org, "*.example.net"]}
models:
  default: anthropic:some
  prices: {"openai:mine": {input: 1, output: 2}}
uids: {first: 300000, count: 10}
git: {name: Bo Wright, email: bo@example.org}
retention: {logs: 3}
gate_rounds: 2
agent: builtin
""")
    read = settings.load(file)
    assert read.budget.providers == {"claude": 5_000_000}
    assert read.default_limits.memory_bytes == 1 << 30
    assert read.default_limits.wall_seconds == 300
    assert read.model == "anthropic:some"
    assert read.uid_range == range(300_000, 300_010)
    assert str(read.git) == "Bo Wright <bo@example.org>"


def test_the_plain_form_of_the_budget() -> None:
    read = settings.parse("budget: {claude: 5000000}")
    assert read.budget.providers == {"claude": 5_000_000}
    assert read.budget.execution == Cap(usd=Decimal(5))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("budgets: {}", "the nearest key is 'budget'"),
        ("budget: {claude: lots}", "unknown key 'claude' in 'budget'"),
        ("budget: {claude: -1}", "budget.providers.claude"),
        ("shutdown: burn", "shutdown"),
        ("retention: {tapes: -1}", "retention.tapes"),
        ("models: {default: nothing}", "is not a model"),
        ("models: {prices: {x: {input: 1, output: 1}}}", "is not a model"),
        ("uids: {first: 0}", "uids.first"),
        ("git: {name: 'a <b>'}", "git.name"),
        ("gate_rounds: 4", "gate_rounds"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(errors.BadPolicy, match="settings.yml line 1: ") as caught:
        settings.parse(text)
    assert says in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "settings.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(errors.BadInput, match="not UTF-8"):
        settings.load(tmp_path / "settings.yml")


HOST = settings.parse(
    "budget: {execution: 5usd}\nlimits: {memory: 1GiB, pids: 100, wall: 600}\nnetwork: {ceiling: registry_only}"
)


@pytest.mark.parametrize(
    ("text", "field", "asked", "allowed"),
    [
        ("budget: 6usd", "budget", "6 USD", "5 USD"),
        ("limits: {memory: 2GiB}", "limits.memory", "2048 MiB", "1024 MiB"),
        ("limits: {pids: 101}", "limits.pids", "101", "100"),
        ("limits: {wall: 11m}", "limits.wall", "660 seconds", "600 seconds"),
        ("timeout_seconds: 601", "timeout_seconds", "601 seconds", "600 seconds"),
        ("network_policy: allow_list", "network_policy", "allow_list", "registry_only"),
        ("max_retries: 4", "max_retries", "4", "3"),
    ],
)
def test_more_than_the_host_allows_is_refused_by_name(
    text: str, field: str, asked: str, allowed: str
) -> None:
    with pytest.raises(errors.AboveCeiling) as caught:
        effective(HOST, policy.parse(text), Flags())
    assert str(caught.value) == f"'{field}' asks for {asked}; this host allows {allowed}"
    assert caught.value.exit_code == 2
    assert any("settings.yml" in move for move in caught.value.next_moves)


@pytest.mark.parametrize(
    "text",
    [
        "budget: 5usd",
        "limits: {memory: 1GiB, pids: 100, wall: 600}",
        "timeout_seconds: 600",
        "max_retries: 3",
        "network_policy: deny_all",
        "network_policy: registry_only",
    ],
)
def test_equal_or_less_is_fine(text: str) -> None:
    assert effective(HOST, policy.parse(text), Flags())


def test_hosts_of_an_allow_list_must_be_allowed_here() -> None:
    host = settings.parse("network: {ceiling: allow_list, allow: [example.org, '*.example.net']}")
    good = effective(
        host, policy.parse("network_policy: allow_list\nnetwork: {allow: [a.example.net, example.org]}")
    )
    assert good.allow == ("a.example.net", "example.org")
    for bad in ("evil.org", "example.org:8443", "xexample.net"):
        with pytest.raises(errors.AboveCeiling, match=r"network\.allow"):
            effective(host, policy.parse(f"network_policy: allow_list\nnetwork: {{allow: ['{bad}']}}"))


def test_precedence_and_where_it_came_from() -> None:
    host = settings.parse("models: {default: 'anthropic:host'}\nagent: codex")
    asked = policy.parse("model: anthropic:repo\ntest_command: make test")
    environment = {"BOATWRIGHT_MODEL": "anthropic:env", "BOATWRIGHT_TEST": ""}
    assert effective(host, policy.DEFAULT).model == "anthropic:host"
    assert effective(host, asked).model == "anthropic:repo"
    assert effective(host, asked, Flags(), environment).model == "anthropic:env"
    full = effective(host, asked, Flags(model="anthropic:flag"), environment)
    assert full.model == "anthropic:flag"
    assert full.agent == "codex"
    assert full.test_command == "make test"
    assert full.setup_command is None
    wanted = {
        "model": "flag",
        "agent": "settings.yml",
        "test_command": ".boatwright.yml",
        "setup_command": "default",
    }
    assert {key: full.sources[key] for key in wanted} == wanted
    assert effective(settings.DEFAULT, policy.DEFAULT).agent == "builtin"


def test_budgets() -> None:
    narrowed = effective(settings.DEFAULT, policy.parse("budget: 300ktok")).budget
    assert narrowed == Cap(usd=Decimal(5), tokens=300_000)
    assert effective(settings.DEFAULT, policy.DEFAULT, Flags(budget="20usd")).budget == Cap(usd=Decimal(20))
    with pytest.raises(errors.AboveCeiling):
        effective(settings.DEFAULT, policy.DEFAULT, Flags(budget="51usd"))
    with pytest.raises(errors.AboveCeiling):
        effective(HOST, policy.DEFAULT, Flags(budget="6usd"))
    with pytest.raises(errors.BadInput):
        effective(settings.DEFAULT, policy.DEFAULT, Flags(budget="lots"))


@pytest.mark.parametrize(
    ("file", "asked", "holds"),
    [
        ("", "1000Mtok", Cap(usd=Decimal(5), tokens=10**9)),
        ("budget: {execution: 2usd}", "1000Mtok", Cap(usd=Decimal(2), tokens=10**9)),
        ("budget: {execution: 2Mtok}", "1usd", Cap(usd=Decimal(1), tokens=2_000_000)),
        ("budget: {execution: '2usd,2Mtok'}", "1usd", Cap(usd=Decimal(1), tokens=2_000_000)),
        ("budget: {execution: '2usd,2Mtok'}", "1Mtok", Cap(usd=Decimal(2), tokens=1_000_000)),
        ("budget: {execution: '2usd,2Mtok'}", "1usd,1Mtok", Cap(usd=Decimal(1), tokens=1_000_000)),
    ],
)
def test_the_unit_nobody_names_keeps_the_ceilings_value(file: str, asked: str, holds: Cap) -> None:
    host = settings.parse(file)
    assert host.refuse_above_ceiling(Cap.parse(asked)) == holds
    assert effective(host, policy.DEFAULT, Flags(budget=asked)).budget == holds
    assert effective(host, policy.DEFAULT, None, {"BOATWRIGHT_BUDGET": asked}).budget == holds
    if file:
        assert effective(host, policy.parse(f"budget: {asked}")).budget == holds


def test_limits_and_network() -> None:
    got = effective(
        settings.DEFAULT, policy.parse("limits: {memory: 512MiB, hard: true}\ntimeout_seconds: 60")
    )
    assert got.limits.memory_bytes == 512 << 20
    assert got.test_limits.wall_seconds == 60
    assert got.test_limits.memory_bytes == 512 << 20
    assert got.hard_limits
    assert got.network is NetworkPolicy.REGISTRY_ONLY
    shut = effective(settings.parse("network: {ceiling: deny_all}"), policy.DEFAULT)
    assert shut.network is NetworkPolicy.DENY_ALL
