"""The reference of the policy file, of settings.yml and of manifests, from the models themselves
(``docs/policy.md``, ``docs/manifest-keys.md``).
"""

from __future__ import annotations

import inspect
from types import UnionType
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from boatwright.config.effective import VARIABLES
from boatwright.config.environment import Environment
from boatwright.config.manifest import AgentHead, BottleHead
from boatwright.config.policy import Block, Policy
from boatwright.config.settings import Settings

HEAD = """<!-- Generated from the models: make docs -->

# Policy and settings

`.boatwright.yml` is what a repository asks for; it is read from the base branch only. `settings.yml` in the state
directory is the ceiling of this host: a policy may only narrow it, and asking for more is refused by name. For everything
that is no ceiling the order is: flag, environment variable ({variables}), [manifest](manifests.md), `.boatwright.yml`,
`settings.yml`, default. An unknown key is an error that names its line and the nearest key there is.
"""

MANIFESTS = """<!-- Generated from the models: make docs -->

# The keys of manifests

How to write one is in [manifests](manifests.md). An unknown key is an error that names the file, the line and what to write
instead.
"""

NONE = type(None)
"""The type of a key that takes no value: ``units.NotEnforced``."""


def markdown() -> str:
    """Both files, key by key, with type and default."""
    variables = ", ".join(f"`{name}`" for name in sorted(VARIABLES.values()))
    files = (("`.boatwright.yml`", Policy), ("`settings.yml`", Settings))
    return _page(HEAD.format(variables=variables), files)


def manifests() -> str:
    """The keys of both kinds of manifest."""
    return _page(MANIFESTS, (("`agents/NAME.md`", AgentHead), ("`bottles/NAME.md`", BottleHead)))


def _page(head: str, files: tuple[tuple[str, type[BaseModel]], ...]) -> str:
    parts = [head]
    for title, model in files:
        parts += [
            f"## {title}\n",
            _doc(model),
            "| key | type | default |",
            "|---|---|---|",
            *_rows(model, ""),
            "",
        ]
    return "\n".join(parts).rstrip() + "\n"


def _doc(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split()) + "\n"


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for python_name, field in model.model_fields.items():
        name = field.alias or python_name
        inner = _inner(field.annotation)
        if isinstance(inner, type) and issubclass(inner, Block):
            rows += _rows(inner, f"{prefix}{name}.")
        else:
            kind = "refused: not enforced by this release" if inner is NONE else _type(inner)
            rows.append(f"| `{prefix}{name}` | {kind} | {_default(field)} |")
    return rows


def _inner(annotation: Any) -> Any:
    """A block that may be left out is shown as the block it is."""
    named = [each for each in get_args(annotation) if each is not NONE]
    return named[0] if get_origin(annotation) is UnionType and len(named) == 1 else annotation


def _type(annotation: Any) -> str:
    if annotation is Environment:
        return "`host`, `devcontainer`, or `image:` with a reference"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is None:
        return str(getattr(annotation, "__name__", annotation))
    if origin in {tuple, list}:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map of {_type(arguments[0])} to {_type(arguments[1])}"
    if hasattr(annotation, "__metadata__"):
        return _type(arguments[0])
    named = [_type(each) if not isinstance(each, str | int) else f"`{each}`" for each in arguments]
    return " or ".join(dict.fromkeys(name for name in named if name != "NoneType"))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    given = field.get_default(call_default_factory=True)
    value = str(given) if isinstance(given, Environment) else to_jsonable_python(given)
    if value is None:
        return "—"
    if isinstance(value, list) and len(value) > 6:
        return ", ".join(f"`{each}`" for each in value[:6]) + f" and {len(value) - 6} more"
    if isinstance(value, list):
        return ", ".join(f"`{each}`" for each in value) or "empty"
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items() if each is not None) or "empty"
    return f"`{value}`"
