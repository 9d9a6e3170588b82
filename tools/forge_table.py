"""The matrix in docs/forge-matrix.md, from a run of the contract suite that was kept in docs/forge-matrix.json.

usage: python tools/forge_table.py [ARGUMENTS OF PYTEST]      runs tests/contract and keeps what came of it

``make docs`` writes the page anew from what is kept, and asks for another run when the suite has other tests now.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SUITE = ROOT / "tests" / "contract"
KEPT = ROOT / "docs" / "forge-matrix.json"
PARTS = ("test_forge_contract.py", "test_forge_talk.py", "test_forge_lost.py")
WORLDS = ("local", "github", "github-app", "gitea", "forgejo", "gitlab")
_WORLD = re.compile(
    rf"(?:\[|-)({'|'.join(sorted(WORLDS, key=len, reverse=True))})-(?:sqlite|postgresql)(?:-|\])"
)
_TEST = re.compile(r"([^/]+\.py)::(\w+)")
_SIGNS = {"passed": "yes", "failed": "**no**", "": ""}


class Recorder:
    """A plugin of pytest that notes, for each test and world, whether every case of it passed."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, dict[str, str]]] = {part: {} for part in PARTS}

    def pytest_runtest_logreport(self, report: Any) -> None:
        test, world = _TEST.search(report.nodeid), _WORLD.search(report.nodeid)
        if test is None or world is None or test[1] not in self.found:
            return
        row = self.found[test[1]].setdefault(test[2], {})
        if report.when == "call" or report.failed:
            worse = report.failed or row.get(world[1]) == "failed"
            row[world[1]] = "failed" if worse else "passed"


def run(arguments: list[str]) -> int:
    import pytest  # noqa: PLC0415 - the page needs none

    recorder = Recorder()
    files = [str(SUITE / part) for part in PARTS]
    code = int(pytest.main(["-q", "-n", "0", *arguments, *files], plugins=[recorder]))
    KEPT.write_text(json.dumps(recorder.found, indent=1) + "\n", encoding="utf-8")
    return code


def tests() -> dict[str, list[str]]:
    """The tests of the suite as they stand, in their order."""
    return {part: _tests(ast.parse((SUITE / part).read_text(encoding="utf-8"))) for part in PARTS}


def _tests(tree: ast.Module) -> list[str]:
    return [
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and {"world", "served"} & {argument.arg for argument in node.args.args}
    ]


def markdown() -> str:
    """The page. Exits with one sentence where the kept run is of another suite."""
    kept, now = json.loads(KEPT.read_text(encoding="utf-8")), tests()
    stale = [name for part, names in now.items() for name in set(names) ^ set(kept.get(part, {}))]
    if stale:
        sys.exit(f"docs/forge-matrix.json is of another suite ({stale[0]}): python tools/forge_table.py")
    lines = [
        "<!-- Generated from docs/forge-matrix.json by tools/forge_table.py: make docs -->",
        "",
        "# What every forge does",
        "",
        "One suite of cases (`tests/contract`), each run against the local forge and against the imitations of the",
        "others on loopback, over HTTP. An empty cell: there is nothing of the kind, because the local forge has no",
        "server between us and it, and no people. No real server was asked.",
        "",
        f"| | {' | '.join(WORLDS)} |",
        f"|---|{'---|' * len(WORLDS)}",
    ]
    for part, names in now.items():
        lines += [_line(name, kept[part][name]) for name in names]
    return "\n".join(lines) + "\n"


def _line(name: str, row: dict[str, str]) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    return f"| {words} | {' | '.join(_SIGNS[row.get(world, '')] for world in WORLDS)} |"


if __name__ == "__main__":
    raise SystemExit(run(sys.argv[1:]))
