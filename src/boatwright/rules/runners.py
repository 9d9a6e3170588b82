"""How to get test ids out of a command without touching the repository: environment, flags, or our own
reporter.

Reports go to a directory outside the workspace. Whoever runs the command runs it with a shell inside a
bottle; nothing of it is ever run on the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

INSIDE = "/opt/boatwright"
"""Where our scripts are bound inside a bottle."""
UNITTEST_SCRIPT = "unittest_report.py"
NODE_SCRIPT = "node_report.mjs"
REPORT_VARIABLE = "BOATWRIGHT_REPORT"


class Kind(StrEnum):
    PYTEST = "pytest"
    UNITTEST = "unittest"
    NODE = "node:test"
    GO = "go test"
    OTHER = "other"
    """A report if one appears (the command may end in pytest), else what it printed, else its exit code."""


@dataclass(frozen=True, slots=True)
class Adapted:
    """The command as it is run, with what environment, and which report files it may leave."""

    command: str
    environment: Mapping[str, str] = field(default_factory=dict)
    reports: tuple[str, ...] = ()
    kind: Kind = Kind.OTHER
    scripts: tuple[str, ...] = ()
    """Names in ``bottle/inside`` that must be readable at ``INSIDE``."""


_PYTHON = r"(?P<python>(?:\S*/)?python[0-9.]*(?:\s+-[A-LN-Za-ln-z]\S*|\s+-X\s+\S+|\s+-W\s+\S+)*)"
_PYTEST = re.compile(
    r"(?<![\w./-])(?:(?:\S*/)?(?:pytest|py\.test)|(?:\S*/)?python[0-9.]*(?:\s+-\S+)*?\s+-m\s*pytest)"
    r"(?=\s|$|[;&|])"
)
_UNITTEST = re.compile(rf"(?<![\w.-]){_PYTHON}\s+-m\s*unittest(?=\s|$|[;&|])")
_NODE = re.compile(r"(?<![\w./-])(?:\S*/)?node(?=\s)[^;&|]*\s--test(?=\s|$|[;&|])")
_SCRIPT = re.compile(
    r"(?<![\w./-])(?:npm|yarn|pnpm)\s+(?:run(?:-script)?\s+)?(?P<name>[\w:.-]+)(?=\s|$|[;&|])"
)
_GO = re.compile(r"(?<![\w./-])go\s+test(?=\s|$)")
_STOP_FIRST = re.compile(r"\s(?:--exitfirst|--maxfail[= ]\S+|--junit-?xml[= ]\S+)(?=\s|$|[;&|])")
_CLUSTER = re.compile(r"(?<=\s)-(?=[qvsxl]*x)([qvsxl]+)(?=\s|$|[;&|])")
_PATTERNS = ((Kind.PYTEST, _PYTEST), (Kind.UNITTEST, _UNITTEST), (Kind.NODE, _NODE), (Kind.GO, _GO))
_HASH = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}


def adapt(command: str, report_dir: str, *, scripts: Mapping[str, str] | None = None) -> Adapted:
    """The command made to report. ``scripts`` are package.json's, so that ``npm test`` is known for what it
    runs.

    A command that runs several runners is left as it is: their reports would overwrite each other.
    """
    kind = _kind(command, scripts or {})
    xml = f"{report_dir.rstrip('/')}/junit.xml"
    if kind is Kind.PYTEST:
        return Adapted(_run_all(command), {**_HASH, "PYTEST_ADDOPTS": _addopts(command, xml)}, (xml,), kind)
    if kind is Kind.UNITTEST:
        ours = _UNITTEST.sub(lambda m: f"{m['python']} {INSIDE}/{UNITTEST_SCRIPT}", command)
        return Adapted(ours, {**_HASH, REPORT_VARIABLE: xml}, (xml,), kind, (UNITTEST_SCRIPT,))
    if kind is Kind.NODE:
        return Adapted(command, {"NODE_OPTIONS": _node_options(xml)}, (xml,), kind, (NODE_SCRIPT,))
    if kind is Kind.GO:
        return Adapted(_GO.sub("go test -v", command), {}, (), kind)
    return Adapted(command, {**_HASH, "PYTEST_ADDOPTS": _addopts(command, xml)}, (xml,), kind)


def _kind(command: str, scripts: Mapping[str, str]) -> Kind:
    found = [
        kind
        for kind, pattern in (
            (Kind.PYTEST, _PYTEST),
            (Kind.UNITTEST, _UNITTEST),
            (Kind.NODE, _NODE),
            (Kind.GO, _GO),
        )
        for _ in pattern.finditer(command)
    ]
    for match in _SCRIPT.finditer(command):
        line = scripts.get("test" if match["name"] == "t" else match["name"])
        if line is not None:
            found.append(Kind.NODE if _kind(line, {}) is Kind.NODE else Kind.OTHER)
    return found[0] if len(found) == 1 else Kind.OTHER


def _run_all(command: str) -> str:
    """Without what stops at the first failure, and without a report of its own: every id is wanted."""
    command = _STOP_FIRST.sub("", command)
    return _CLUSTER.sub(lambda m: f"-{m[1].replace('x', '')}" if m[1].strip("x") else "", command).rstrip()


def _addopts(command: str, xml: str) -> str:
    """``xunit1`` because it carries the file of a test; no shuffling, because a second run must be the same
    run.
    """
    shuffle = "" if "randomly" in command else " -p no:randomly"
    always = "-o junit_family=xunit1 -o cache_dir=/tmp/pytest-cache --continue-on-collection-errors"
    return f"--junitxml={xml} {always}{shuffle}"


def _node_options(xml: str) -> str:
    ours = f"--test-reporter={INSIDE}/{NODE_SCRIPT} --test-reporter-destination={xml}"
    return f"{ours} --test-reporter=spec --test-reporter-destination=stdout"
