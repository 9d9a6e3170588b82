"""Which files are on the tests' side: one rule, defaults plus the policy's ``test_paths`` and
``support_paths``.

A *test* file holds cases; a *support* file (fixtures, helpers, snapshots, conftest) exists for them. Whatever
code that is not a test imports is code, wherever it lies.
"""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from boatwright.rules import globs
from boatwright.rules.sorting import TestChange
from boatwright.values.python import STANDARD_MODULES

DEFAULT_TESTS: tuple[str, ...] = (
    "test_*.py",
    "*_test.py",
    "tests.py",
    "*.test.js",
    "*.test.mjs",
    "*.test.cjs",
    "*.test.jsx",
    "*.test.ts",
    "*.test.tsx",
    "*.test.mts",
    "*.spec.js",
    "*.spec.mjs",
    "*.spec.cjs",
    "*.spec.jsx",
    "*.spec.ts",
    "*.spec.tsx",
    "**/__tests__/**/*.js",
    "**/__tests__/**/*.ts",
    "**/__tests__/**/*.tsx",
    "**/__tests__/**/*.jsx",
    "**/test/**/*.js",
    "**/test/**/*.mjs",
    "**/test/**/*.cjs",
    "**/test/**/*.ts",
    "**/tests/**/*.rs",
    "*_test.go",
    "**/src/test/**/*.java",
    "**/src/test/**/*.kt",
    "*_spec.rb",
    "*_test.rb",
    "*Test.php",
)
DEFAULT_SUPPORT: tuple[str, ...] = (
    "conftest.py",
    "**/tests/**",
    "**/test/**",
    "**/__tests__/**",
    "**/__mocks__/**",
    "**/__snapshots__/**",
    "**/testdata/**",
    "**/spec/**/*_helper.rb",
)


class Side(StrEnum):
    TEST = "test"
    SUPPORT = "support"
    CODE = "code"


@dataclass(frozen=True, slots=True)
class TestPaths:
    """The rule as a value. ``code`` are test-side paths that code imports, which makes them code."""

    __test__ = False

    tests: tuple[str, ...] = DEFAULT_TESTS
    support: tuple[str, ...] = DEFAULT_SUPPORT
    code: frozenset[str] = frozenset()

    @classmethod
    def of(cls, test_paths: Iterable[str] = (), support_paths: Iterable[str] = ()) -> TestPaths:
        """Defaults plus what the policy adds; a pattern with ``!`` takes a default back."""
        return cls((*DEFAULT_TESTS, *test_paths), (*DEFAULT_SUPPORT, *support_paths))

    def side(self, path: str) -> Side:
        if path in self.code:
            return Side.CODE
        if globs.matches(self.tests, path):
            return Side.TEST
        return Side.SUPPORT if globs.matches(self.support, path) else Side.CODE

    def is_test(self, path: str) -> bool:
        return self.side(path) is Side.TEST

    def is_test_side(self, path: str) -> bool:
        return self.side(path) is not Side.CODE

    def change(self, paths: Iterable[str]) -> TestChange:
        """The test-side part of a change."""
        sides = {path: self.side(path) for path in paths}
        return TestChange(
            frozenset(path for path, side in sides.items() if side is not Side.CODE),
            frozenset(path for path, side in sides.items() if side is Side.SUPPORT),
        )

    def without_imported(self, files: Collection[str], texts: Mapping[str, str]) -> TestPaths:
        """The rule with everything that code imports counted as code.

        ``files`` is the listing (base and head together), ``texts`` the sources of it that could be read.
        What such a file imports in turn is code too.
        """
        listing = Listing.of(files)
        queue = [path for path in texts if self.side(path) is Side.CODE]
        code: set[str] = set(self.code)
        while queue:
            path = queue.pop()
            for target in imports(path, texts.get(path, ""), listing):
                if target not in code and self.side(target) is not Side.CODE:
                    code.add(target)
                    queue.append(target)
        return replace(self, code=frozenset(code))


DEFAULT = TestPaths()
_PYTHON_ROOTS = ("", "src/", "lib/")
_IMPORTERS = frozenset({"import_module", "__import__", "run_module", "resolve_name", "import_string"})
_JS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts")
_JS_IMPORT = re.compile(
    r"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*|\bexport\s[^'"`]*\bfrom\s*)['"`](\.{1,2}/[^'"`\n]+)['"`]"""
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a repository, and its Python files by the last part of a module's name."""

    files: frozenset[str]
    by_name: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, files: Collection[str] | Listing) -> Listing:
        if isinstance(files, Listing):
            return files
        found: dict[str, list[str]] = {}
        for path in files:
            if path.endswith(".py"):
                found.setdefault(posixpath.basename(_stem(path)), []).append(path)
        return cls(frozenset(files), {name: tuple(paths) for name, paths in found.items()})


def _stem(path: str) -> str:
    """A Python file as the module it is, from the repository's root."""
    return path.removesuffix(".py").removesuffix("/__init__")


def imports(path: str, text: str, listing: Collection[str] | Listing) -> frozenset[str]:
    """The files of the repository that ``path`` imports, as far as its text tells. Where several may be meant, all."""
    files = Listing.of(listing)
    if path.endswith(".py"):
        return _python_imports(path, text, files)
    if path.endswith(_JS):
        return _js_imports(path, text, files.files)
    return frozenset()


def _python_imports(path: str, text: str, files: Listing) -> frozenset[str]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return frozenset()
    found: set[str] = set()
    for node in ast.walk(tree):
        absolute, stems = _named(path, node)
        for stem in stems:
            found.update(_modules(stem, files.files))
        for name in absolute:
            found.update(_anywhere(name, posixpath.dirname(path), files))
    return frozenset(found)


def _named(path: str, node: ast.AST) -> tuple[list[str], list[str]]:
    """What an import statement, or a literal ``import_module``, names: dotted names from wherever the roots are, and
    repository paths without suffix."""
    here = posixpath.dirname(path)
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names], []
    if isinstance(node, ast.ImportFrom):
        inner = [f"{node.module}.{alias.name}" if node.module else alias.name for alias in node.names]
        names = [*([node.module] if node.module else []), *inner]
        return ([], _relative(names, here, node.level)) if node.level else (names, [])
    if isinstance(node, ast.Call) and node.args:
        return _called(node, here)
    return [], []


