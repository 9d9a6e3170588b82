"""Refuse a change that touches the test runner. What the base has already stays; only what head adds is
looked at.

The code under test shares the runner's process, so a proof is worth something only while nobody reaches for
the runner. DESIGN §10: hooks beyond fixtures, sys.modules, the runner's packages, exit hooks, report paths.
"""

from __future__ import annotations

import configparser
import json
import posixpath
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from boatwright.rules import guard_command, guard_python
from boatwright.rules.guard_command import Reached, Reader
from boatwright.rules.guard_python import Touch
from boatwright.rules.guard_words import RUNNER_PACKAGES
from boatwright.rules.testfiles import DEFAULT, TestPaths
from boatwright.values.finding import Finding

RULE = "touches the test runner"
FIX = "change the code or its tests and leave the runner alone; a person changes it on the base branch"

_LINKS = frozenset({"120000", "160000"})
"""Links and repositories in the repository: nobody reads what they lead to."""
_COOKIE = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_ENCODINGS = frozenset({"utf-8", "utf8", "utf-8-sig", "ascii", "us-ascii", "latin-1", "latin1", "iso-8859-1"})
_STARTUP = frozenset({"sitecustomize.py", "usercustomize.py"})
_SHADOWS = (RUNNER_PACKAGES - {"__main__"}) | {"iniconfig", "coverage", "sitecustomize", "usercustomize"}
_COMPILED = (".pth", ".so", ".pyd", ".pyc", ".pyo", ".dll", ".dylib", ".node", ".egg-link", ".whl", ".egg")
_WHOLE = frozenset(
    {
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "noxfile.py",
        ".node-options",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".pnpmfile.cjs",
        "bunfig.toml",
        "unittest.cfg",
    }
)
_WHOLE_PATTERN = re.compile(
    r"^(?:\.mocharc|jest\.config|vitest\.config|vitest\.workspace|karma\.conf|ava\.config|\.taprc)"
)
_JS_FILE = re.compile(r"\.(?:[cm]?[jt]sx?)$")
_JS_ANYWHERE = re.compile(
    r"process\.exitCode\b|process\.on(?:ce)?\(\s*['\"`](?:exit|beforeExit|uncaughtException|unhandledRejection)"
    r"|process\.(?:reallyExit|abort|kill|binding|dlopen|execve)\b|require\.cache|Module\.(?:_load|_resolveFilename|_extensions"
    r"|prototype|register)|from\s*['\"`](?:node:)?module['\"`]|require\(\s*['\"`](?:node:)?(?:module|vm|v8|inspector)['\"`]"
    r"|NODE_OPTIONS|NODE_TEST_CONTEXT|BOATWRIGHT_REPORT|/opt/boatwright|boatwright-report|--test-reporter"
    r"|--(?:import|require|loader|experimental-loader)\b"
    r"|(?:globalThis|global|window)\.(?:describe|it|test|expect|assert|process)\s*="
    r"|\bassert(?:\.\w+)?\s*=(?!=)|\bassert\.(?:strict\.)?\w+\s*=(?!=)|Object\.(?:assign|defineProperty)\(\s*(?:assert|test)\b"
)
_JS_CODE = re.compile(
    r"['\"`](?:node:test|node:test/reporters|mocha|jest|vitest|@jest/globals|ava|tap)['\"`]"
)
_JS_TEST = re.compile(r"process\.exit\(")
_PYTHON_TEXT = re.compile(
    r"sys\s*\.\s*modules|\b_pytest\b|\bpluggy\b|unittest\.(?:case|result|runner|suite|loader|main)|os\._exit|atexit"
    r"|pytest_(?:runtest|collection|sessionfinish|configure)|PYTEST_|__builtins__|\bbuiltins\b"
)
_ENTRY = re.compile(r"pytest11|pytest_plugins|-p\s+(?!no:)\w")


@dataclass(frozen=True, slots=True)
class Changed:
    """One changed file, both forms; None where it does not exist. Bytes or text; of a link, its target.

    ``mode`` is git's at head. A file whose text nobody reads (too large, binary) comes with empty forms.
    """

    path: str
    base: bytes | str | None
    head: bytes | str | None
    mode: str = ""
    renamed_from: str = ""


