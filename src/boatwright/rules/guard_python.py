"""What of a Python text reaches for the test runner: one key per place, so that base and head can be
compared.

A hook beyond a fixture, a write into ``sys.modules`` or the runner's packages, an exit hook, a look at
whether a test runs: each is a ``Touch``. Reading the tree is never running it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from boatwright.rules import guard_reach, guard_words
from boatwright.rules.guard_reach import constant as _constant


@dataclass(frozen=True, slots=True)
class Touch:
    """One place. ``key`` is the same for the same code on another line."""

    line: int
    what: str
    key: str


def touches(text: str, *, test_side: bool) -> tuple[Touch, ...]:
    """Every touch in ``text``. Raises ``SyntaxError`` or ``ValueError`` when it is not Python."""
    tree = ast.parse(text)
    reader = _Reader(test_side=test_side)
    reader.read(tree)
    return tuple(reader.found)


class _Reader:
    def __init__(self, *, test_side: bool) -> None:
        self.found: list[Touch] = []
        self._names: dict[str, str] = {}
        self._test_side = test_side
        self._own_module: set[int] = set()
        self._called: set[int] = set()

    def read(self, tree: ast.Module) -> None:
        for node in ast.walk(tree):
            self._import(node)
        for node in ast.walk(tree):
            self._alias(node)
            if isinstance(node, ast.Call):
                self._called.add(id(node.func))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._called.update(id(each) for each in node.decorator_list)
            if isinstance(node, ast.Subscript) and getattr(node.slice, "id", "") == "__name__":
                self._own_module.add(id(node.value))  # sys.modules[__name__]: a module that looks at itself
        docstrings = {id(each) for each in _docstrings(tree)}
        for node in ast.walk(tree):
            if id(node) in docstrings:
                continue
            for look in (
                self._hook,
                self._write,
                self._call,
                self._reach,
                self._value,
                self._read_of,
                self._string,
            ):
                look(node)
        for statement in _at_import(tree.body):
            self._exit_at_import(statement)

    def _add(self, node: ast.AST, what: str) -> None:
        self.found.append(Touch(getattr(node, "lineno", 1), what, f"{what}|{ast.dump(node)}"))

    def _dotted(self, node: ast.AST) -> str:
        """``s.modules`` as ``sys.modules``, whatever the module was imported as; empty where it is no dotted
        name.
        """
        if isinstance(node, ast.Name):
            return self._names.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            inner = self._dotted(node.value)
            return f"{inner}.{node.attr}" if inner else ""
        return self._dotted_other(node)

    def _dotted_other(self, node: ast.AST) -> str:
        if isinstance(node, ast.Call) and self._dotted(node.func) in {
            "getattr",
            "__import__",
            "importlib.import_module",
        }:
            return self._reached(node)
        if isinstance(node, ast.Call) and self._dotted(node.func) == "vars" and node.args:
            return f"{self._dotted(node.args[0])}.__dict__".removeprefix(".__dict__")
        if isinstance(node, ast.Subscript):
            inner, key = self._dotted(node.value), _constant(node.slice)
            if inner == "sys.modules" and key:
                return key
            is_namespace = inner.endswith(".__dict__") or inner == "__builtins__"
            owner = inner.removesuffix(".__dict__")
            return f"{owner}.{key}" if is_namespace and key else owner
        return ""

    def _reached(self, node: ast.Call) -> str:
        name = _constant(node.args[0]) if node.args else ""
        if self._dotted(node.func) != "getattr":
            return name or guard_words.COMPUTED
        if len(node.args) < 2:
            return ""
        inner, attribute = self._dotted(node.args[0]), _constant(node.args[1])
        return f"{inner}.{attribute}" if inner and attribute else ""

    def _import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                self._bind(alias.asname or first, alias.name if alias.asname else first)
                self._imported(node, alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                self._bind(alias.asname or alias.name, f"{node.module}.{alias.name}")
                self._imported(node, f"{node.module}.{alias.name}")

    def _bind(self, name: str, means: str) -> None:
        """A name that once meant something guarded keeps doing so: which binding holds is not followed."""
        if not guard_reach.is_watched(self._names.get(name, "")):
            self._names[name] = means

    def _alias(self, node: ast.AST) -> None:
        """``T = unittest.TestCase``: another name for what is guarded."""
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) or node.value is None:
            return
        means = self._dotted(node.value)
        for target in _targets(node):
            if isinstance(target, ast.Name) and target.id != means and guard_reach.is_watched(means):
                self._bind(target.id, means)

    def _imported(self, node: ast.AST, name: str) -> None:
        """Code has no business with the runner; a test has, but not with its inside."""
        if name.partition(".")[0] == "__main__":
            self._add(node, "__main__ is imported, which is what runs the tests")
        elif _is_runner(name) and not self._test_side:
            self._add(node, f"code imports the test runner ({name})")

    def _hook(self, node: ast.AST) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and guard_words.HOOK.match(node.name):
            self._add(node, f"the hook {node.name} is defined")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for decorator in node.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else decorator
                if self._dotted(called).endswith(("hookimpl", "hookspec", "HookimplMarker")):
                    self._add(decorator, "a plugin hook is registered")
                if self._dotted(decorator) in guard_words.EXITS:
                    self._add(decorator, f"{self._dotted(decorator)} is called")

    def _write(self, node: ast.AST) -> None:
        for target in _targets(node):
            name = self._dotted(target)
            if isinstance(target, ast.Name):
                plain = target.id
                if plain in {"pytest_plugins", "collect_ignore", "collect_ignore_glob"}:
                    self._add(node, f"{plain} is set")
                if plain == "load_tests" or plain.startswith("__unittest"):
                    self._add(node, f"{plain} is set")
            elif self._is_guarded(name):
                self._add(node, f"{name} is written")
            elif isinstance(target, ast.Attribute) and target.attr in guard_words.OUTCOMES:
                self._add(node, f"{target.attr} is written")
        if isinstance(node, ast.FunctionDef) and node.name == "load_tests":
            self._add(node, "load_tests is defined")

    @staticmethod
    def _is_guarded(name: str) -> bool:
        if not name:
            return False
        first = name.partition(".")[0]
        return (
            first in {"builtins", "__builtins__", guard_words.COMPUTED}
            or _is_runner(name)
            or any(name == each or name.startswith(f"{each}.") for each in guard_words.WRITES)
        )

    def _call(self, node: ast.AST) -> None:
        if not isinstance(node, ast.Call):
            return
        name = self._dotted(node.func).removeprefix("builtins.").removeprefix("__builtins__.")
        if name in guard_words.EXITS or (self._test_side and name in guard_words.TEST_SIDE_EXITS):
            self._add(node, f"{name} is called")
        elif name in guard_words.TEXT_RUNNERS or name == "importlib.import_module":
            self._hidden(node, name)
        elif name in guard_words.LOADERS:
            self._load(node, name)
        elif name in guard_words.SETTERS or name.endswith(
            (".setattr", ".delattr", "patch.object", "patch.multiple")
        ):
            self._set(node, name)
        elif name.endswith("patch") and node.args and _is_runner(_constant(node.args[0])):
            self._add(node, f"{_constant(node.args[0])} is patched")
        else:
            self._mutate(node, name)

    def _load(self, node: ast.Call, name: str) -> None:
        """A file that is loaded by its name is read here only if it is a .py file."""
        if not guard_reach.names_python(node, guard_words.LOADERS[name]):
            self._add(node, f"{name} loads what cannot be read here")

    def _reach(self, node: ast.AST) -> None:
        """Computed names and other ways round the front door."""
        if isinstance(node, ast.Call | ast.Subscript):
            for what in guard_reach.round_about(node, self._dotted, test_side=self._test_side):
                self._add(node, what)

    def _value(self, node: ast.AST) -> None:
        """What must not be called must not be handed on either."""
        if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
            return
        if isinstance(node, ast.Attribute) and node.attr in guard_words.ANYWHERE:
            self._add(node, f"every class is reached ({node.attr})")
        if id(node) in self._called:
            return
        name = self._dotted(node).removeprefix("builtins.").removeprefix("__builtins__.")
        root: ast.AST = node
        while isinstance(root, ast.Attribute):
            root = root.value
        is_imported = not isinstance(root, ast.Name) or root.id in self._names
        if (is_imported and name in guard_words.EXITS) or name in guard_words.TEXT_RUNNERS:
            self._add(node, f"{name} is handed on")

    def _set(self, node: ast.Call, name: str) -> None:
        """``setattr`` stays; what a test's monkeypatch or patch sets is undone, so only the runner itself is
        barred.
        """
        first = (self._dotted(node.args[0]) or _constant(node.args[0])) if node.args else ""
        second = _constant(node.args[1]) if len(node.args) > 1 else ""
        undone = self._test_side and name not in guard_words.LASTING
        for target in (first, f"{first}.{second}"):
            if _is_runner(target) or (not undone and self._is_guarded(target)):
                self._add(node, f"{target} is written by {name}")
                return
        if second in guard_words.OUTCOMES and not undone:
            self._add(node, f"{second} is written by {name}")

    def _mutate(self, node: ast.Call, name: str) -> None:
        owner, _, method = name.rpartition(".")
        if method not in guard_words.MUTATORS or owner in {"pytest", guard_words.COMPUTED}:
            return
        if self._is_guarded(owner.removesuffix(".__dict__")) or owner.endswith(".pluginmanager"):
            self._add(node, f"{owner} is written by {name}")

    def _hidden(self, node: ast.Call, name: str) -> None:
        """Text run as code can be anything; a name that is spelled out is looked at like an import."""
        literal = _constant(node.args[0]) if node.args else ""
        if not literal and (name == "exec" or (name in guard_words.TEXT_RUNNERS and not self._test_side)):
            self._add(node, f"{name} runs what cannot be read here")
        elif literal.partition(".")[0] == "__main__" or (
            literal and _is_runner(literal) and not self._test_side
        ):
            self._add(node, f"code imports the test runner ({literal})")
        elif literal and name in {"exec", "eval"} and re.search(r"\bimport\b|__import__|sys\.", literal):
            self._add(node, f"{name} runs {literal[:40]!r}")

    def _read_of(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and node.attr in guard_words.FRAMES and not self._test_side:
            self._add(node, f"a frame of the caller is reached ({node.attr})")
        if self._test_side or id(node) in self._own_module:
            return
        if not isinstance(node, ast.Attribute | ast.Name | ast.Call):
            return
        if self._dotted(node) == "sys.modules" and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            self._add(node, "code looks into sys.modules")

    def _string(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant | ast.BinOp) and guard_words.STRINGS.search(_constant(node)):
            self._add(node, f"the runner's own name {_constant(node)[:40]!r} is used")

    def _exit_at_import(self, node: ast.stmt) -> None:
        for inner in ast.walk(node):
            is_exit = isinstance(inner, ast.Call) and self._dotted(inner.func) in {"sys.exit", "exit", "quit"}
            raised = inner.exc if isinstance(inner, ast.Raise) else None
            named = raised.func if isinstance(raised, ast.Call) else raised
            if is_exit or (named is not None and self._dotted(named) in {"SystemExit", "KeyboardInterrupt"}):
                self._add(inner, "the process is ended while a module is imported")


_is_runner = guard_reach.is_runner


def _targets(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign | ast.Delete):
        for target in node.targets:
            yield from target.elts if isinstance(target, ast.Tuple | ast.List) else (target,)
    elif isinstance(node, ast.AugAssign | ast.AnnAssign | ast.For | ast.AsyncFor | ast.NamedExpr):
        yield node.target
    elif isinstance(node, ast.With | ast.AsyncWith):
        yield from (item.optional_vars for item in node.items if item.optional_vars)


def _docstrings(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            yield from (
                each.value
                for each in body
                if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            )


def _at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported: no function bodies, no main guard."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.If):
            if "__main__" not in ast.dump(node.test):
                yield from _at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from _at_import(
                [*node.body, *node.orelse, *node.finalbody, *(s for h in node.handlers for s in h.body)]
            )
        elif isinstance(node, ast.With | ast.For | ast.While):
            yield from _at_import(node.body)
        else:
            yield node
