"""Test ids out of what a runner printed: the fallback where there is no report. Bounded, and never more than
evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from boatwright.values.proof import Case, CaseOutcome

PASSED, FAILED, ERROR, SKIPPED = (
    CaseOutcome.PASSED,
    CaseOutcome.FAILED,
    CaseOutcome.ERROR,
    CaseOutcome.SKIPPED,
)
MOST_LINES = 200_000

_NOTHING_RAN = re.compile(
    r"^(?:=+ )?no tests ran|^collected 0 items|^Ran 0 tests|^\s*No tests found|^1\.\.0$|^\S tests 0$"
    r"|^running 0 tests$(?!(?s:.*)^running [1-9])",
    re.MULTILINE,
)
_PYTEST = re.compile(r"^(?P<id>[^\s:]+\.\w+(?:::\S.*?)?) (?P<word>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b")
_PYTEST_SUMMARY = re.compile(r"^(?P<word>PASSED|FAILED|ERROR) (?P<id>[^\s:]+\.\w+(?:::\S.*?)?)(?: - .*)?$")
_UNITTEST = re.compile(
    r"^(?P<name>\w+) \((?P<where>[\w.]+)\).*?\.\.\. (?P<word>ok|FAIL|ERROR|skipped|expected|unexpected)"
)
_GO = re.compile(r"^\s*--- (?P<word>PASS|FAIL|SKIP): (?P<id>\S+)")
_GO_PACKAGE = re.compile(r"^(?P<word>ok|FAIL)\s+(?P<id>[^\s\[]+)(?:\s|$)")
_TAP = re.compile(
    r"^(?P<indent>\s*)(?P<not>not )?ok\b ?\d* ?-? ?(?P<id>.*?)(?P<directive>\s+# ?(?:SKIP|TODO)\b.*)?$",
    re.IGNORECASE,
)
_CARGO = re.compile(r"^test (?P<id>\S+)(?: - .*?)? \.\.\. (?P<word>ok|FAILED|ignored)")
_WORDS = {
    "PASSED": PASSED,
    "XPASS": PASSED,
    "ok": PASSED,
    "PASS": PASSED,
    "FAILED": FAILED,
    "FAIL": FAILED,
    "unexpected": FAILED,
    "ERROR": ERROR,
    "SKIPPED": SKIPPED,
    "XFAIL": SKIPPED,
    "SKIP": SKIPPED,
    "skipped": SKIPPED,
    "expected": SKIPPED,
    "ignored": SKIPPED,
}


_WORSE = (PASSED, SKIPPED, FAILED, ERROR)


def _note(found: dict[str, CaseOutcome], name: str, outcome: CaseOutcome) -> None:
    """The worse word on an id counts: a test can print a better one, whenever it likes."""
    found[name] = max(found.get(name, outcome), outcome, key=_WORSE.index)


def nothing_ran(output: str) -> bool:
    """Whether the runner itself says that there was no test to run."""
    return _NOTHING_RAN.search(output) is not None


def cases(output: str) -> tuple[Case, ...]:
    """The cases of the parser that finds most; of several words on an id the worst counts."""
    lines = output.splitlines()[:MOST_LINES]
    found = max((parser(lines) for parser in _PARSERS), key=len)
    return tuple(Case(id=name, outcome=outcome) for name, outcome in found.items())


def _pytest(lines: list[str]) -> dict[str, CaseOutcome]:
    found: dict[str, CaseOutcome] = {}
    for line in lines:
        match = _PYTEST.match(line) or _PYTEST_SUMMARY.match(line)
        if match:
            _note(found, match["id"], _WORDS[match["word"]])
    return found


def _unittest(lines: list[str]) -> dict[str, CaseOutcome]:
    found: dict[str, CaseOutcome] = {}
    for line in lines:
        match = _UNITTEST.match(line)
        if match:
            where = match["where"]
            name = where if where.endswith(f".{match['name']}") else f"{where}.{match['name']}"
            _note(found, name, _WORDS[match["word"]])
    return found


def _go(lines: list[str]) -> dict[str, CaseOutcome]:
    """``go test -v``: the package's name comes after its tests."""
    found: dict[str, CaseOutcome] = {}
    pending: dict[str, CaseOutcome] = {}
    for line in lines:
        test, package = _GO.match(line), _GO_PACKAGE.match(line)
        if test:
            _note(pending, test["id"], _WORDS[test["word"]])
        elif package:
            for name, outcome in pending.items():
                _note(found, f"{package['id']}.{name}", outcome)
            _note(found, package["id"], _WORDS[package["word"]])
            pending = {}
    for name, outcome in pending.items():
        _note(found, name, outcome)
    return found


def _tap(lines: list[str]) -> dict[str, CaseOutcome]:
    """Depth by indentation: what is deeper comes before its parent, so a path cannot be told."""
    found: dict[str, CaseOutcome] = {}
    if not any(line.startswith(("TAP version", "1..")) for line in lines):
        return found
    for line in lines:
        match = _TAP.match(line)
        if match is None:
            continue
        outcome = FAILED if match["not"] else PASSED
        if match["directive"]:
            outcome = SKIPPED
        name = f"{len(match['indent']) // 4}:{match['id']}" if match["indent"] else match["id"]
        while name in found:
            name += " +"
        found[name] = outcome
    return found


def _cargo(lines: list[str]) -> dict[str, CaseOutcome]:
    found: dict[str, CaseOutcome] = {}
    for match in map(_CARGO.match, lines):
        if match:
            _note(found, match["id"], _WORDS[match["word"]])
    return found


_PARSERS: tuple[Callable[[list[str]], dict[str, CaseOutcome]], ...] = (_pytest, _unittest, _go, _tap, _cargo)
