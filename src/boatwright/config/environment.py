"""Where a repository's programs come from: this host, an image, or the image its devcontainer names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator

REFERENCE = re.compile(r"[a-z0-9][A-Za-z0-9._:/@-]{0,254}")
_SHOULD = "should be host, devcontainer, or 'image: REF' on a line of its own below it"


class Kind(StrEnum):
    HOST = "host"
    IMAGE = "image"
    DEVCONTAINER = "devcontainer"


@dataclass(frozen=True, slots=True)
class Environment:
    """What ``environment`` of a policy says; ``image`` is a reference, for the kind of that name only."""

    kind: Kind = Kind.HOST
    image: str = ""

    def __str__(self) -> str:
        return f"image {self.image}" if self.image else str(self.kind)


def is_reference(text: str) -> bool:
    """Whether ``text`` may name an image: it becomes an argument of a container engine."""
    return REFERENCE.fullmatch(text) is not None


def read(value: Any) -> Environment:
    """The value of the key as people write it. Raises ``ValueError`` with what to write instead."""
    if isinstance(value, Environment):
        return value
    if isinstance(value, str) and value in {Kind.HOST, Kind.DEVCONTAINER}:
        return Environment(Kind(value))
    if isinstance(value, dict) and set(value) == {"image"}:
        image = value["image"]
        if isinstance(image, str) and is_reference(image):
            return Environment(Kind.IMAGE, image)
        raise ValueError("names no image: write image: NAME:TAG or NAME@sha256:DIGEST")
    raise ValueError(_SHOULD)


def admits(patterns: Iterable[str], image: str) -> bool:
    """Whether one of the operator's patterns fits the reference as it is written; ``*`` stands for anything."""
    return any(fnmatchcase(image, pattern) for pattern in patterns)


Wish = Annotated[Environment, BeforeValidator(read)]
