"""Picking a few fields out of a payload of strangers: lenient about everything that is not asked for."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from boatwright import errors

NAME_CAP = 300
TEXT_CAP = 1 << 20
_MOST = 200
_UNSTORABLE = {0: "\ufffd", **dict.fromkeys(range(55296, 57344), "�")}


class Shape(errors.BadInput):
    """What is needed is missing, or of another type."""


class Part:
    """A part of a payload and the way to it, for the one sentence when something is missing there."""

    __slots__ = ("_value", "way")

    def __init__(self, value: Any, way: str = "") -> None:
        self._value, self.way = value, way

    def part(self, name: str) -> Part:
        """What stands under ``name``; an empty part where nothing does."""
        inner = self._value.get(name) if isinstance(self._value, dict) else None
        return Part(inner, f"{self.way}.{name}" if self.way else name)

    def parts(self, name: str) -> list[Part]:
        """The items of a list; none where there is no list. At most some hundred are looked at."""
        found = self.part(name)
        return (
            [Part(each, found.way) for each in found._value[:_MOST]] if isinstance(found._value, list) else []
        )

    def __bool__(self) -> bool:
        return self._value is not None

    def name(self, name: str) -> str:
        """A short text that has to be there."""
        found = self.text(name, cap=NAME_CAP)
        if not found:
            raise self._missing(name, "text")
        return found

    def text(self, name: str, *, cap: int = TEXT_CAP) -> str:
        """A text, cut at ``cap`` characters, without what no database stores; empty where there is none."""
        found = self.part(name)._value
        return found[:cap].translate(_UNSTORABLE) if isinstance(found, str) else ""

    def number(self, name: str) -> int:
        """A positive number that has to be there."""
        found = self.part(name)._value
        if type(found) is not int or not 0 < found < 1 << 53:
            raise self._missing(name, "number")
        return found

    def id(self, name: str) -> str:
        """A number or a short text as text; empty where there is neither."""
        found = self.part(name)._value
        return str(found) if type(found) is int and abs(found) < 1 << 64 else self.text(name, cap=NAME_CAP)

    def flag(self, name: str) -> bool:
        return self.part(name)._value is True

    def names(self, list_name: str, name: str) -> tuple[str, ...]:
        """The texts under ``name`` of every item of a list, each once, in order."""
        found = (each.text(name, cap=NAME_CAP) for each in self.parts(list_name))
        return tuple(dict.fromkeys(each for each in found if each))

    def time(self, name: str) -> datetime | None:
        """An aware time in UTC; None where there is none that can be read."""
        return moment(self.text(name, cap=60))

    def _missing(self, name: str, what: str) -> Shape:
        return Shape(f"{self.way + '.' if self.way else ''}{name} is no {what}")


def document(body: bytes) -> Part:
    """The JSON object of a body. ``errors.BadInput`` for anything else: Python tells UTF-8, -16 and -32 apart."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise errors.BadInput("the body is no JSON") from None
    if not isinstance(value, dict):
        raise errors.BadInput("the body is JSON, but no object")
    return Part(value)


def moment(text: str) -> datetime | None:
    """ISO 8601, or GitLab's ``2026-01-02 03:04:05 UTC``."""
    try:
        found = datetime.fromisoformat(text.removesuffix(" UTC"))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