def findings(
    files: Iterable[Changed],
    tests: TestPaths = DEFAULT,
    test_command: str = "",
    read: Reader = lambda _path: None,
) -> tuple[Finding, ...]:
    """Every place where head reaches for the runner and base did not, blocking.

    ``test_command`` names the files that decide how tests are run (a script, a Makefile); ``read`` gives a file
    of the base, so that what such a script runs is known too.
    """
    runs = guard_command.reached(test_command, tests, read)
    return tuple(finding for file in files for finding in _of(file, tests, runs))


def _of(file: Changed, tests: TestPaths, runs: Reached) -> Iterator[Finding]:
    name = posixpath.basename(file.path)
    if file.head is not None:
        yield from _of_name(file, name)
    yield from _of_configuration(file, name, runs)
    if file.head is None or file.base == file.head:
        return
    if file.mode in _LINKS and (name.endswith(".py") or _JS_FILE.search(name)):
        yield _finding(file.path, "it is a link, so what it loads is not read here")
    elif name.endswith((".py", ".pyi", ".pyw")):
        yield from _hidden(file)
        yield from _new(file, lambda text: _python(text, file.path, tests))
    elif _JS_FILE.search(name):
        yield from _new(file, lambda text: _javascript(text, tests.is_test_side(file.path)))


def _hidden(file: Changed) -> Iterator[Finding]:
    """A declared encoding in which Python reads another text than we do."""
    cookie = _cookie(_text(file.head))
    if cookie not in _ENCODINGS and cookie != _cookie(_text(file.base)):
        yield _finding(file.path, f"its encoding {cookie!r} hides what Python reads", 1)


def _cookie(text: str) -> str:
    """The encoding a Python text declares in its first two lines (PEP 263)."""
    for line in text.split("\n")[:2]:
        match = _COOKIE.match(line)
        if match:
            return match[1].lower().replace("_", "-")
    return "utf-8"


def _finding(path: str, what: str, line: int | None = None) -> Finding:
    return Finding(rule=RULE, observed=what, limit="none", fix=FIX, path=path, line=line)


def _of_name(file: Changed, name: str) -> Iterator[Finding]:
    """A new file that Python or Node would load in place of the runner, or that cannot be read as source."""
    if file.base is not None and not file.renamed_from and not name.endswith(_COMPILED):
        return
    stem = name.removesuffix(".py")
    parts = file.path.split("/")
    is_link = file.mode in _LINKS
    if name in _STARTUP:
        yield _finding(file.path, f"{name} runs at every start of Python")
    elif name.endswith(_COMPILED):
        yield _finding(file.path, f"a {posixpath.splitext(name)[1]} file cannot be read before it runs")
    elif (name.endswith(".py") or is_link) and (
        stem in _SHADOWS or (name == "__init__.py" and parts[-2:-1] and parts[-2] in _SHADOWS)
    ):
        yield _finding(file.path, "it is named like a package of the runner and would be loaded in its place")
    elif (name.endswith(".py") or is_link) and _is_below_shadow(parts) and not DEFAULT.is_test(file.path):
        yield _finding(file.path, "it lies in a folder named like a package of the runner")
    elif "node_modules" in parts:
        yield _finding(file.path, "it lies in node_modules and may be loaded in place of a package")


def _is_below_shadow(parts: list[str]) -> bool:
    """Whether a folder at an import root is named like the runner."""
    folders = parts[:-1]
    return bool(folders) and (
        folders[0] in _SHADOWS
        or (folders[0] in {"src", "lib"} and folders[1:2] != [] and folders[1] in _SHADOWS)
    )


def _of_configuration(file: Changed, name: str, runs: Reached) -> Iterator[Finding]:
    """Files that say how tests are run: the parts that do must stay as they are."""
    if runs.decides(file.path):
        yield _finding(file.path, f"the tests are run by it (`{runs.lines[0][:80]}`)")
        return
    if name in _WHOLE or _WHOLE_PATTERN.match(name):
        if file.base != file.head:
            yield _finding(file.path, "the runner's configuration changes")
        return
    parts = _all_scripts if name == "package.json" and runs.by_package else _PARTS.get(name)
    if parts is not None:
        before, after = parts(_text(file.base)), parts(_text(file.head))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key):
                yield _finding(file.path, f"{key} changes")


