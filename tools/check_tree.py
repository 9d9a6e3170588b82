"""Rules about the tree that no other tool checks (``make check``). Each finding is one line: where, and what.

Exceptions are listed in ``tools/allowed.toml`` with their ceiling and a reason; a ceiling that is no longer needed is
itself a finding, so that the list only shrinks.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE_LINES = 400
FUNCTION_LINES = 60
SKIPPED = {".git", ".venv", "dist", "build", "node_modules", "__pycache__"}
TEXT = {
    ".py", ".md", ".toml", ".txt", ".yml", ".yaml", ".json", ".sh", ".cfg", ".ini", ".mako", ".html", ".js", ".css", "",
}  # fmt: skip

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XXX|HACK)\b")
INDEX = re.compile(
    r"https?://[\w.-]*(?:pypi|pythonhosted|npm|crates|golang)[\w.-]*\.\w+|--(?:extra-)?index-url|--find-links"
)
HOMES = re.compile(r"(?<![\w.-])/(?:root|home/(?!agent\b)\w+|Users/\w+)/[\w.-]+")


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


@dataclass(frozen=True)
class Allowed:
    """Ceilings by path (``path`` or ``path::function``)."""

    lines: dict[str, int]
    functions: dict[str, int]
    broad_except: dict[str, int]

    @classmethod
    def read(cls, path: Path) -> Allowed:
        tables = tomllib.loads(path.read_text())
        return cls(*(tables.get(name, {}) for name in ("lines", "functions", "broad_except")))


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every text file of the tree; what tools leave behind and hidden caches are not of it."""
    for directory, names, found in os.walk(root):
        names[:] = sorted(
            n for n in names if n not in SKIPPED and not (n.startswith(".") and n.endswith("cache"))
        )
        names[:] = [n for n in names if n != ".hypothesis" and not n.endswith(".egg-info")]
        for name in sorted(found):
            path = Path(directory) / name
            if path.suffix in TEXT and not path.is_symlink():
                yield path


def main() -> int:
    allowed = Allowed.read(ROOT / "tools" / "allowed.toml")
    findings: list[Finding] = []
    used: set[str] = set()
    names: dict[str, str] = {}
    for path in files():
        relative = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        findings += words(relative, text)
        if relative.startswith("src/") and path.suffix == ".py":
            findings += measures(relative, text, allowed, used)
        if relative.startswith("tests/") and path.name.startswith("test_"):
            findings += basename(relative, path.name, names)
    findings += stale(allowed, used)
    for finding in findings:
        print(finding)
    print(f"tree: {len(findings)} findings" if findings else "tree: clean")
    return 1 if findings else 0


def words(relative: str, text: str) -> Iterator[Finding]:
    """No unfinished marks, no address of an index, no path of one machine."""
    if relative == "tools/check_tree.py" or relative == "LICENSE":
        return
    here = re.compile("|".join(re.escape(place) for place in machine_places()) or r"(?!)")
    for number, line in enumerate(text.splitlines(), 1):
        if match := UNFINISHED.search(line):
            yield Finding(relative, number, f"unfinished: {match[0]}")
        if match := INDEX.search(line):
            yield Finding(relative, number, f"names a package index: {match[0]}")
        if (match := HOMES.search(line)) or (match := here.search(line)):
            yield Finding(relative, number, f"a path of one machine: {match[0]}")


def machine_places() -> Iterable[str]:
    """Where this checkout lies and whose home this is: found in a file, they came from here."""
    places = {str(ROOT), str(Path.home())}
    return sorted(place + "/" for place in places if len(Path(place).parts) > 2)


def measures(relative: str, text: str, allowed: Allowed, used: set[str]) -> Iterator[Finding]:
    """Length of the file and of each function, and broad excepts."""
    lines = text.count("\n")
    yield from over(relative, 1, lines, FILE_LINES, allowed.lines, used, "lines in the file")
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{relative}::{node.name}"
            yield from over(
                name,
                node.lineno,
                length(node),
                FUNCTION_LINES,
                allowed.functions,
                used,
                "lines in a function",
            )
    broad = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler) and is_broad(node)]
    line = broad[0].lineno if broad else 1
    yield from over(
        relative, line, len(broad), 0, allowed.broad_except, used, "broad excepts", table="broad_except"
    )


def over(
    name: str,
    line: int,
    value: int,
    limit: int,
    ceilings: dict[str, int],
    used: set[str],
    what: str,
    *,
    table: str = "",
) -> Iterator[Finding]:
    if value <= limit:
        return
    ceiling = ceilings.get(name, limit)
    if name in ceilings:
        used.add(f"{table or what}:{name}")
    if value > ceiling:
        yield Finding(
            name.partition("::")[0], line, f"{value} {what} ({name.rpartition('::')[2]}), at most {ceiling}"
        )


def length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body without its docstring."""
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return (node.end_lineno or node.lineno) - body[0].lineno + 1 if body else 0


def is_broad(handler: ast.ExceptHandler) -> bool:
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


def stale(allowed: Allowed, used: set[str]) -> Iterator[Finding]:
    tables = {
        "lines in the file": allowed.lines, "lines in a function": allowed.functions, "broad_except": allowed.broad_except,
    }  # fmt: skip
    needed = Counter(used)
    for table, ceilings in tables.items():
        for name in ceilings:
            if not needed[f"{table}:{name}"]:
                yield Finding("tools/allowed.toml", 1, f"{name} needs no exception any more")


if __name__ == "__main__":
    sys.exit(main())
