"""YAML from people we do not trust, with line numbers: no aliases, no duplicate keys, small and shallow."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from boatwright import errors

MAX_BYTES = 64 << 10
MAX_NODES = 5_000
MAX_DEPTH = 12
NOT_ENFORCED = "not_enforced"
"""The type of a problem that ``units.NotEnforced`` finds."""
UNSHOWN = "unshown"
"""The type of a problem with a value that may be a secret in the wrong place: it is not repeated."""

Place = tuple[str | int, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain values, and on which line (from 1) each of them stands."""

    file: str
    value: dict[str, Any]
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of ``place``, or of the nearest thing around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def refuse(file: str, line: int, what: str, *moves: str) -> errors.BadPolicy:
    return errors.BadPolicy(f"{file} line {line}: {what}", subject=file, next_moves=moves)


def parse(text: str, file: str) -> Document:
    """A mapping from text. An empty file is an empty mapping.

    Raises ``errors.BadPolicy`` with file and line for everything that is not plain, small and unambiguous.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise refuse(file, 1, f"the file is larger than {MAX_BYTES >> 10} KiB", "make it smaller")
    loader = yaml.SafeLoader("")
    try:
        node = _compose(text, file)
        builder = _Builder(file, loader)
        value = builder.build(node, ()) if node is not None else {}
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, file) from error
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise refuse(file, 1, "the file must be a mapping of keys to values", "write lines like key: value")
    return Document(file, value, builder.lines)


_IN_SHORT = (
    ("'\\t'", "a tab stands where YAML wants blanks", "put blanks in the place of the tab"),
    ("found another document", "a second document begins here", "keep one: remove the line ---"),
    ("constructor for the tag", "a tag (!!…) is not allowed", "write the value alone"),
)
"""What the parser says of a line, what that means, and what to do."""


def _not_yaml(error: yaml.YAMLError, text: str, file: str) -> errors.BadPolicy:
    if isinstance(error, yaml.reader.ReaderError):
        line = text.count("\n", 0, error.position) + 1
        what = f"a character (U+{int(error.character):04X}) that YAML does not take"
        return refuse(file, line, what, "remove it")
    mark = getattr(error, "problem_mark", None)
    problem = str(getattr(error, "problem", None) or "this is not YAML")
    line = mark.line + 1 if mark else 1
    for said, what, move in _IN_SHORT:
        if said in problem:
            return refuse(file, line, what, move)
    return refuse(file, line, problem, "mend the YAML on that line")


def _line(thing: yaml.Event | yaml.Node) -> int:
    mark: Any = thing.start_mark
    return int(mark.line) + 1


def _compose(text: str, file: str) -> yaml.Node | None:
    """The node tree, after a look at the events: aliases and deep nesting are refused before that."""
    depth = nodes = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = _line(event)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise refuse(file, line, "anchors and aliases are not allowed", "write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        nodes += isinstance(event, yaml.NodeEvent)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise refuse(file, line, "the file is nested too deep or has too many values", "make it smaller")
    return yaml.compose(text, Loader=yaml.SafeLoader)


class _Builder:
    def __init__(self, file: str, loader: yaml.SafeLoader) -> None:
        self._file, self._loader = file, loader
        self.lines: dict[Place, int] = {}

    def build(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, _line(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*place, index)) for index, child in enumerate(node.value)]
        if not node.tag.startswith("tag:yaml.org,2002:"):
            raise refuse(self._file, _line(node), f"the tag {node.tag} is not allowed", "remove it")
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            what = f"'{node.value}' cannot be read: {error}"
            raise refuse(self._file, _line(node), what) from error

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode) or key_node.value == "<<":
                raise refuse(self._file, line, "a key must be a plain word", "write key: value")
            key = key_node.value
            if key in found:
                raise refuse(self._file, line, f"the key '{key}' is there twice", f"keep one '{key}:'")
            self.lines[(*place, key)] = line
            found[key] = self.build(value_node, (*place, key))
        return found


def validate(model: type[Model], document: Document) -> Model:
    """The document as ``model``. Raises ``errors.BadPolicy``: file, line, key, what to write instead."""
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
        raise _problem(model, document, (unknown or problems)[0]) from None


def _problem(model: type[BaseModel], document: Document, problem: Any) -> errors.BadPolicy:
    place: Place = tuple(problem["loc"])
    line = document.line(place)
    name = ".".join(str(part) for part in place if not (isinstance(part, str) and "[" in part))
    if problem["type"] == "extra_forbidden":
        return _unknown(model, document.file, line, place)
    if problem["type"] == "missing":
        return refuse(document.file, line, f"'{name}' is missing", f"add {place[-1]}: …")
    if problem["type"] == NOT_ENFORCED:
        return refuse(document.file, line, f"'{name}' is not enforced by this release", f"remove '{name}'")
    kind = _KINDS.get(problem["type"])
    message = kind or str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    given = problem.get("input")
    said_already = isinstance(given, str) and repr(given) in message
    shown = f", not {given!r}"[:80] if _may_show(problem, given) and not said_already else ""
    return refuse(
        document.file,
        line,
        f"{_about(name, message)}{message[:1].lower()}{message[1:]}{shown}",
        f"write the keys of '{name}' below it, indented"
        if kind == _A_MAP
        else f"mend '{name}' on line {line}",
    )


_A_MAP = "should be keys with values (key: value)"
_A_LIST = "should be a list: [one, another]"
_A_NUMBER = "should be a number"
_A_WHOLE = "should be a whole number"
_A_SWITCH = "should be true or false"
_KINDS = {
    "dict_type": _A_MAP, "mapping_type": _A_MAP, "model_type": _A_MAP, "model_attributes_type": _A_MAP,
    "list_type": _A_LIST, "tuple_type": _A_LIST, "set_type": _A_LIST, "frozen_set_type": _A_LIST,
    "int_type": _A_WHOLE, "int_parsing": _A_WHOLE, "int_from_float": _A_WHOLE,
    "float_type": _A_NUMBER, "float_parsing": _A_NUMBER, "bool_type": _A_SWITCH, "bool_parsing": _A_SWITCH,
}  # fmt: skip
"""What a value of another kind should have been, in the words of people who write YAML."""


def _about(name: str, message: str) -> str:
    """The key before what is said of it; a sentence of its own stands after a colon."""
    if not name:
        return ""
    return (
        f"'{name}': " if message[:1] == "'" or message.split(" ", 1)[0].lower() in _ARTICLES else f"'{name}' "
    )


_ARTICLES = frozenset({"a", "an", "the"})


def _may_show(problem: Any, given: Any) -> bool:
    return problem["type"] != UNSHOWN and isinstance(given, str | int | float | bool)


def _unknown(model: type[BaseModel], file: str, line: int, place: Place) -> errors.BadPolicy:
    key = str(place[-1])
    known = _fields_at(model, place[:-1])
    near = nearest(key, known)
    where = f" in '{'.'.join(map(str, place[:-1]))}'" if len(place) > 1 else ""
    if near is None:
        moves = (f"remove it; the keys{where} are: {', '.join(sorted(known))}",)
        return refuse(file, line, f"unknown key '{key}'{where}", *moves)
    return refuse(
        file, line, f"unknown key '{key}'{where}; the nearest key is '{near}'", f"write '{near}:' instead"
    )


def _fields_at(model: type[BaseModel], place: Place) -> tuple[str, ...]:
    """The keys a model takes at a place inside it. In a map of blocks, every key leads to the same block."""
    parts = iter(place)
    for part in parts:
        field = model.model_fields.get(str(part))
        kinds = [field.annotation, *get_args(field.annotation)] if field else []
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return ()
        model = inner[0]
        if field is not None and get_origin(field.annotation) is dict:
            next(parts, None)
    return tuple(field.alias or name for name, field in model.model_fields.items())


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key most like ``key``, if one is like it."""
    plain = {name.replace("_", "").replace("-", ""): name for name in known}
    found = difflib.get_close_matches(key.lower().replace("_", "").replace("-", ""), plain, n=1, cutoff=0.6)
    return plain[found[0]] if found else None
