"""Where a change may be: inside the repository, inside the policy, inside the plan."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable

from boatwright.config.policy import Policy
from boatwright.rules import globs, plain, risk
from boatwright.rules.testfiles import DEFAULT, TestPaths
from boatwright.values.finding import Finding
from boatwright.values.plan import Plan, Proof

ALWAYS_PROTECTED: tuple[str, ...] = (
    ".boatwright.yml",
    ".boatwright/**",
    ".github/workflows/**",
    ".github/actions/**",
    ".gitea/workflows/**",
    ".forgejo/workflows/**",
    ".gitlab-ci.yml",
)
"""What decides over us, or runs with the repository's own rights: no policy opens these."""
COMPANIONS: dict[str, tuple[str, ...]] = {
    "package.json": ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock"),
    "pyproject.toml": ("uv.lock", "poetry.lock", "pdm.lock"),
    "Pipfile": ("Pipfile.lock",),
    "Cargo.toml": ("Cargo.lock",),
    "composer.json": ("composer.lock",),
    "Gemfile": ("Gemfile.lock",),
    "go.mod": ("go.sum",),
}
"""Lock files follow their manifest; a plan need not name them."""


def escapes(path: str) -> bool:
    """Whether a path leaves the repository, or names git's own directory."""
    plain = posixpath.normpath(path)
    parts = plain.split("/")
    return (
        plain.startswith(("/", ".."))
        or "\\" in path
        or "\x00" in path
        or any(p.lower() == ".git" for p in parts)
    )


def forbidden(paths: Iterable[str], policy: Policy) -> tuple[Finding, ...]:
    """What the policy denies an agent: such a change is not pushed at all."""
    return tuple(finding for path in sorted(set(paths)) if (finding := _denied(path, policy)) is not None)


def _denied(path: str, policy: Policy) -> Finding | None:
    if escapes(path):
        return _no(path, "the path leaves the repository", "", "write inside the repository")
    pattern = globs.first_match(policy.forbidden_paths, path)
    if pattern is not None:
        return _no(path, "the path is forbidden", pattern, "leave it as it is on the base branch")
    pattern = globs.first_match((*ALWAYS_PROTECTED, *policy.protected_paths), path)
    if pattern is not None:
        return _no(path, "the path is protected", pattern, "leave it; a person changes it on the base branch")
    if policy.allowed_paths and not globs.matches(policy.allowed_paths, path):
        return _no(
            path, "the path is not allowed", ", ".join(policy.allowed_paths), "stay inside the allowed paths"
        )
    return None


def _no(path: str, rule: str, limit: str, fix: str) -> Finding:
    return Finding(rule=rule, observed=plain.name(path), limit=limit, fix=fix, path=path)


def outside_plan(paths: Iterable[str], plan: Plan, tests: TestPaths = DEFAULT) -> tuple[Finding, ...]:
    """Changed files the plan does not name. Tests of a planned change, and lock files of a planned manifest,
    belong to it.
    """
    planned = plan.touch_paths
    return tuple(
        Finding(
            rule="the file is not in the plan",
            observed=plain.name(path),
            limit=", ".join(planned) or "no file",
            path=path,
            fix="take the change of this file back, or plan again",
        )
        for path in sorted(set(paths))
        if not in_plan(path, planned) and not (plan.proof is not Proof.NONE and tests.is_test_side(path))
    )


def in_plan(path: str, planned: Collection[str]) -> bool:
    """Named as itself, below a named directory, by a pattern, or as the lock file beside a named manifest."""
    folder, name = posixpath.split(path)
    for each in planned:
        plain = each.rstrip("/")
        if path == plain or path.startswith(f"{plain}/"):
            return True
        if any(c in each for c in "*?[") and globs.matches(
            (each if each.startswith("/") else f"/{each}",), path
        ):
            return True
        manifest_folder, manifest = posixpath.split(plain)
        if manifest_folder == folder and name in COMPANIONS.get(manifest, ()):
            return True
    return False


def permission_drift(paths: Collection[str]) -> tuple[Finding, ...]:
    """Paths that can widen permissions: not blocking, told to whoever merges."""
    return tuple(
        Finding(
            rule="the permission surface changes",
            observed=plain.name(path),
            path=path,
            blocking=False,
            fix="look at it before merging",
        )
        for path in risk.permission_paths(paths)
    )


def command_allowed(command: str, policy: Policy) -> bool:
    """Whether ``allowed_commands`` (prefixes of words; empty: any) admits a command. Shell joins are never a
    prefix.
    """
    if not policy.allowed_commands:
        return True
    words = command.split()
    if any(mark in command for mark in (";", "&", "|", "`", "$(", "\n", ">", "<")):
        return command in policy.allowed_commands
    return any(words[: len(allowed.split())] == allowed.split() for allowed in policy.allowed_commands)
