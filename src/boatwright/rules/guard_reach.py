"""Round-about ways to the test runner: computed names, modules handed on, files loaded under another name."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from boatwright.rules import guard_words

_Dotted = Callable[[ast.AST], str]


def is_runner(name: str) -> bool:
    """Whether the dotted ``name`` lies in a package of the runner."""
    if any(name == each or name.startswith(f"{each}.") for each in guard_words.HARMLESS):
        return False
    return name.partition(".")[0] in guard_words.RUNNER_PACKAGES


def is_watched(name: str) -> bool:
    """Whether another name for ``name`` has to be followed."""
    first = name.partition(".")[0]
    if first in guard_words.MODULES or first == guard_words.COMPUTED or is_runner(name):
        return True
    return any(each == name or each.startswith(f"{name}.") for each in guard_words.EXITS if name)


def constant(node: ast.AST) -> str:
    """The text of a literal, also of one in pieces (``"_" + "exit"``); empty where it is none."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = constant(node.left), constant(node.right)
        return left + right if left and right else ""
    if isinstance(node, ast.JoinedStr):
        pieces = [constant(each) for each in node.values]
        return "".join(pieces) if all(pieces) else ""
    return ""


def round_about(node: ast.Call | ast.Subscript, dotted: _Dotted, *, test_side: bool) -> Iterator[str]:
    """What ``node`` does that names nothing and may reach anything."""
    if isinstance(node, ast.Subscript):
        owner = dotted(node.value)
        if (owner.endswith(".__dict__") or owner == "__builtins__") and not constant(node.slice):
            yield from _computed(owner.removesuffix(".__dict__"))
        return
    name = dotted(node.func).removeprefix("builtins.")
    if name in {"getattr", "setattr", "delattr"} or name.endswith(("__getattribute__", "__setattr__")):
        if len(node.args) > 1 and not constant(node.args[1]):
            yield from _computed(dotted(node.args[0]))
        elif name == "getattr" and len(node.args) > 1 and not test_side:
            yield from _spelled(constant(node.args[1]))
    elif not test_side or isinstance(node.func, ast.Call):
        yield from _handed_on(node, name, dotted)
    if isinstance(node.func, ast.Attribute) and node.func.attr == "join":
        waited = node.func.value
        if isinstance(waited, ast.Call) and dotted(waited.func) == "threading.main_thread":
            yield "the end of the main thread is waited for"
    yield from _searched(node, dotted)


def _computed(owner: str) -> Iterator[str]:
    if owner in guard_words.MODULES or is_runner(owner):
        yield f"an attribute of {owner} is reached by a computed name"


def _spelled(name: str) -> Iterator[str]:
    if guard_words.REACHING.match(name):
        yield f"{name} is reached by its name"


def _handed_on(node: ast.Call, name: str, dotted: _Dotted) -> Iterator[str]:
    """A module given to somebody else, who can take any attribute of it."""
    if name in guard_words.TAKES_MODULE or name.startswith(("inspect.", "importlib.")):
        return
    for argument in (*node.args, *(each.value for each in node.keywords)):
        if isinstance(argument, ast.Name | ast.Attribute) and dotted(argument) in guard_words.MODULES:
            yield f"the module {dotted(argument)} is handed on"


def _searched(node: ast.Call, dotted: _Dotted) -> Iterator[str]:
    """The runner's report lies below the home directory or the temporary one; nobody lists these."""
    method = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
    if method not in guard_words.SEARCHES:
        return
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call) and dotted(inner.func).endswith(("Path.home", "expanduser")):
            yield "the home directory is searched"
            return
        if isinstance(inner, ast.Constant) and inner.value in ("HOME", "~", "/"):
            yield "the home directory or the root is searched"
            return


def names_python(node: ast.Call, where: tuple[int, str] | None) -> bool:
    """Whether the path argument of a loader certainly ends in ``.py``."""
    if where is None:
        return False
    place, keyword = where
    path = next((each.value for each in node.keywords if each.arg == keyword), None)
    if path is None and len(node.args) > place and not any(isinstance(a, ast.Starred) for a in node.args):
        path = node.args[place]
    return path is not None and _ends_in_python(path)


def _ends_in_python(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value.endswith(".py")
    if isinstance(node, ast.JoinedStr):
        return bool(node.values) and _ends_in_python(node.values[-1])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Div):
        return _ends_in_python(node.right)
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if node.args:
            return called in guard_words.JOINS and _ends_in_python(node.args[-1])
        is_same = called in {"resolve", "absolute", "as_posix", "expanduser"}
        return is_same and isinstance(node.func, ast.Attribute) and _ends_in_python(node.func.value)
    return False
