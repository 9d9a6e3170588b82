"""The one risk table: planner, plan review and governor read it, nobody else decides. The highest match wins.

Patterns are gitignore's. Lock files are matched by their exact names, infrastructure anywhere in the tree;
tests and documentation carry no risk of their own; nothing at all is unknown scope, which is HIGH.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from boatwright.rules import globs
from boatwright.values.plan import Risk

SAFE: tuple[str, ...] = (
    "*.md",
    "*.rst",
    "README*",
    "docs/**",
    "tests/**",
    "test/**",
    "test_*.py",
    "*_test.py",
    "*.test.js",
    "*.test.ts",
    "*_test.go",
    "LICENSE*",
    "CHANGELOG*",
)
LOCK_FILES: tuple[str, ...] = (
    "package-lock.json",
    "npm-shrinkwrap.json",
    "yarn.lock",
    "pnpm-lock.yaml",
    "bun.lock",
    "bun.lockb",
    "uv.lock",
    "poetry.lock",
    "Pipfile.lock",
    "pdm.lock",
    "Cargo.lock",
    "composer.lock",
    "Gemfile.lock",
    "go.sum",
    "flake.lock",
    "mix.lock",
    "Podfile.lock",
    "packages.lock.json",
)
HIGH: tuple[str, ...] = (
    "**/.github/workflows/**",
    "**/.github/actions/**",
    "**/.gitea/workflows/**",
    "**/.forgejo/workflows/**",
    ".gitlab-ci.yml",
    "**/.circleci/**",
    "Jenkinsfile",
    "azure-pipelines.yml",
    ".boatwright.yml",
    "**/.boatwright/**",
    "CODEOWNERS",
    "**/infra/**",
    "**/infrastructure/**",
    "**/terraform/**",
    "*.tf",
    "*.tfvars",
    "**/helm/**",
    "**/k8s/**",
    "**/kubernetes/**",
    "**/ansible/**",
    "**/iam/**",
    "**/auth/**",
    "**/security/**",
    "**/migrations/**",
    "**/alembic/**",
    "Dockerfile",
    "Dockerfile.*",
    "*.Dockerfile",
    "Containerfile",
    "docker-compose*.yml",
    "docker-compose*.yaml",
    "compose.yml",
    "compose.yaml",
    ".env",
    ".env.*",
    "*.env",
    "secrets.*",
    "*.pem",
    "*.key",
    "*.p12",
    "deploy*.sh",
    "deploy*.py",
    "**/deploy/**",
    "*.service",
    "nginx.conf",
    *LOCK_FILES,
)
MEDIUM: tuple[str, ...] = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "requirements*.txt",
    "requirements*.in",
    "Pipfile",
    "package.json",
    "Cargo.toml",
    "go.mod",
    "composer.json",
    "Gemfile",
    "*.gemspec",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "CMakeLists.txt",
    "Makefile",
    "tox.ini",
    ".pre-commit-config.yaml",
    ".npmrc",
    "*.sql",
)


def of_path(path: str) -> tuple[Risk, str]:
    """The risk of one path and the pattern that says so; empty where none does."""
    for level, patterns in ((Risk.HIGH, HIGH), (Risk.MEDIUM, MEDIUM)):
        pattern = globs.first_match(patterns, path)
        if pattern is not None and not _is_safe(path, level):
            return level, pattern
    return Risk.LOW, ""


def _is_safe(path: str, level: Risk) -> bool:
    """Prose and tests are safe wherever they lie, but a workflow or a policy is none of them."""
    always = (
        ".boatwright.yml",
        "**/.boatwright/**",
        "**/.github/workflows/**",
        ".env",
        ".env.*",
        "CODEOWNERS",
        *LOCK_FILES,
    )
    return globs.matches(SAFE, path) and not (level is Risk.HIGH and globs.matches(always, path))


def of_paths(paths: Iterable[str]) -> tuple[Risk, tuple[str, ...]]:
    """The highest risk among ``paths``, and its drivers as ``path (pattern)``, sorted. No path: HIGH, unknown
    scope.
    """
    judged = {path: of_path(path) for path in paths}
    if not judged:
        return Risk.HIGH, ("no path is named: unknown scope",)
    for level in (Risk.HIGH, Risk.MEDIUM):
        drivers = sorted(f"{path} ({pattern})" for path, (found, pattern) in judged.items() if found is level)
        if drivers:
            return level, tuple(drivers)
    return Risk.LOW, ()


PERMISSIONS: tuple[str, ...] = (
    "**/.github/workflows/**",
    "**/.gitea/workflows/**",
    "**/.forgejo/workflows/**",
    ".gitlab-ci.yml",
    "**/infra/**",
    "**/terraform/**",
    "*.tf",
    "**/helm/**",
    "**/k8s/**",
    "**/iam/**",
    "**/auth/**",
    "**/security/**",
    "CODEOWNERS",
    ".boatwright.yml",
    "**/.boatwright/**",
)
"""What can widen permissions: looked at on every change."""


def permission_paths(paths: Collection[str]) -> tuple[str, ...]:
    """Those of ``paths`` that are part of the permission surface, sorted. Tests are not."""
    return tuple(sorted(p for p in paths if globs.matches(PERMISSIONS, p) and not globs.matches(SAFE, p)))
