"""A generated client as the description of an API: what it would send, read from its source and never run.

Nobody publishes Gitea's description in a package; a client made from it by a program says the same: which calls there are,
which parameters they take, and which fields go in and come out.
"""

from __future__ import annotations

import ast
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MODEL = re.compile(r"\b(?!Optional|List|Dict|Any|Annotated|Field|Union|Strict|None)([A-Z]\w+)\b")


@dataclass(frozen=True, slots=True)
class Described:
    """One call: where, its query parameters, the model of its body, and the model of each answer."""

    method: str
    pattern: re.Pattern[str]
    parts: int
    query: frozenset[str]
    body: str
    answers: Mapping[str, str]


class Client:
    """The calls and the fields of each model."""

    def __init__(self, wheel: Path) -> None:
        self.calls: list[Described] = []
        self.fields: dict[str, dict[str, str]] = {}
        with zipfile.ZipFile(wheel) as packed:
            for name in packed.namelist():
                if name.endswith("_api.py"):
                    self.calls += _calls(ast.parse(packed.read(name)))
                elif "/models/" in name and name.endswith(".py"):
                    self.fields |= _fields(ast.parse(packed.read(name)))

    def find(self, method: str, path: str) -> Described | None:
        """The most exact call of that address."""
        found = [each for each in self.calls if each.method == method and each.pattern.fullmatch(path)]
        return min(found, key=lambda each: each.parts, default=None)

    def wrong(self, method: str, path: str, query: Mapping[str, str], body: Any) -> list[str]:
        """What a request says that the description does not know."""
        call = self.find(method, path)
        if call is None:
            return [f"{method} {path}: no such call"]
        found = [f"{method} {path}: no parameter {name}" for name in query if name not in call.query]
        fields = {name.lower(): kind for name, kind in self.fields.get(call.body, {}).items()}
        for name, value in (body or {}).items():  # Go reads names whatever their case
            kind = fields.get(name.lower())
            if kind is None:
                found.append(f"{method} {path}: no field {name} in {call.body or 'its body'}")
            elif not _fits(value, kind):
                found.append(f"{method} {path}: {name} is not {kind}")
        return found

    def strange(self, method: str, path: str, status: int, answer: Any) -> list[str]:
        """Fields of an answer that its model does not have."""
        call = self.find(method, path)
        model = "" if call is None else call.answers.get(str(status), "")
        known = self.fields.get(model.removeprefix("List[").removesuffix("]"))
        if known is None:
            return []
        items = answer if isinstance(answer, list) else [answer]
        return sorted(
            {
                f"{method} {path}: {model} has no {name}"
                for item in items
                for name in item
                if name not in known
            }
        )


def _calls(tree: ast.Module) -> Iterator[Described]:
    functions = {
        node.name: node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef)
    }
    for name, function in functions.items():
        told = _keywords(function, "param_serialize")
        if name.startswith("_") and name.endswith("_serialize") and told:
            public = functions.get(name.strip("_").removesuffix("_serialize"))
            yield _described(told["method"], told["resource_path"], function, public)


def _keywords(function: ast.AST, called: str) -> dict[str, str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == called:
            return {
                each.arg: each.value.value
                for each in node.keywords
                if each.arg and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
            }
    return {}


def _described(method: str, template: str, serialize: ast.AST, public: Any) -> Described:
    query = {
        node.elts[0].value
        for node in ast.walk(serialize)
        if isinstance(node, ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant)
    }
    body, answers, holds_body = "", {}, _body_argument(serialize)
    if public is not None:
        for argument in public.args.args:
            if argument.arg == holds_body and argument.annotation is not None:
                body = next(iter(_MODEL.findall(ast.unparse(argument.annotation))), "")
        for node in ast.walk(public):
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "_response_types_map":
                answers = {key: value for key, value in ast.literal_eval(node.value).items() if value}  # type: ignore[arg-type]
    parts = re.split(r"(\{\w+\})", template)
    pattern = "".join("[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
    return Described(
        method, re.compile(pattern), template.count("{"), frozenset(map(str, query)), body, answers
    )


def _body_argument(serialize: ast.AST) -> str:
    """The name of the argument that becomes the body."""
    for node in ast.walk(serialize):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_body_params":
            return ast.unparse(node.value)
    return ""


def _fields(tree: ast.Module) -> dict[str, dict[str, str]]:
    """The fields of a module's models, and the kind of each."""
    return {
        node.name: {
            each.target.id: ast.unparse(each.annotation)
            for each in node.body
            if isinstance(each, ast.AnnAssign)
            and isinstance(each.target, ast.Name)
            and not each.target.id.startswith("_")
        }
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }


def _fits(value: Any, kind: str) -> bool:
    """Whether a value is of the kind, as far as plain kinds go."""
    kind = kind.removeprefix("Optional[").removesuffix("]") if kind.startswith("Optional[") else kind
    if kind.startswith("List["):
        return isinstance(value, list) and all(_fits(each, kind[5:-1]) for each in value)
    plain: dict[str, type] = {"StrictStr": str, "StrictInt": int, "StrictBool": bool}
    return isinstance(value, plain[kind]) if kind in plain else True
