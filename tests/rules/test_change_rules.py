"""Limits, paths, risk: the tables."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from boatwright.config.policy import Policy
from boatwright.rules import limits, paths, risk
from boatwright.values.plan import Plan, Risk


@dataclass(frozen=True)
class File:
    path: str
    added: int | None = 1
    deleted: int | None = 0


def files(count: int, lines: int = 1) -> list[File]:
    return [File(f"src/f{n}.py", lines) for n in range(count)]


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        (files(12), []),
        (files(13), ["max_files_changed"]),
        (files(3, 200), []),
        ([*files(3, 200), File("src/g.py", 0, 1)], ["max_diff_loc"]),
        ([File("src/a.py", 200, 50)], []),
        ([File("src/a.py", 200, 51)], ["max_loc_per_file"]),
        ([File("tests/test_a.py", 400)], []),
        ([File("pkg/tests/test_a.py", 400)], []),
        ([File("docs/a.md", 400)], []),
        ([File("uv.lock", 500)], []),
        ([File("logo.png", None, None)], []),
        ([File("src/a.py", 700)], ["max_diff_loc", "max_loc_per_file"]),
        ([], []),
    ],
)
def test_limits(changes: list[File], rules: list[str]) -> None:
    assert [finding.rule for finding in limits.check(changes, Policy())] == rules


def test_the_pathspec_says_where_the_rule_applies() -> None:
    policy = Policy(max_loc_per_file_pathspec=("src/**",), max_diff_loc=10_000)
    found = limits.check([File("src/a.py", 300), File("tests/test_a.py", 300)], policy)
    assert [finding.path for finding in found] == ["src/a.py"]


def test_failure_blocks_are_mechanical() -> None:
    found = limits.check([*files(13), File("src/big.py", 300)], Policy())
    assert limits.blocks(found) == (
        "FAILED: max_files_changed\nObserved: 14\nLimit: 12\n"
        "Fix: split the change or raise the limit in .boatwright.yml\n\n"
        "FAILED: max_loc_per_file\nObserved: 300\nLimit: 250\n"
        "Fix: src/big.py: split the file's change or raise the limit in .boatwright.yml"
    )


POLICY = Policy(allowed_paths=("src/**", "tests/**", "package*.json"), forbidden_paths=("src/legal/**",))


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("src/a.py", ""),
        ("src/legal/a.py", "the path is forbidden"),
        ("lib/a.py", "the path is not allowed"),
        ("package.json", ""),
        (".boatwright.yml", "the path is protected"),
        (".boatwright/agents/x.md", "the path is protected"),
        (".github/workflows/ci.yml", "the path is protected"),
        (".gitlab-ci.yml", "the path is protected"),
        (".env", "the path is protected"),
        ("src/prod.env", "the path is protected"),
        ("src/Dockerfile", "the path is protected"),
        ("../x", "the path leaves the repository"),
        ("src/../../x", "the path leaves the repository"),
        ("/etc/passwd", "the path leaves the repository"),
        ("src/.git/config", "the path leaves the repository"),
        ("src/.GIT/config", "the path leaves the repository"),
        ("src\\..\\x", "the path leaves the repository"),
    ],
)
def test_forbidden(path: str, rule: str) -> None:
    assert [finding.rule for finding in paths.forbidden([path], POLICY)] == ([rule] if rule else [])


def test_no_policy_opens_what_decides_over_us() -> None:
    open_policy = Policy(protected_paths=())
    assert not paths.forbidden(["Dockerfile"], open_policy)
    assert paths.forbidden([".boatwright.yml", ".github/workflows/x.yml"], open_policy)


def plan(*touched: str, proof: str = "behaviour") -> Plan:
    steps = [
        {"id": f"P{n}", "action": "edit", "path": path, "acceptance": "it is there"}
        for n, path in enumerate(touched, 1)
    ]
    return Plan.model_validate(
        {"goal": "g", "proof": proof, "steps": steps or [{"id": "P1", "action": "run", "acceptance": "x"}]}
    )


@pytest.mark.parametrize(
    ("path", "planned", "flagged"),
    [
        ("src/a.py", ("src/a.py",), False),
        ("src/a.py", ("./src/a.py",), False),
        ("src/b.py", ("src/a.py",), True),
        ("src/ab.py", ("src/a",), True),
        ("docs/x/y.md", ("docs/",), False),
        ("src/x/y.py", ("src/**/*.py",), False),
        ("lib/src/y.py", ("src/*.py",), True),
        ("tests/test_b.py", ("src/a.py",), False),
        ("tests/conftest.py", ("src/a.py",), False),
        ("package-lock.json", ("package.json",), False),
        ("sub/package-lock.json", ("package.json",), True),
        ("uv.lock", ("src/a.py",), True),
        ("src/a.py", (), True),
    ],
)
def test_outside_the_plan(path: str, planned: tuple[str, ...], flagged: bool) -> None:
    assert bool(paths.outside_plan([path], plan(*planned))) is flagged


def test_a_plan_of_documentation_brings_no_tests() -> None:
    assert paths.outside_plan(["tests/test_a.py"], plan("README.md", proof="none"))


@pytest.mark.parametrize(
    ("command", "allowed"),
    [
        ("python -m pytest -q", True),
        ("python -m pip install x", False),
        ("python -m pytest; rm -rf /", False),
        ("", False),
    ],
)
def test_allowed_commands(command: str, allowed: bool) -> None:
    assert paths.command_allowed(command, Policy(allowed_commands=("python -m pytest",))) is allowed
    assert paths.command_allowed(command, Policy())


@pytest.mark.parametrize(
    ("path", "level"),
    [
        (".github/workflows/ci.yml", Risk.HIGH),
        ("services/x/infra/main.py", Risk.HIGH),
        ("infra/README.md", Risk.LOW),
        ("terraform/a.tf", Risk.HIGH),
        ("app/db/migrations/0001.py", Risk.HIGH),
        ("docs/migrations.md", Risk.LOW),
        ("tests/migrations/test_a.py", Risk.LOW),
        ("uv.lock", Risk.HIGH),
        ("sub/Cargo.lock", Risk.HIGH),
        ("go.sum", Risk.HIGH),
        ("composer.lock", Risk.HIGH),
        ("src/lock_manager.py", Risk.LOW),
        ("src/blockchain/x.py", Risk.LOW),
        ("src/block/clock.py", Risk.LOW),
        ("Dockerfile", Risk.HIGH),
        ("svc/Dockerfile", Risk.HIGH),
        (".env", Risk.HIGH),
        (".env.production", Risk.HIGH),
        ("services/auth/token.py", Risk.HIGH),
        ("src/authors.py", Risk.LOW),
        ("scripts/deploy_prod.sh", Risk.HIGH),
        ("CODEOWNERS", Risk.HIGH),
        (".boatwright.yml", Risk.HIGH),
        ("setup.py", Risk.MEDIUM),
        ("pyproject.toml", Risk.MEDIUM),
        ("web/package.json", Risk.MEDIUM),
        ("requirements-dev.txt", Risk.MEDIUM),
        ("go.mod", Risk.MEDIUM),
        ("Cargo.toml", Risk.MEDIUM),
        ("src/a.py", Risk.LOW),
        ("README.md", Risk.LOW),
        ("docs/x.md", Risk.LOW),
    ],
)
def test_risk_of_a_path(path: str, level: Risk) -> None:
    assert risk.of_path(path)[0] is level


def test_risk_of_several_names_its_drivers() -> None:
    assert risk.of_paths(["src/a.py", "pyproject.toml"]) == (
        Risk.MEDIUM,
        ("pyproject.toml (pyproject.toml)",),
    )
    level, drivers = risk.of_paths(["uv.lock", "Dockerfile", "pyproject.toml"])
    assert level is Risk.HIGH
    assert drivers == ("Dockerfile (Dockerfile)", "uv.lock (uv.lock)")
    assert risk.of_paths([])[0] is Risk.HIGH
    assert risk.of_paths(["docs/a.md"]) == (Risk.LOW, ())


def test_permission_drift_tells_and_does_not_block() -> None:
    found = paths.permission_drift(
        ["src/security/x.py", "services/auth/a.py", "src/a.py", "tests/auth/test_a.py"]
    )
    assert [(f.path, f.blocking) for f in found] == [
        ("services/auth/a.py", False),
        ("src/security/x.py", False),
    ]
