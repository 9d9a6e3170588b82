"""How a repository or a bottle chooses routes: by name alone, among those the operator wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from boatwright.config import strict_yaml
from boatwright.config.strict_yaml import Document

_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
THEIRS = "routes are written by the operator, under 'routes' of settings.yml"


def _named(value: Any) -> str:
    if isinstance(value, dict):
        raise ValueError(f"defines a route here, and {THEIRS}: name it")
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise ValueError("is not a name of a route (a-z, 0-9 and '-', beginning with a letter)")
    return value


def _names(value: Any) -> Any:
    if isinstance(value, dict):
        raise ValueError(f"defines routes here, and {THEIRS}: name them, as in [pypi-internal]")
    return [value] if isinstance(value, str) else value


RouteName = Annotated[str, BeforeValidator(_named)]
RouteNames = Annotated[tuple[RouteName, ...], BeforeValidator(_names), Field(max_length=50)]
"""How a repository or a bottle chooses: by name alone."""


def refuse_definitions(document: Document, move: str) -> None:
    """Raise ``errors.BadPolicy`` where a file of a repository defines what only the operator may."""
    for key in ("routes", "credentials"):
        if key in document.value:
            line = document.line((key,))
            raise strict_yaml.refuse(document.file, line, f"'{key}' does not belong here: {THEIRS}", move)


def lines(document: Document, *place: str | int) -> dict[str, int]:
    """On which line each route below ``place`` is named."""
    return dict(_each(document, place))


def _each(document: Document, place: tuple[str | int, ...]) -> Iterator[tuple[str, int]]:
    value: Any = document.value
    for part in place:
        value = value.get(part) if isinstance(value, Mapping) else None
    for at, name in enumerate([value] if isinstance(value, str) else value or ()):
        yield str(name), document.line((*place, at))


def _refuse_credentials(value: object) -> None:
    raise PydanticCustomError(
        "elsewhere",
        "does not belong here: a credential is part of a route, under 'routes' of settings.yml; name that route",
    )


Credentials = Annotated[None, BeforeValidator(_refuse_credentials)]
"""A key people look for: it is always refused, with where it belongs."""
