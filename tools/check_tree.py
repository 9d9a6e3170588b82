"""Rules about the tree that no other tool checks (``make check``). Each finding is one line: where, and what.

Exceptions are listed in ``tools/allowed.toml`` with their ceiling and a reason; a ceiling that is no longer
needed is itself a finding, so that the list only shrinks.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
SKIPPED = {
    ".agents",
    ".bench",
    ".git",
    ".model",
    ".venv",
    ".hypothesis",
    "dist",
    "build",
    "node_modules",
    "__pycache__",
}
BINARY = {".png", ".gz", ".zip", ".whl", ".pyc", ".so", ".db", ".zst"}

SPEAK_OF_IT = {"tools/check_tree.py", "tests/ground/test_ground.py", "LICENSE"}

UNFINISHED = re.compile(r"(?:#|//|<!--)\s*(?:TO" r"DO|FIX" r"ME|XXX|HACK)\b|\b(?:TO" r"DO|FIX" r"ME)\s*:")
INDEX = re.compile(
    r"https?://[\w.-]*(?:pypi|pythonhosted|npm|crates|golang)[\w.-]*\.(?!example\b|invalid\b|test\b)\w+|--(?:extra-)?index-url|--find-links"
)
HOMES = re.compile(r"(?<![\w.-])/(?:root/\w|home/(?!agent\b)\w+/|Users/\w+/)[\w.-]*")


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class Allowed:
    """Ceilings by path (``path`` or ``path::function``), and which of them were needed."""

    def __init__(self, path: Path) -> None:
        self._tables: dict[str, dict[str, int]] = tomllib.loads(path.read_text())
        self._used: set[tuple[str, str]] = set()

    def over(self, table: str, name: str, line: int, value: int, limit: int) -> Iterator[Finding]:
        """A finding where ``value`` passes both the limit and the exception to it."""
        if value <= limit:
            return
        self._used.add((table, name))
        ceiling = self._tables.get(table, {}).get(name, limit)
        if value > ceiling:
            yield Finding(name.partition("::")[0], line, f"{table}: {value}, at most {ceiling} ({name})")

    def stale(self) -> Iterator[Finding]:
        for table, ceilings in self._tables.items():
            for name in ceilings:
                if (table, name) not in self._used:
                    yield Finding("tools/allowed.toml", 1, f"{table}: {name} needs no exception any more")


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every text file of the tree; what tools leave behind is not of it."""
    for directory, names, found in os.walk(root):
        names[:] = sorted(name for name in names if not is_left_behind(name))
        for name in sorted(found):
            path = Path(directory) / name
            if path.suffix not in BINARY and not path.is_symlink():
                yield path


def is_left_behind(directory: str) -> bool:
    return directory in SKIPPED or directory.endswith(("_cache", ".egg-info"))


def main() -> int:
    allowed = Allowed(ROOT / "tools" / "allowed.toml")
    findings: list[Finding] = []
    names: dict[str, str] = {}
    for path in files():
        relative = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        findings += words(relative, text)
        if relative.startswith("src/") and path.suffix == ".py":
            findings += measures(relative, text, allowed)
        if relative.startswith("tests/") and path.name.startswith("test_"):
            findings += basename(relative, path.name, names)
    findings += allowed.stale()
    for finding in findings:
        print(finding)
    print(f"tree: {len(findings)} findings" if findings else "tree: clean")
    return 1 if findings else 0


def words(relative: str, text: str) -> Iterator[Finding]:
    """No unfinished marks, no address of an index, no path of one machine."""
    if relative in SPEAK_OF_IT:
        return
    here = re.compile("|".join(re.escape(place) for place in machine_places()) or r"(?!)")
    for number, line in enumerate(text.splitlines(), 1):
        if match := UNFINISHED.search(line):
            yield Finding(relative, number, f"unfinished: {match[0]}")
        if match := INDEX.search(line):
            yield Finding(relative, number, f"names a package index: {match[0]}")
        homes = None if relative.startswith("tests/") else HOMES.search(line)
        if match := homes or here.search(line):
            yield Finding(relative, number, f"a path of one machine: {match[0]}")


def machine_places() -> list[str]:
    """Where this checkout lies and whose home this is: found in a file, they came from here."""
    places = {str(ROOT), str(Path.home())}
    return sorted(place + "/" for place in places if len(Path(place).parts) > 2)


def measures(relative: str, text: str, allowed: Allowed) -> Iterator[Finding]:
    """Length of the file and of each function, and broad excepts."""
    yield from allowed.over("lines", relative, 1, text.count("\n"), FILE_LINES)
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{relative}::{node.name}"
            yield from allowed.over("functions", name, node.lineno, length(node), FUNCTION_LINES)
    broad = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and is_broad(node)]
    line = broad[0].lineno if broad else 1
    yield from allowed.over("broad_except", relative, line, len(broad), 0)


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def is_broad(handler: ast.ExceptHandler) -> bool:
    """It catches anything, and does not simply tidy up and raise it again."""
    last = handler.body[-1]
    if isinstance(last, ast.Raise) and last.exc is None:
        return False
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(name, ast.Name) and name.id in {"Exception", "BaseException"} for name in caught)


def basename(relative: str, name: str, names: dict[str, str]) -> Iterator[Finding]:
    if name in names:
        yield Finding(
            relative, 1, f"{names[name]} has the same name; pytest's importlib mode wants unique ones"
        )
    names.setdefault(name, relative)


if __name__ == "__main__":
    sys.exit(main())