def _pyproject(text: str) -> dict[str, str]:
    try:
        tool = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {"the file (it is not TOML)": text}
    found = {
        f"[tool.{key}]": tool.get("tool", {}).get(key)
        for key in ("pytest", "tox", "nox", "hatch", "pdm", "poe", "taskipy", "rye")
    }
    found["[tool.coverage]"] = tool.get("tool", {}).get("coverage")
    project = tool.get("project", {})
    points = project.get("entry-points", {}) if isinstance(project, dict) else {}
    found["entry point pytest11"] = points.get("pytest11") if isinstance(points, dict) else points
    poetry = tool.get("tool", {}).get("poetry", {})
    found["poetry plugin"] = poetry.get("plugins") if isinstance(poetry, dict) else None
    return {
        key: json.dumps(value, sort_keys=True, default=str)
        for key, value in found.items()
        if value is not None
    }


def _ini(text: str) -> dict[str, str]:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        return {"the file (it is not INI)": text} if text else {}
    kept = [
        s
        for s in parser.sections()
        if re.match(r"(?:tool:)?pytest|tox|testenv|options\.entry_points|coverage", s)
    ]
    return {
        f"[{section}]": repr(sorted(parser.items(section))) for section in kept if _matters(parser, section)
    }


def _matters(parser: configparser.RawConfigParser, section: str) -> bool:
    return section != "options.entry_points" or parser.has_option(section, "pytest11")


def _package_json(text: str) -> dict[str, str]:
    try:
        value: Any = json.loads(text or "{}")
    except ValueError:
        return {"the file (it is not JSON)": text}
    if not isinstance(value, dict):
        return {"the file": text}
    scripts = value.get("scripts")
    scripts = scripts if isinstance(scripts, dict) else {}
    kept = {
        f"script {key}": each
        for key, each in scripts.items()
        if re.search(r"test|^(?:pre|post)?(?:install|prepare)", key)
    }
    kept.update(
        {
            key: value[key]
            for key in ("jest", "mocha", "ava", "vitest", "nyc", "c8", "imports", "tap")
            if key in value
        }
    )
    return {key: json.dumps(each, sort_keys=True) for key, each in kept.items()}


def _all_scripts(text: str) -> dict[str, str]:
    """Where the tests are run by a script, any other script may be part of it."""
    found = _package_json(text)
    try:
        value: Any = json.loads(text or "{}")
    except ValueError:
        return found
    scripts = value.get("scripts") if isinstance(value, dict) else None
    named = scripts if isinstance(scripts, dict) else {}
    return {**found, **{f"script {key}": json.dumps(each, sort_keys=True) for key, each in named.items()}}


def _setup_py(text: str) -> dict[str, str]:
    found = sorted(set(_ENTRY.findall(text)))
    return {"a pytest plugin": repr(found)} if found else {}


_PARTS: dict[str, Callable[[str], dict[str, str]]] = {
    "pyproject.toml": _pyproject,
    "tox.ini": _ini,
    "setup.cfg": _ini,
    "package.json": _package_json,
    "setup.py": _setup_py,
}


def _new(file: Changed, look: Callable[[str], list[Touch]]) -> Iterator[Finding]:
    """Head's touches that base does not have as often."""
    before = (
        Counter(touch.key for touch in look(_text(file.base))) if file.base is not None else Counter[str]()
    )
    reported: set[tuple[int, str]] = set()
    for touch in look(_text(file.head)):
        before[touch.key] -= 1
        if before[touch.key] < 0 and (touch.line, touch.what) not in reported:
            reported.add((touch.line, touch.what))
            yield _finding(file.path, touch.what, touch.line)


def _python(text: str, path: str, tests: TestPaths) -> list[Touch]:
    test_side = tests.is_test_side(path)
    try:
        return list(guard_python.touches(text, test_side=test_side))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _by_line(text, (_PYTHON_TEXT,))


def _javascript(text: str, test_side: bool) -> list[Touch]:
    return _by_line(text, (_JS_ANYWHERE, _JS_TEST if test_side else _JS_CODE))


def _by_line(text: str, patterns: tuple[re.Pattern[str], ...]) -> list[Touch]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for pattern in patterns:
            match = pattern.search(line[:5_000])
            if match:
                found.append(
                    Touch(number, f"`{match[0].strip()[:60]}` is used", f"{match[0]}|{line.strip()}")
                )
    return found


def _text(data: bytes | str | None) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data or ""