def _relative(names: list[str], here: str, level: int) -> list[str]:
    start = here
    for _ in range(level - 1):
        start = posixpath.dirname(start)
    return [posixpath.join(start, name.replace(".", "/")) for name in names] + ([start] if start else [])


def _called(node: ast.Call, here: str) -> tuple[list[str], list[str]]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    literals = [
        each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else ""
        for each in (*node.args, *(word.value for word in node.keywords if word.arg == "package"))
    ]
    name = literals[0].partition(":")[0]
    if called not in _IMPORTERS or not name:
        return [], []
    rest = name.lstrip(".")
    level = len(name) - len(rest)
    if not level:
        return [name], []
    package = literals[1].split(".") if len(literals) > 1 and literals[1] else []
    above = package[: len(package) - level + 1]
    return ([".".join([*above, rest])] if above and rest else []), _relative(
        [rest] if rest else [], here, level
    )


def _anywhere(name: str, here: str, files: Listing) -> set[str]:
    """The files an absolute name may mean. Nobody knows where the import roots are, so any folder may be one; a name
    of one part, which many files have, counts elsewhere only where no root is likely and it is not Python's own."""
    stem = name.replace(".", "/")
    likely = {"", *_PYTHON_ROOTS, *(f"{folder}/" for folder in _above(here))}
    found = {path for root in likely for path in _modules(f"{root}{stem}", files.files, root)}
    if "." not in name and (found or name in STANDARD_MODULES):
        return found
    for path in files.by_name.get(posixpath.basename(stem), ()):
        whole = _stem(path)
        if whole == stem or whole.endswith(f"/{stem}"):
            found.update(_modules(whole, files.files, whole[: len(whole) - len(stem)]))
    return found


def _above(folder: str) -> Iterator[str]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _modules(stem: str, files: Collection[str], root: str = "") -> list[str]:
    """The module a stem names and the packages on the way below ``root``, where they exist."""
    parts = stem.split("/")
    first = root.count("/") + 1
    packages = ["/".join([*parts[:depth], "__init__.py"]) for depth in range(first, len(parts) + 1)]
    return [candidate for candidate in (f"{stem}.py", *packages) if candidate in files]


def _js_imports(path: str, text: str, files: Collection[str]) -> frozenset[str]:
    here = posixpath.dirname(path)
    found: set[str] = set()
    for match in _JS_IMPORT.finditer(text):
        target = posixpath.normpath(posixpath.join(here, match[1]))
        stem = re.sub(r"\.[cm]?js$", "", target)
        names = [
            target,
            *(f"{target}{end}" for end in (*_JS, ".json")),
            *(f"{target}/index{end}" for end in _JS),
        ]
        names += [f"{stem}{end}" for end in (".ts", ".tsx", ".mts", ".cts")]
        found.update(name for name in names if name in files)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class Named:
    """A change's test-side paths, and the rule that named them."""

    tests: frozenset[str]
    support: frozenset[str]
    rule: TestPaths

    @property
    def change(self) -> TestChange:
        return TestChange(self.tests | self.support, self.support)


MOST_SOURCES = 20_000


def classify(
    paths: Iterable[str],
    *,
    all_paths: Collection[str],
    read: Callable[[str], bytes | str | None],
    test_paths: Iterable[str] = (),
    support_paths: Iterable[str] = (),
) -> Named:
    """The changed ``paths`` by side. ``read`` gives a file of head; sources are asked for only where it
    matters.
    """
    rule, paths = TestPaths.of(test_paths, support_paths), tuple(paths)
    if any(rule.is_test_side(path) for path in paths):
        sources = [path for path in all_paths if path.endswith((".py", *_JS))][:MOST_SOURCES]
        texts = {path: _text(read(path)) for path in sources}
        rule = rule.without_imported({*all_paths, *paths}, texts)
    sides = {path: rule.side(path) for path in paths}
    return Named(
        frozenset(path for path, side in sides.items() if side is Side.TEST),
        frozenset(path for path, side in sides.items() if side is Side.SUPPORT),
        rule,
    )


def _text(data: bytes | str | None) -> str:
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else data or ""
