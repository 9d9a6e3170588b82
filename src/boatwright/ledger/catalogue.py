"""The event catalogue as Markdown, from the registry itself: ``docs/events.md`` is this text."""

from __future__ import annotations

import inspect
import re
import typing
from enum import Enum
from types import NoneType, UnionType
from typing import Any

from pydantic.fields import FieldInfo

from boatwright.rules.transitions import AFTER_THE_END
from boatwright.values.events import REGISTRY, Payload

_HEADER = """# Events

Generated from the event registry; do not edit. Every fact the ledger holds is one of these. The order is
the order of a run. *State* is the state an event moves the execution to. Digests name artifacts; times are
UTC.
"""


def markdown() -> str:
    """The whole page: a table of all types, then one section each with fields, types and what they mean."""
    parts = [_HEADER, _overview(), *(_section(model) for model in REGISTRY.values())]
    return "\n".join(parts)


def _overview() -> str:
    lines = ["| event | state | also after the end |", "|---|---|---|"]
    for name, model in REGISTRY.items():
        after = "yes" if name in AFTER_THE_END else ""
        lines.append(f"| [`{name}`](#{_anchor(name)}) | {model.moves_to or ''} | {after} |")
    return "\n".join(lines) + "\n"


def _section(model: type[Payload]) -> str:
    lines = [f"## {model.type}", ""]
    if model.__dict__.get("__doc__"):
        lines += [_flat(inspect.cleandoc(str(model.__doc__))), ""]
    if model.moves_to:
        lines += [f"Moves the execution to **{model.moves_to}**.", ""]
    lines += [f"Schema version {model.schema_version}.", ""]
    if model.model_fields:
        meanings = _meanings(model)
        lines += ["| field | type | meaning |", "|---|---|---|"]
        lines += [_field(name, field, meanings.get(name, "")) for name, field in model.model_fields.items()]
        lines.append("")
    return "\n".join(lines)


def _field(name: str, field: FieldInfo, meaning: str) -> str:
    default = "" if field.is_required() else f" = {_value(field.get_default())}"
    return f"| `{name}` | {_escape(_kind(field.annotation))}{_escape(default)} | {_escape(meaning)} |"


def _meanings(model: type[Payload]) -> dict[str, str]:
    """The string right below a field, as the source has it."""
    found = re.findall(
        r'^    (\w+): [^\n]+\n    """(.+?)"""', inspect.getsource(model), flags=re.MULTILINE | re.DOTALL
    )
    return {name: _flat(text) for name, text in found}


def _kind(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, UnionType}:
        return " or ".join("nothing" if part is NoneType else _kind(part) for part in arguments)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin is dict:
        return f"map of {_kind(arguments[0])} to {_kind(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return f"{annotation.__name__}: " + ", ".join(str(member.value) for member in annotation)
    return str(getattr(annotation, "__name__", annotation))


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    return "empty" if value in ("", ()) else str(value)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _anchor(name: str) -> str:
    return name.replace(".", "")
