from __future__ import annotations

from decimal import Decimal

import pytest

from boatwright import errors
from boatwright.config import policy
from boatwright.config.policy import NetworkPolicy


def test_an_empty_file_is_all_defaults() -> None:
    read = policy.parse("")
    assert read == policy.DEFAULT
    assert (read.max_files_changed, read.max_diff_loc, read.max_loc_per_file) == (12, 600, 250)
    assert read.timeout_seconds == 300
    assert read.proof.max_minutes == 30
    assert ".env" in read.protected_paths


def test_every_field() -> None:
    read = policy.parse("""
schema_version: 1
test_command: python -m pytest
setup_command: make deps
install_command: pip install -e .
timeout_seconds: 60
max_retries: 2
allowed_paths: [src/**, tests/**]
forbidden_paths: [src/legal/**]
allowed_commands: [python -m pytest]
network_policy: allow_list
network: {allow: [example.org]}
max_files_changed: 5
max_diff_loc: 100
max_loc_per_file: 50
max_loc_per_file_pathspec: [src/**]
protected_paths: []
test_paths: [checks/**]
support_paths: [fixtures/**]
proof: {none_paths: [docs/**], max_minutes: 5}
limits: {wall: 10m, cpu: 90, memory: 512MiB, pids: 64, disk: 1GiB, output: 1MiB, hard: true}
budget: 2usd,1Mtok
model: anthropic:some
agent: builtin
""")
    assert read.setup_line == "make deps && pip install -e ."
    assert read.network_policy is NetworkPolicy.ALLOW_LIST
    assert read.limits.wall == 600.0
    assert read.limits.memory == 512 << 20
    assert read.budget is not None
    assert (read.budget.usd, read.budget.tokens) == (Decimal(2), 1_000_000)
    assert read.gate_rounds == 2


@pytest.mark.parametrize(
    ("text", "line", "says", "move"),
    [
        (
            "schema_version: 1\ntest_comand: x",
            2,
            "unknown key 'test_comand'; the nearest key is 'test_command'",
            "write 'test_command:'",
        ),
        ("timeout: 5", 1, "'timeout_seconds'", "timeout_seconds"),
        ("zzz: 1", 1, "unknown key 'zzz'", "the keys are: agent, "),
        (
            "proof:\n  max_minute: 5",
            2,
            "unknown key 'max_minute' in 'proof'; the nearest key is 'max_minutes'",
            "max_minutes",
        ),
        ("proof:\n  zzz: 5", 2, "unknown key 'zzz' in 'proof'", "max_minutes, none_paths"),
        ("release_governor: {}", 1, "unknown key 'release_governor'", ""),
        ("schema_version: 2", 1, "must be 1", ""),
        ("schema_version: true", 1, "must be 1", ""),
        ("timeout_seconds: 5", 1, "'timeout_seconds'", "line 1"),
        ("timeout_seconds: ten", 1, "not 'ten'", ""),
        ("max_retries: 11", 1, "'max_retries'", ""),
        ("test_command: '  '", 1, "'test_command'", ""),
        ("test_command: [a]", 1, "'test_command'", ""),
        ("allowed_paths:\n  - src\n  - 5", 3, "'allowed_paths.1'", ""),
        ("network_policy: open", 1, "deny_all", ""),
        ("budget: 5", 1, "write 5usd or 2Mtok", ""),
        ("budget: lots", 1, "is not a budget", ""),
        ("limits: {memory: lots}", 1, "512MiB or 2GiB", ""),
        ("limits: {wall: -5}", 1, "10m", ""),
        ("model: scripted:/etc/passwd", 1, "anthropic:NAME", ""),
        ("model: some", 1, "anthropic:NAME", ""),
        ("labels: {task_label: agent}", 1, "'labels' is not enforced by this release", "remove 'labels'"),
        ("labels: {}", 1, "'labels' is not enforced by this release", ""),
        ("network:\n  allow: [a.org]\n  tests: true", 3, "'network.tests' is not enforced by", "remove"),
        ("agent: Bad Name", 1, "'agent'", ""),
        ("a: 1\na: 2", 2, "the key 'a' is there twice", "keep one"),
        ("proof: {max_minutes: 1, max_minutes: 2}", 1, "twice", ""),
        ("a: &x [1]\nb: *x", 1, "anchors and aliases", ""),
        ("<<: {a: 1}", 1, "a key must be a plain word", ""),
        ("? [a]\n: b", 1, "a key must be a plain word", ""),
        ("a: !!python/object:os.system x", 1, "tag", ""),
        ("a: !thing x", 1, "tag", ""),
        ("- a\n- b", 1, "must be a mapping", "key: value"),
        ("a: [1\nb: 2", 2, "", ""),
        ("a: 'x", 1, "", ""),
        ("a: \x07", 1, "", ""),
        ("a: " + "[" * 40 + "]" * 40, 1, "nested too deep", ""),
        ("a: [" + "1," * 6_000 + "]", 1, "too many values", ""),
        ("# " + "x" * 70_000, 1, "larger than 64 KiB", ""),
        ("max_diff_loc: 2026-13-45", 1, "", ""),
        ("test_command: 2026-02-31", 1, "cannot be read", ""),
    ],
)
def test_refused_with_file_line_key_and_remedy(text: str, line: int, says: str, move: str) -> None:
    with pytest.raises(errors.BadPolicy) as caught:
        policy.parse(text)
    assert f".boatwright.yml line {line}: " in str(caught.value), str(caught.value)
    assert says in str(caught.value)
    assert move in " ".join(caught.value.next_moves)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
    )
    with pytest.raises(errors.BadPolicy, match="anchors"):
        policy.parse(bomb)


def test_the_own_defaults_are_what_init_shows() -> None:
    assert policy.parse("max_files_changed: 12\nmax_diff_loc: 600") == policy.DEFAULT
