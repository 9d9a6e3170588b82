"""How to set up and test a repository nobody described: told from its file names and a few small texts.

Guesses are conservative: nothing found is said, with what to do, and no set-up is proposed where there is
nothing to install, because there may be no registry to install from.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from boatwright.rules.testfiles import DEFAULT

NEXT_MOVES = ("boatwright run … --test CMD", "boatwright init  (writes a commented .boatwright.yml)")
_SAMPLES = 12
Reader = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Detected:
    """Shell lines for the inside of a bottle, and one sentence why. ``test_command`` None: ``why`` says what
    is missing.
    """

    language: str
    setup_command: str | None
    test_command: str | None
    why: str

    @property
    def next_moves(self) -> tuple[str, ...]:
        return () if self.test_command else NEXT_MOVES


def detect(
    paths: Collection[str], read: Reader | Mapping[str, str], *, available: Collection[str] = ()
) -> Detected:
    """The first that fits: Python, Node, Go, Rust, a Makefile's test target.

    ``read`` gives a small text file or None; ``available`` names modules the bottle's Python has already.
    """
    files = frozenset(path.removeprefix("./") for path in paths)
    reader: Reader = read.get if isinstance(read, Mapping) else read
    for look in (_python(available), _node, _go, _rust, _make):
        found = look(files, reader)
        if found is not None:
            return found
    return Detected(_language(files), None, None, _nothing(files))


def _nothing(files: Collection[str]) -> str:
    if not files:
        return "the repository is empty"
    return "neither test files, a test configuration, a test script in package.json nor a Makefile target was found"


def _language(files: Collection[str]) -> str:
    ends = {
        ".py": "python",
        ".js": "javascript",
        ".ts": "typescript",
        ".go": "go",
        ".rs": "rust",
        ".rb": "ruby",
        ".java": "java",
        ".php": "php",
        ".c": "c",
        ".cpp": "c++",
        ".sh": "shell",
    }
    counts = {name: sum(1 for path in files if path.endswith(end)) for end, name in ends.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else "unknown"


# --- Python
# --------------------------------------------------------------------------------------------------


def _python(available: Collection[str]) -> Callable[[Collection[str], Reader], Detected | None]:
    def look(files: Collection[str], read: Reader) -> Detected | None:
        tests = sorted(path for path in files if path.endswith(".py") and DEFAULT.is_test(path))
        configured = _pytest_configured(files, read)
        if not tests and not configured:
            return None
        pytest_why = configured or _needs_pytest(tests, read)
        prefix = "PYTHONPATH=src " if _is_src_layout(files) else ""
        setup, setup_why = _python_setup(files, read, needs_pytest=bool(pytest_why), available=available)
        if pytest_why:
            return Detected("python", setup, f"{prefix}python3 -m pytest", f"{pytest_why}; {setup_why}")
        return Detected("python", setup, prefix + _unittest(tests, files), f"tests use unittest; {setup_why}")

    return look


def _is_src_layout(files: Collection[str]) -> bool:
    return any(path.startswith("src/") and path.endswith(".py") for path in files)


def _pytest_configured(files: Collection[str], read: Reader) -> str:
    if "pytest" in _toml(files, read).get("tool", {}):
        return "pytest is configured in pyproject.toml"
    for name, section in (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if name in files and re.search(rf"^\[{re.escape(section)}\]", read(name) or "", re.MULTILINE):
            return f"pytest is configured in {name}"
    return ""


def _needs_pytest(tests: Collection[str], read: Reader) -> str:
    """A test that imports pytest, or a bare test function that unittest would not see. ``test_suite`` is no test."""
    for path in sorted(tests)[:_SAMPLES]:
        text = read(path) or ""
        if re.search(r"^\s*(?:import|from)\s+pytest\b", text, re.MULTILINE):
            return f"{path} imports pytest"
        if re.search(r"^(?:async )?def test_(?!suite\()", text, re.MULTILINE):
            return f"{path} has test functions outside classes"
    return ""


def _unittest(tests: list[str], files: Collection[str]) -> str:
    """Discovery from the one directory the tests share; its package root where it is a package."""
    top = posixpath.commonpath([posixpath.dirname(path) or "." for path in tests]) if tests else "."
    if any(not posixpath.dirname(path) for path in tests):
        top = ""
    pattern = "" if any(posixpath.basename(path).startswith("test") for path in tests) else " -p '*_test.py'"
    if top in {"", "."}:
        return f"python3 -m unittest discover{pattern}"
    root = " -t ." if f"{top}/__init__.py" in files else ""
    return f"python3 -m unittest discover -s {shlex.quote(top)}{root}{pattern}"


def _python_setup(
    files: Collection[str], read: Reader, *, needs_pytest: bool, available: Collection[str]
) -> tuple[str | None, str]:
    project = _toml(files, read).get("project", {})
    extras = project.get("optional-dependencies", {})
    extra = next((name for name in ("test", "tests", "testing", "dev") if name in extras), None)
    requirements = [
        name
        for name in ("requirements.txt", "requirements-dev.txt", "requirements-test.txt")
        if name in files
    ]
    named = [name for name in requirements if re.search(r"^\s*[A-Za-z]", read(name) or "", re.MULTILINE)]
    wants_pytest = needs_pytest and "pytest" not in available
    if project.get("dependencies") or (extra and extras[extra]) or _setup_py_installs(files, read):
        what = f"-e '.[{extra}]'" if extra else "-e ."
        also = " pytest" if wants_pytest and "pytest" not in str(extras.get(extra or "", "")) else ""
        return f"python3 -m pip install {what}{also}", "dependencies are declared"
    if named:
        also = " pytest" if wants_pytest and not any("pytest" in (read(name) or "") for name in named) else ""
        return "python3 -m pip install " + " ".join(
            f"-r {name}" for name in named
        ) + also, f"{named[0]} names packages"
    if wants_pytest:
        return "python3 -m pip install pytest", "only pytest is needed"
    return None, "nothing to install"


def _setup_py_installs(files: Collection[str], read: Reader) -> bool:
    text = (read("setup.py") or "") if "setup.py" in files else ""
    text += (read("setup.cfg") or "") if "setup.cfg" in files else ""
    return re.search(r"install_requires\s*=\s*(?!\[\s*\])\S", text) is not None


def _toml(files: Collection[str], read: Reader) -> dict[str, Any]:
    if "pyproject.toml" not in files:
        return {}
    try:
        found = tomllib.loads(read("pyproject.toml") or "")
    except tomllib.TOMLDecodeError:
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


# --- others
# --------------------------------------------------------------------------------------------------


def _node(files: Collection[str], read: Reader) -> Detected | None:
    package = _package(files, read)
    script = package.get("scripts", {}).get("test", "") if isinstance(package.get("scripts"), dict) else ""
    tests = [
        path
        for path in files
        if re.search(r"\.(?:test|spec)\.[cm]?[jt]sx?$|(?:^|/)tests?/.*\.[cm]?js$", path)
    ]
    language = "typescript" if "tsconfig.json" in files else "javascript"
    setup = _node_setup(package, files)
    if isinstance(script, str) and script and "no test specified" not in script:
        return Detected(language, setup, "npm test", f"package.json's test script is `{script[:80]}`")
    if tests:
        return Detected(language, setup, "node --test", f"{sorted(tests)[0]} looks like a test for node")
    return None


def _package(files: Collection[str], read: Reader) -> dict[str, Any]:
    if "package.json" not in files:
        return {}
    try:
        found = json.loads(read("package.json") or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _node_setup(package: Mapping[str, Any], files: Collection[str]) -> str | None:
    if not package.get("dependencies") and not package.get("devDependencies"):
        return None
    if "pnpm-lock.yaml" in files:
        return "pnpm install --frozen-lockfile"
    if "yarn.lock" in files:
        return "yarn install --frozen-lockfile"
    return "npm ci" if "package-lock.json" in files else "npm install"


def _go(files: Collection[str], read: Reader) -> Detected | None:
    if "go.mod" not in files or not any(path.endswith("_test.go") for path in files):
        return None
    setup = "go mod download" if re.search(r"^\s*require\b", read("go.mod") or "", re.MULTILINE) else None
    return Detected("go", setup, "go test ./...", "go.mod and _test.go files are there")


def _rust(files: Collection[str], read: Reader) -> Detected | None:
    if "Cargo.toml" not in files:
        return None
    return Detected("rust", "cargo fetch", "cargo test", "Cargo.toml is there")


def _make(files: Collection[str], read: Reader) -> Detected | None:
    for name in ("Makefile", "makefile", "GNUmakefile"):
        if name in files and re.search(r"^(?:test|check)\s*:(?!=)", read(name) or "", re.MULTILINE):
            target = "test" if re.search(r"^test\s*:(?!=)", read(name) or "", re.MULTILINE) else "check"
            return Detected(_language(files), None, f"make {target}", f"{name} has a {target} target")
    return None


# --- init
# ----------------------------------------------------------------------------------------------------


def policy_text(found: Detected) -> str:
    """A commented .boatwright.yml: what was found is set, everything else shows its default."""

    def setting(key: str, value: str | None) -> str:
        return f"{key}: {json.dumps(value)}" if value else f"# {key}: …"

    return f"""# Boatwright reads this file from the base branch only. Every key may be left out.
# Found: {found.language}; {found.why}.
schema_version: 1

# How the tests are run, by a shell inside a bottle, with no network.
{setting("test_command", found.test_command)}
# What has to be installed before; runs once, with the network of network_policy.
{setting("setup_command", found.setup_command)}
# timeout_seconds: 300        # one run of the tests

# What a change may be.
# max_files_changed: 12
# max_diff_loc: 600
# max_loc_per_file: 250
# allowed_paths: []           # where an agent may write; empty is anywhere
# forbidden_paths: []         # where it never may
# protected_paths: [.env, Dockerfile]

# Tests and what only tests use, beyond the usual names.
# test_paths: []
# support_paths: []

# proof:
#   max_minutes: 30
#   none_paths: ["docs/**", "*.md"]

# network_policy: registry_only    # deny_all | registry_only | allow_list
# budget: 5usd                     # per execution; the host's ceiling stands above it
# max_retries: 3                   # rounds of building and judging
# limits: {{wall: 10m, memory: 2GiB, pids: 256, disk: 2GiB}}
"""
